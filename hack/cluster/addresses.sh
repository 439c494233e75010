#!/bin/bash
# Prints where the cluster answers, for people and for scripts: eval "$(hack/cluster/addresses.sh)".
. "$(dirname "$0")/lib.sh"
cat <<T
GATEWAY=127.0.0.1:$GATEWAY_PORT
PROMETHEUS=http://127.0.0.1:$PROMETHEUS_PORT
KUBECTL='$(type -P kubectl) --context kind-$cluster'
T
