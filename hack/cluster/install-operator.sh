#!/bin/bash
# Builds the operator's image, loads it, applies manifests/dev with that image, and waits for the rollout (`make install`).
# The image's tag is a fingerprint of what is in it: the Deployment changes when, and only when, the operator did.
. "$(dirname "$0")/lib.sh"
one_at_a_time "$0" "$@"
overlay=$root/manifests/dev
[[ -d $overlay ]] || die "there is no $overlay"
reference=$("$here/image.sh" operator)

apply() {
  # definitions first, and known before anything of their kind is applied
  kubectl apply --server-side --force-conflicts -k "$root/crds"
  kubectl kustomize "$root/crds" | kubectl wait --for condition=Established --timeout 30s -f -
  kubectl kustomize "$overlay" | sed "s#localhost/heteroserve/operator:dev#$reference#" | kubectl apply --server-side --force-conflicts -f -
}
rollout() { kubectl -n heteroserve-system rollout status --timeout 120s deployment; }

step "applying the operator" apply
step "waiting for the operator" rollout
say "the operator runs: $reference"
