#!/bin/bash
# image.sh NAME...: builds an image (triton, envoy, gateway, prometheus, device-plugin, operator, model-digits) unless it is built, and
# loads it into the running nodes that run it. Prints its reference. MODEL_FOLDER is another repository for model-digits.
. "$(dirname "$0")/lib.sh"
one_at_a_time "$0" "$@"
. "$here/images/table.sh"
way=$(way)

build_from_dockerfile() {
  engine build --build-arg "GRPCIO=$GRPCIO" --build-arg "PROTOBUF=$PROTOBUF" --tag "$reference" --file "$dockerfile" "$context"
}

# under the name that our manifests use, so that they are the same in both ways
pull() {
  engine exec "$1" sh -ec "ctr -n k8s.io images list -q | grep -qx '$reference' || {
    ctr -n k8s.io images pull '$upstream' >/dev/null; ctr -n k8s.io images tag '$upstream' '$reference'; }"
}
pull_all() { local jobs=(); for node in "$@"; do pull "$node" & jobs+=($!); done; all "${jobs[@]}"; }

for name in "$@"; do
  describe "$name"
  possible "$name" || die "what the image $name is made of is not there" "operator: requirements.txt (make requirements)" "model-digits: $model_folder"
  # shellcheck disable=SC2086  # words
  mapfile -t targets < <(nodes $where)
  if [[ $way == offline ]]; then
    step "image: $name" "$bake"
    step "loading $name" load "$reference" "${targets[@]}"
  elif [[ -n $upstream ]]; then
    step "pulling $name" pull_all "${targets[@]}"
  else
    step "image: $name" build_from_dockerfile
    step "loading $name" load "$reference" "${targets[@]}"
  fi
  echo "$reference"
done
