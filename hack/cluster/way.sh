#!/bin/bash
# Decides how the cluster is made and prints "stock ENGINE" or "offline podman": stock where images can be pulled, offline where
# no registry can be reached. HETEROSERVE_WAY=stock|offline decides instead of the check.
. "$(dirname "$0")/lib.sh"

# the smallest image that a cluster needs anyway; the check is a real pull, because a daemon may run and yet reach no registry
pulls() { timeout 45 "$1" pull --quiet "registry.k8s.io/pause:$PAUSE_TAG" >/dev/null 2>&1; }

decide() {
  [[ ${HETEROSERVE_WAY-} == offline ]] && { echo offline podman; return; }
  for engine in docker podman; do
    { command -v $engine && timeout 10 $engine info; } >/dev/null 2>&1 || continue
    if [[ ${HETEROSERVE_WAY-} == stock ]] || pulls $engine; then echo stock $engine; return; fi
  done
  [[ ${HETEROSERVE_WAY-} != stock ]] || die "neither docker nor podman answers" "start one of them, or unset HETEROSERVE_WAY"
  echo offline podman
}

decision=$(decide)
echo "$decision" >"$cache/way"
echo "$decision"
