#!/bin/bash
# Stock way: fetches the tools that this machine lacks into the cache. Not run where this project is written: no registry there.
. "$(dirname "$0")/lib.sh"
mkdir -p "$programs"

# tool NAME PACKAGE@VERSION
tool() {
  command -v "$1" >/dev/null && return
  "$here/go.sh"
  step "installing $1" env GOBIN="$programs" go install "$2"
}
tool kind "sigs.k8s.io/kind@v$KIND"
tool helm "helm.sh/helm/v4/cmd/helm@v$HELM"
