#!/bin/bash
# switch.sh NODE DEVICE healthy|unhealthy: breaks an emulated device (gpu-0, gpu-1, fpga-0, fpga-1) of a node, or repairs it. The
# node's allocatable follows within about a second. Works while the API server is down, too.
. "$(dirname "$0")/../cluster/lib.sh"
(($# == 3)) || die "usage: switch.sh NODE DEVICE healthy|unhealthy" "for example: switch.sh $cluster-worker3 gpu-0 unhealthy"
folder=/var/lib/heteroserve-switches   # the DaemonSets in ../cluster/manifests/devices mount it
case $3 in
  healthy) engine exec "$1" rm -f "$folder/$2" ;;
  unhealthy) engine exec "$1" touch "$folder/$2" ;;
  *) die "neither healthy nor unhealthy: $3" ;;
esac
say "$1: $2 is $3"
