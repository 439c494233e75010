#!/bin/bash
# Offline way: gives every running node its CNI configuration and a route to every other node's pods. Again after a node was started
# again, because it may have got another address. From outside, because a kubelet may not list the other nodes. With the stock node
# image kind's own network does all this.
. "$(dirname "$0")/lib.sh"
[[ $(way) == offline ]] || exit 0

# the engine knows a restarted node's address before the API server does
declare -A range address
while read -r node cidr; do
  [[ $(state "$node") == running ]] || continue
  range[$node]=$cidr
  address[$node]=$(engine container inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$node")
done < <(kubectl get nodes -o jsonpath='{range .items[*]}{.metadata.name} {.spec.podCIDR}{"\n"}{end}')

# ptp and not bridge: a node without a bridge needs no bridge's kernel settings
configuration() {
  printf '{"cniVersion": "1.0.0", "name": "pods", "plugins": [
    {"type": "ptp", "ipMasq": false, "ipam": {"type": "host-local", "ranges": [[{"subnet": "%s"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": true}}]}' "$1"
}

set_up() {
  {
    for other in "${!range[@]}"; do
      [[ $other == "$1" ]] || echo "ip route replace ${range[$other]} via ${address[$other]}"
    done
    # renamed into place: containerd must never read half a file
    printf "printf '%%s' '%s' >/etc/cni/net.d/new && mv /etc/cni/net.d/new /etc/cni/net.d/10-pods.conflist\n" "$(configuration "${range[$1]}")"
  } | engine exec --interactive "$1" bash -euo pipefail -s
}

jobs=()
for node in "${!range[@]}"; do set_up "$node" & jobs+=($!); done
all "${jobs[@]}" || die "the pod network is not complete" "run it again: hack/cluster/network.sh"
