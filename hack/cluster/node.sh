#!/bin/bash
# node.sh kill|freeze|thaw|restore NODE, node.sh exec NODE COMMAND...: what happens to a node, whichever engine holds it.
#   kill     pulls the plug: its processes are gone, connections to it are refused or unreachable
#   freeze   stops it silently: packets vanish, connections hang
#   thaw     lets a frozen node go on
#   restore  brings back a killed or frozen node and waits until it is Ready, with its devices
#   exec     runs a command in it
. "$(dirname "$0")/lib.sh"
usage=("usage: node.sh kill|freeze|thaw|restore NODE" "       node.sh exec NODE COMMAND..." "nodes: $control_plane ${workers[*]}")
if (($# > 2)) && [[ $1 == exec ]]; then
  engine exec "$2" "${@:3}"
  exit
fi
(($# == 2)) || die "${usage[@]}"
node=$2
[[ $(state "$node") != absent ]] || die "no such node: $node" "${usage[@]}"

# The API server goes on calling a dead node Ready for 40 s and more: believe only a heartbeat that is younger than its return.
heartbeat() { kubectl -n kube-node-lease get lease "$node" --output jsonpath='{.spec.renewTime}'; }
ready() {
  kubectl get node "$node" --output jsonpath='{range .status.conditions[?(@.type=="Ready")]}{.status} {.message}{end}' | grep '^True' &&
    [[ $(heartbeat) > $1 ]]
}

# a kubelet that starts forgets its devices until their plugin runs again, and tells the API server every 10 s
devices() {
  local allocatable
  allocatable=$(kubectl get node "$node" --output jsonpath='{.status.allocatable}')
  echo "allocatable: $allocatable"
  case ${pool[$node]-} in gpu) grep 'nvidia.com/gpu":"[1-9]' ;; fpga) grep 'amd.com/xilinx_u250":"[1-9]' ;; esac <<<"$allocatable"
}

restore() {
  local before
  before=$(heartbeat)
  case $(state "$node") in
    paused) engine unpause "$node" ;;
    running) ;;
    *) engine start "$node" ;;
  esac
  "$here/network.sh"
  until_true 120 "$node is Ready again" ready "$before"
  until_true 60 "the devices of $node" devices
}

case $1 in
  kill) step "killing $node" engine kill --signal KILL "$node" ;;
  freeze) step "freezing $node" engine pause "$node" ;;
  thaw) step "thawing $node" engine unpause "$node" ;;
  restore) step "restoring $node" restore ;;
  *) die "${usage[@]}" ;;
esac
