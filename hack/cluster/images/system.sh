# shellcheck shell=bash
# Kubernetes' own images, one program each, and the image of a node. Their tags are those that kubeadm asks for.
registry=registry.k8s.io
node_image=localhost/heteroserve/node:$KUBERNETES
system_images=("$registry/pause:$PAUSE_TAG" "$registry/etcd:$ETCD_TAG" "$registry/coredns/coredns:$COREDNS_TAG")
for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do system_images+=("$registry/$name:v$KUBERNETES"); done

build_pause() {
  local work; work=$(mktemp -d)
  CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$work/pause" "$here/node/pause.go"
  put "$1" "$work/pause" /pause
  buildah config --entrypoint '["/pause"]' "$1"
  rm -r "$work"
}

# build_program CONTAINER: copies $program to where kubeadm's manifests and CoreDNS's expect it.
build_program() {
  put "$1" "$programs/$program" "$directory/$program"
  buildah config --entrypoint "[\"$directory/$program\"]" --env PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$1"
}

bake_system() {
  local program directory=/usr/local/bin
  bake "$registry/pause:$PAUSE_TAG" scratch build_pause "$here/node/pause.go"
  for program in kube-apiserver kube-controller-manager kube-scheduler; do
    bake "$registry/$program:v$KUBERNETES" scratch build_program "$(readlink "$programs/$program")"
  done
  program=kube-proxy; bake "$registry/kube-proxy:v$KUBERNETES" "$node_base" build_program "$(readlink "$programs/$program")"
  program=etcd; bake "$registry/etcd:$ETCD_TAG" scratch build_program "$(readlink "$programs/$program")"
  program=coredns; directory=''; bake "$registry/coredns/coredns:$COREDNS_TAG" scratch build_program "$(readlink "$programs/$program")"
}

build_node() {
  put --chmod 0755 "$1" "$here/node/entrypoint" /usr/local/bin/
  put "$1" "$here/node/containerd.service" "$here/node/kubelet.service" /etc/systemd/system/
  put "$1" "$here/node/containerd.toml" /etc/containerd/config.toml
  put "$1" "$programs/containerd" "$programs/containerd-shim-runc-v2" "$programs/ctr" /usr/local/bin/
  put "$1" "$programs/kubeadm" "$programs/kubelet" "$programs/kubectl" /usr/bin/
  buildah run --isolation chroot "$1" -- bash -euc "
    # the first boot is the only one that matters: nothing of a real machine's start is wanted
    rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* /lib/systemd/system/sockets.target.wants/*udev*
    echo ReadKMsg=no >>/etc/systemd/journald.conf
    systemctl enable -q containerd kubelet
    mkdir -p /etc/kubernetes/manifests /etc/cni/net.d /opt/cni/bin /kind/manifests
    cp /usr/lib/cni/* /opt/cni/bin/
    sed -i s/PAUSE_TAG/$PAUSE_TAG/ /etc/containerd/config.toml
    ctr oci spec | jq 'del(.process.rlimits)' >/etc/containerd/base-spec.json
    echo v$KUBERNETES >/kind/version"
  # kind reads the version above and looks for the tools where they are now; podman tells systemd how to stop
  buildah config --entrypoint '["/usr/local/bin/entrypoint", "/sbin/init"]' --env container=podman --stop-signal SIGRTMIN+3 "$1"
}
bake_node() { bake "$node_image" "$node_base" build_node "$here/node" "$(readlink "$programs/kubelet" "$programs/containerd")"; }
