# shellcheck shell=bash
# Every image of the project in both ways: how it is made and on which nodes it runs. Kubernetes' own are in system.sh.
for part in lib base system gateway prometheus triton operator device-plugin model load; do . "$here/images/$part.sh"; done

images=(triton envoy gateway prometheus device-plugin operator model-digits)

# describe NAME: sets `reference`, `where` (the nodes' pools), `bake` (the offline way), and `upstream` or `dockerfile` (the stock way).
describe() {
  upstream='' dockerfile='' context=$root where=control-plane
  case $1 in
    triton) reference=$triton_image where='cpu gpu fpga' bake=bake_triton upstream=nvcr.io/nvidia/tritonserver:$TRITON_RELEASE-py3 ;;
    envoy) reference=$envoy_image bake=bake_envoy upstream=docker.io/envoyproxy/envoy:distroless-v$ENVOY ;;
    gateway) reference=$gateway_image bake=bake_gateway upstream=docker.io/envoyproxy/gateway:v$ENVOY_GATEWAY ;;
    prometheus) reference=$prometheus_image bake=bake_prometheus upstream=docker.io/prom/prometheus:v$PROMETHEUS ;;
    device-plugin) reference=$device_plugin_image where='gpu fpga' bake=bake_device_plugin dockerfile=$root/hack/device-plugin/Dockerfile ;;
    operator) reference=$(operator_image) bake=bake_operator dockerfile=$root/operator/Dockerfile ;;
    model-digits) reference=$model_image where='cpu gpu fpga' bake=bake_model dockerfile=$here/images/model.Dockerfile context=$model_folder ;;
    *) die "no such image: $1" "there are: ${images[*]}" ;;
  esac
}

# possible NAME: whether what the image is made of is there already
possible() {
  case $1 in
    operator) [[ -f $requirements ]] ;;
    model-digits) [[ -d $model_folder ]] ;;
  esac
}

# nodes POOL...: the nodes of these pools
nodes() {
  local wanted
  for wanted in "$@"; do
    [[ $wanted != control-plane ]] || echo "$control_plane"
    for node in "${workers[@]}"; do [[ ${pool[$node]} != "$wanted" ]] || echo "$node"; done
  done
}
