# shellcheck shell=bash
# Prometheus from its Go module. Debian's package would do but for one thing: it is built without the discovery of pods.
prometheus_image=localhost/heteroserve/prometheus:$PROMETHEUS

build_prometheus() {
  put "$1" "$programs/prometheus" /usr/local/bin/prometheus
  buildah config --user 65534:65534 --env PATH=/usr/local/bin:/usr/bin:/bin --entrypoint '["/usr/local/bin/prometheus"]' "$1"
}
bake_prometheus() { bake "$prometheus_image" scratch build_prometheus "$(readlink "$programs/prometheus")"; }
