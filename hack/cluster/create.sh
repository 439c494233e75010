#!/bin/bash
# Makes the nodes of a cluster that is not there: up.sh decides that it is not.
. "$(dirname "$0")/lib.sh"
one_at_a_time "$0" "$@"
config=$(mktemp)
trap 'rm -f "$config"' EXIT
"$here/kind-config.sh" >"$config"
arguments=(create cluster --config "$config")

if [[ $(way) == offline ]]; then
  . "$here/images/table.sh"
  plant_all() { for node in "$control_plane" "${workers[@]}"; do plant "$node"; done; }
  step "copying the images for six nodes (hard links)" plant_all
  arguments+=(--image "$node_image")
fi
step "creating the nodes (kind)" kind "${arguments[@]}"
