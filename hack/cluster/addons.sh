#!/bin/bash
# Applies what the cluster needs beside its nodes: taints, DNS, emulated accelerators, Envoy Gateway with a Gateway, Prometheus. Then
# waits until all of it works. Applying again changes nothing.
. "$(dirname "$0")/lib.sh"
. "$here/images/table.sh"
manifests=$here/manifests

# render FILE: with the versions and ports of versions.env in the place of ${NAME}
render() {
  local text; text=$(cat "$1")
  while IFS='=' read -r name value; do text=${text//"\${$name}"/$value}; done < <(grep -v '^#' "$here/versions.env")
  echo "$text"
}
apply() { kubectl apply --server-side --force-conflicts -f "$@"; }

taint() {
  kubectl taint node --overwrite -l heteroserve.dev/pool=gpu nvidia.com/gpu=:NoSchedule
  kubectl taint node --overwrite -l heteroserve.dev/pool=fpga amd.com/xilinx_u250=:NoSchedule
}

# DNS must outlive any worker as well; one replica is enough here
place_dns() {
  kubectl -n kube-system patch deployment coredns --type merge \
    -p '{"spec": {"replicas": 1, "template": {"spec": {"nodeSelector": {"node-role.kubernetes.io/control-plane": ""}}}}}'
}

gateway() {
  local chart
  if [[ $(way) == stock ]]; then
    chart=(oci://docker.io/envoyproxy/gateway-helm --version "v$ENVOY_GATEWAY")
  else
    chart=("$(dirname "$(readlink "$programs/envoy-gateway")")/charts/gateway-helm")
    # the module's chart is not a release's: its default image is a placeholder
    sed 's/[$]{GatewayImage[A-Za-z]*}//' "${chart[0]}/values.tmpl.yaml" >"${chart[0]}/values.yaml"
  fi
  kubectl create namespace envoy-gateway-system --dry-run=client -o yaml | apply -
  kubectl label --overwrite namespace envoy-gateway-system pod-security.kubernetes.io/enforce=restricted
  # definitions first: an object of a kind that is not known yet is refused
  helm show crds "${chart[@]}" | apply - >/dev/null
  helm template eg "${chart[@]}" --namespace envoy-gateway-system --values <(render "$manifests/gateway/values.yaml") | apply -
  kubectl wait --for condition=Established --timeout 60s crd/gateways.gateway.networking.k8s.io crd/envoyproxies.gateway.envoyproxy.io
  render "$manifests/gateway/gateway.yaml" | apply -
}

prometheus() { kubectl kustomize "$manifests/prometheus" | render /dev/stdin | apply -; }
devices() {
  local manifest; manifest=$(render "$manifests/devices/devices.yaml")
  # shellcheck disable=SC2016  # the placeholder's own name
  apply - <<<"${manifest//'${DEVICE_PLUGIN_IMAGE}'/$device_plugin_image}"
}

apply_all() { taint; place_dns; devices; gateway; prometheus; }

allocatable() { # RESOURCE POOL: the number on each node of the pool
  kubectl get nodes -l "heteroserve.dev/pool=$2" -o jsonpath="{.items[*].status.allocatable['${1//./\\.}']}"
}
devices_there() {
  local gpu fpga
  gpu=$(allocatable nvidia.com/gpu gpu) fpga=$(allocatable amd.com/xilinx_u250 fpga)
  echo "allocatable GPUs per node: ${gpu:-none}, FPGAs: ${fpga:-none}"
  [[ $gpu == "2 2" && $fpga == 2 ]]
}
gateway_answers() { curl --silent --show-error --output /dev/null --max-time 2 "http://127.0.0.1:$GATEWAY_PORT/"; }
prometheus_answers() { curl --silent --show-error --fail --output /dev/null --max-time 2 "http://127.0.0.1:$PROMETHEUS_PORT/-/ready"; }

wait_for_all() {
  kubectl wait --for condition=Ready --timeout 120s nodes --all
  kubectl -n kube-system rollout status --timeout 120s deployment/coredns
  kubectl -n envoy-gateway-system rollout status --timeout 120s deployment/envoy-gateway
  kubectl -n heteroserve-system wait --for condition=Programmed --timeout 120s gateway/heteroserve
  kubectl -n monitoring rollout status --timeout 120s deployment/prometheus
  until_true 60 "devices" devices_there
  until_true 60 "an answer of the gateway" gateway_answers
  until_true 60 "an answer of Prometheus" prometheus_answers
}

step "applying the gateway, Prometheus and devices" apply_all
step "waiting until all of it works" wait_for_all
