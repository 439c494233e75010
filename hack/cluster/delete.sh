#!/bin/bash
# Removes the cluster (`make cluster-delete`) and all that it left outside the cache. With --cache removes the cache, too: programs,
# images and the seed; the next cluster then takes about 20 minutes.
. "$(dirname "$0")/lib.sh"
one_at_a_time "$0" "$@"

remove_cluster() {
  # nothing in them is worth a slow stop, and a paused one would never stop; one whose process died with its session is
  # "running" to podman all the same, cannot be killed, and can be removed
  for node in "$control_plane" "${workers[@]}"; do
    case $(state "$node") in
      paused) if engine unpause "$node"; then engine kill "$node" || true; fi ;;
      running) engine kill "$node" || true ;;
    esac
  done
  if command -v kind >/dev/null; then
    kind delete cluster --name "$cluster"
  else
    engine rm --force --volumes "$control_plane" "${workers[@]}" || true
  fi
  rm -rf "$cache/nodes"
  # the network is kind's own; other clusters of kind may be on it, and then it stays
  engine network rm kind || true
}
remove_cache() {
  engine image ls --quiet --filter label=heteroserve.key | sort -u | xargs -r "$(cut -d' ' -f2 "$cache/way")" image rm --force
  rm -rf "$cache/programs" "$cache/seed"
}

if [[ -f $cache/way ]]; then
  step "removing the cluster" remove_cluster
  [[ ${1-} != --cache ]] || step "removing the cache" remove_cache
else
  say "there is no cluster"
fi
[[ ${1-} != --cache ]] || rm -rf "$cache"
