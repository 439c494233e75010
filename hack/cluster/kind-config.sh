#!/bin/bash
# Prints kind's configuration of the cluster: 1 control plane and 5 workers. What a node is for is a label; taints are up.sh's.
. "$(dirname "$0")/lib.sh"
way=$(way)

# mount NODE: the offline way's images (images/load.sh)
mount() { [[ $way == stock ]] || printf '  extraMounts:\n  - {hostPath: "%s", containerPath: /var/lib/containerd}\n' "$cache/nodes/$1/containerd"; }

cat <<Y
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
name: $cluster
networking:
  disableDefaultCNI: $([[ $way == stock ]] && echo false || echo true)   # offline, network.sh is the CNI
kubeadmConfigPatches:
- |
  kind: KubeletConfiguration
  failCgroupV1: false   # a machine with cgroup v1 will do
  oomScoreAdj: 0        # a process without CAP_SYS_RESOURCE cannot lower it
nodes:
- role: control-plane
  extraPortMappings:
  - {listenAddress: 127.0.0.1, hostPort: $GATEWAY_PORT, containerPort: $GATEWAY_PORT}
  - {listenAddress: 127.0.0.1, hostPort: $PROMETHEUS_PORT, containerPort: $PROMETHEUS_PORT}
$(mount "$control_plane")
Y
for node in "${workers[@]}"; do
  printf -- '- role: worker\n  labels: {heteroserve.dev/pool: %s}\n%s\n' "${pool[$node]}" "$(mount "$node")"
done
