#!/bin/bash
# One command to a ready local cluster (`make cluster`): 1 control plane and 5 workers with emulated accelerators, Envoy Gateway,
# Prometheus and every image. Run it again at any time: it keeps what works and repairs or remakes what does not.
. "$(dirname "$0")/lib.sh"
one_at_a_time "$0" "$@"
start=$SECONDS
read -r way engine < <("$here/way.sh")

if [[ $way == offline ]]; then
  say "no image registry can be reached: building everything from Go modules, wheels and Debian packages"
  "$here/prerequisites.sh"
  export CONTAINERS_CONF=$cache/containers.conf
  "$here/images.sh"
else
  say "images come from their registries through $engine"
  "$here/stock.sh"
fi
. "$here/images/table.sh"

# healthy: the control plane runs, was made from the node image of now, answers, and has all its workers
healthy() {
  [[ $(state "$control_plane") == running ]] || return 1
  [[ $way == stock || $(engine container inspect --format '{{.Image}}' "$control_plane") == "$(identity "$node_image")" ]] || return 1
  for node in "${workers[@]}"; do [[ $(state "$node") != absent ]] || return 1; done
  timeout 10 kubectl --context "kind-$cluster" get --raw /readyz >/dev/null 2>&1 || return 1
  [[ $(timeout 10 kubectl --context "kind-$cluster" get nodes --output name 2>/dev/null | wc -l) == 6 ]]
}
exists() { for node in "$control_plane" "${workers[@]}"; do [[ $(state "$node") == absent ]] || return 0; done; return 1; }

if healthy; then
  say "the cluster is there: keeping it"
  for node in "${workers[@]}"; do [[ $(state "$node") == running ]] || "$here/node.sh" restore "$node"; done
else
  if exists; then say "the cluster is broken or out of date: making it anew"; "$here/delete.sh"; fi
  "$here/create.sh"
fi

"$here/network.sh"
if [[ $way == stock ]]; then
  # the node image brings a kubectl that fits
  command -v kubectl >/dev/null || engine cp "$control_plane:/usr/bin/kubectl" "$programs/kubectl"
fi
# offline, a new node has them all; a cluster that was kept may lack the newest
possible_images=()
for name in "${images[@]}"; do if possible "$name"; then possible_images+=("$name"); fi; done
"$here/image.sh" "${possible_images[@]}" >/dev/null
"$here/addons.sh"
say "the cluster is ready after $((SECONDS - start)) s"
"$here/addresses.sh"
