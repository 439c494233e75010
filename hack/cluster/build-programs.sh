#!/bin/bash
# Builds the cluster's programs from their Go modules into the cache, one folder per program and version, so that only what
# changed is built again. For machines without an image registry; elsewhere nothing here is needed.
# Cold on 2 cores: about 20 minutes. Prints the folder that links to all of them.
. "$(dirname "$0")/lib.sh"
"$here/go.sh"
export CGO_ENABLED=0 GOFLAGS=-buildvcs=false

# module FOLDER: an empty module to build from; families have one each, because their requirements differ.
module() { mkdir -p "$1"; cd "$1"; printf 'module build\n\ngo %s\n' "$GO_LEAST" >go.mod; }

# family NAME VERSION PROGRAM...: runs build_NAME in a fresh folder unless every PROGRAM of that version is in the cache.
family() {
  local name=$1 version=$2 folder="$cache/programs/$1-$2"; shift 2
  if [[ ! -f $folder/complete ]]; then
    rm -rf "$folder" && mkdir -p "$folder"
    step "building $name $version ($*)" "build_$name" "$folder" "$@"
    touch "$folder/complete"
  fi
  for program in "$@"; do ln -sfn "$folder/$program" "$cache/programs/bin/$program"; done
}

build_kubernetes() {
  local folder=$1 work published
  work=$(mktemp -d)
  module "$work"
  published=$(go mod download -json "k8s.io/kubernetes@v$KUBERNETES" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  # k8s.io/kubernetes asks for its staging modules at v0.0.0: point each at its published version
  grep -oE '^\s+k8s\.io/[a-z0-9.-]+ v0\.0\.0$' "$published" | while read -r m _; do
    go mod edit -replace "$m=$m@v0.${KUBERNETES#1.}"
  done
  go mod edit -require "k8s.io/kubernetes@v$KUBERNETES" -require "go.etcd.io/etcd/server/v3@v$ETCD"
  local commands=(kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubeadm kubectl) flags=""
  for c in "${commands[@]}"; do go mod edit -tool "k8s.io/kubernetes/cmd/$c"; done
  go mod edit -tool go.etcd.io/etcd/server/v3
  go mod tidy
  for p in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $p.gitVersion=v$KUBERNETES -X $p.gitMajor=1 -X $p.gitMinor=$(cut -d. -f2 <<<"$KUBERNETES")"
  done
  go build -trimpath -ldflags "-s -w $flags" -o "$folder/" "${commands[@]/#/k8s.io/kubernetes/cmd/}"
  go build -trimpath -ldflags '-s -w' -o "$folder/etcd" go.etcd.io/etcd/server/v3
  cd / && rm -rf "$work"
}

# build_packages FOLDER PACKAGE@VERSION...: programs whose modules build as they are published.
build_packages() {
  local folder=$1 work; shift
  work=$(mktemp -d)
  module "$work"
  go get -tool "$@"
  go build -trimpath -ldflags '-s -w' -o "$folder/" "${@%@*}"
  cd / && rm -rf "$work"
}
build_containerd() {
  local c=github.com/containerd/containerd/v2/cmd
  build_packages "$1" $c/containerd@v$CONTAINERD $c/containerd-shim-runc-v2@v$CONTAINERD $c/ctr@v$CONTAINERD
}
build_coredns() { build_packages "$1" github.com/coredns/coredns@v$COREDNS; }
build_kind() { build_packages "$1" sigs.k8s.io/kind@v$KIND; }
build_helm() { build_packages "$1" helm.sh/helm/v4/cmd/helm@v$HELM; }
build_gateway() {
  build_packages "$1" github.com/envoyproxy/gateway/cmd/envoy-gateway@v$ENVOY_GATEWAY
  # the chart travels with the module; the module cache may be cleaned, so keep a copy beside the program
  cp -r "$(go mod download -json "github.com/envoyproxy/gateway@v$ENVOY_GATEWAY" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')/charts" "$1/charts"
  chmod -R u+w "$1/charts"
}

# without the discoveries of other clouds' machines: they are most of its requirements
build_prometheus() {
  local work
  work=$(mktemp -d)
  module "$work"
  go mod edit -require "github.com/prometheus/prometheus@v0.$(cut -d. -f1 <<<"$PROMETHEUS")$(cut -d. -f2 <<<"$PROMETHEUS").$(cut -d. -f3 <<<"$PROMETHEUS")"
  go build -mod=mod -tags remove_all_sd,enable_kubernetes_sd -trimpath -ldflags "-s -w -X github.com/prometheus/common/version.Version=$PROMETHEUS" \
    -o "$1/" github.com/prometheus/prometheus/cmd/prometheus
  cd / && rm -rf "$work"
}

mkdir -p "$cache/programs/bin"
family kind $KIND kind
family kubernetes $KUBERNETES kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubeadm kubectl etcd
family containerd $CONTAINERD containerd containerd-shim-runc-v2 ctr
family coredns $COREDNS coredns
family helm $HELM helm
family gateway $ENVOY_GATEWAY envoy-gateway
family prometheus $PROMETHEUS prometheus
echo "$cache/programs/bin"
