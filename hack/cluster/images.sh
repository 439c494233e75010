#!/bin/bash
# Offline way: builds every program and image that the cluster needs, unless it is in the cache, and the seed that nodes start from.
# Cold on 2 cores about 15 minutes, nearly all of it the Go programs; warm a few seconds.
. "$(dirname "$0")/lib.sh"
one_at_a_time "$0" "$@"
. "$here/images/table.sh"

# two chains for two cores: one mostly waits for downloads, the other compiles
packaged() {
  step "base image: Debian with Python" bake_python_base
  for name in triton envoy device-plugin operator model-digits; do
    possible $name || { say "image: $name: left out, what it is made of is not there"; continue; }
    describe $name
    step "image: $name" "$bake"
  done
}
compiled() {
  "$here/build-programs.sh" >/dev/null
  step "base image: Debian as a node" bake_node_base
  step "images: Kubernetes" bake_system
  step "image: node" bake_node
  step "image: gateway" bake_gateway
  step "image: prometheus" bake_prometheus
}
packaged & chains=($!)
compiled & chains+=($!)
all "${chains[@]}" || exit 1

references=("${system_images[@]}")
for name in "${images[@]}"; do possible "$name" && describe "$name" && references+=("$reference"); done
step "seed of the nodes' images" grow_seed "${references[@]}"
