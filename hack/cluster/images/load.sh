# shellcheck shell=bash
# Brings images into containerd. A record beside each containerd says what it holds, so that nothing is imported twice.

identity() { engine image inspect --format '{{.Id}}' "$1"; }
holds() { grep -qxF "$2 $3" "$1" 2>/dev/null; }
record() { { grep -vF "$2 " "$1" 2>/dev/null || true; echo "$2 $3"; } >"$1.new" && mv "$1.new" "$1"; }
images_import() { "$@" --namespace k8s.io images import -; }

# load REFERENCE NODE...: into these nodes, those that run and do not hold it yet. One archive, all nodes at once.
load() {
  local reference=$1 id archive lacking=() jobs=(); shift
  id=$(identity "$reference")
  for node in "$@"; do
    mkdir -p "$cache/nodes/$node"
    [[ $(state "$node") != running ]] || holds "$cache/nodes/$node/images" "$reference" "$id" || lacking+=("$node")
  done
  ((${#lacking[@]})) || return 0
  archive=$(mktemp --tmpdir="$cache" archive.XXXX)
  engine save "$reference" >"$archive"
  for node in "${lacking[@]}"; do images_import engine exec --interactive "$node" ctr <"$archive" & jobs+=($!); done
  all "${jobs[@]}"
  rm "$archive"
  for node in "${lacking[@]}"; do record "$cache/nodes/$node/images" "$reference" "$id"; done
}

# the seed: a containerd root with every image, imported and unpacked once. Nodes start from a copy of hard links (seconds, no disk).
seed=$cache/seed
grow_seed() {
  local runtime pid missing=()
  mkdir -p "$seed"
  for reference in "$@"; do holds "$seed/images" "$reference" "$(identity "$reference")" || missing+=("$reference"); done
  ((${#missing[@]})) || return 0
  runtime=$(mktemp -d)
  printf '%s\n' 'version = 3' "root = \"$seed/containerd\"" "state = \"$runtime/state\"" \
    'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]' \
    '[grpc]' "address = \"$runtime/socket\"" >"$runtime/config.toml"
  containerd --config "$runtime/config.toml" --log-level error &
  pid=$!
  # shellcheck disable=SC2064  # the values of now
  trap "kill $pid; wait $pid; rm -rf '$runtime'" EXIT
  local ctr=(ctr --address "$runtime/socket")
  until "${ctr[@]}" version >/dev/null 2>&1; do kill -0 $pid && sleep 0.1; done
  engine save --quiet --multi-image-archive "${missing[@]}" | images_import "${ctr[@]}"
  # forget what no longer belongs: older operators, other versions
  "${ctr[@]}" --namespace k8s.io images list --quiet | grep -vxFf <(printf '%s\n' "$@") |
    xargs -r "${ctr[@]}" --namespace k8s.io images remove --sync || true
  rm -f "$seed/images"
  for reference in "$@"; do record "$seed/images" "$reference" "$(identity "$reference")"; done
}

# plant NODE: the containerd root that NODE is going to start with.
plant() {
  local folder=$cache/nodes/$1
  rm -rf "$folder" && mkdir -p "$folder"
  cp --archive --link "$seed/containerd" "$folder/"
  cp "$seed/images" "$folder/images"
  # layers and blobs never change once written; databases do, and each node needs its own
  find "$folder/containerd" \( -path '*/snapshots' -o -path '*/blobs' \) -prune -o -type f -print0 | while IFS= read -rd '' file; do
    cp --preserve "$file" "$file.own" && mv "$file.own" "$file"
  done
}
