# shellcheck shell=bash
# The two layers that all other images share: Debian with Python, and Debian as a node.
debian=bookworm

# debian_root CONTAINER PACKAGES: a Debian with these packages and nothing to read.
debian_root() {
  local archive
  archive=$(mktemp --suffix .tar)
  mmdebstrap --quiet --variant=minbase --include="$2" --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' $debian "$archive"
  buildah add --quiet "$1" "$archive" / >/dev/null
  rm "$archive"
  buildah config --env PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$1"
}

# the libraries after Python are those of Triton
python_packages=python3,ca-certificates,libpython3.11,libnuma1,libb64-0d,libre2-9,libarchive13
# a kubelet's and a container runtime's; kube-proxy's iptables are among them
node_packages=systemd,systemd-sysv,dbus,runc,containernetworking-plugins,conntrack,iptables,nftables,iproute2,ethtool,mount,kmod,libseccomp2,curl,jq,hostname,procps,socat,ca-certificates

python_base=localhost/heteroserve/base-python:$debian
node_base=localhost/heteroserve/base-node:$debian
build_python_base() { debian_root "$1" "$python_packages"; }
build_node_base() { debian_root "$1" "$node_packages"; }
bake_python_base() { bake "$python_base" scratch build_python_base "$(declare -f debian_root)" "$python_packages"; }
bake_node_base() { bake "$node_base" scratch build_node_base "$(declare -f debian_root)" "$node_packages"; }
