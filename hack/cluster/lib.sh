# shellcheck shell=bash
# Shared by the scripts of this folder: versions, the cache, progress, and errors that say what to do. Source it; it runs nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
set -a
# shellcheck source=versions.env
. "$here/versions.env"
set +a
cache=${XDG_CACHE_HOME:-$HOME/.cache}/heteroserve
programs=$cache/programs/bin
mkdir -p "$cache/logs"
PATH=$programs:$PATH

cluster=heteroserve
# kind names the nodes and this is their order in its configuration
control_plane=$cluster-control-plane
declare -A pool=([$cluster-worker]=cpu [${cluster}-worker2]=cpu [${cluster}-worker3]=gpu [${cluster}-worker4]=gpu [${cluster}-worker5]=fpga)
# shellcheck disable=SC2034  # read by the scripts that source this file
workers=("$cluster-worker" "$cluster-worker2" "$cluster-worker3" "$cluster-worker4" "$cluster-worker5")

say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*" >&2; }
die() { printf '\nerror: %s\n' "$1" >&2; shift; for line in "$@"; do printf '  %s\n' "$line" >&2; done; exit 1; }

# step WHAT COMMAND...: runs COMMAND with its output in a log, says how long it took, shows the log's end when it fails. A step that is
# over at once goes unmentioned: most of them find their work done.
step() {
  local what=$1 log start=$SECONDS pid; shift
  log="$cache/logs/$(tr -cs 'a-zA-Z0-9\n' - <<<"$what").log"
  # in the background and waited for: a function called inside `if` would run on after its first failing command
  "$@" >"$log" 2>&1 &
  pid=$!
  for _ in {1..10}; do ! kill -0 $pid 2>/dev/null || sleep 0.1; done
  ! kill -0 $pid 2>/dev/null || say "$what ..."
  if ! wait $pid; then
    tail -n 25 "$log" >&2
    die "failed: $what" "the whole log: $log" "run the same command again: finished steps are kept"
  fi
  ((SECONDS - start < 2)) || say "$what: $((SECONDS - start)) s"
}

# all PID...: waits for every one of them and fails when one of them failed.
all() { local failed=0; for pid in "$@"; do wait "$pid" || failed=1; done; return $failed; }

# until_true SECONDS WHAT COMMAND...: tries COMMAND twice a second for so long; what it last said is the error's text.
until_true() {
  local end=$((SECONDS + $1)) what=$2 said; shift 2
  until said=$("$@" 2>&1); do
    ((SECONDS < end)) || die "not in time: $what" "$said" "what the cluster says: kubectl --context kind-$cluster get pods,events -A"
    sleep 0.5
  done
}

# one_at_a_time SCRIPT ARGUMENT...: two of these scripts at once would spoil each other's images and nodes. Starts the script
# again under a lock; the lock stays in flock's own hands, because what a script leaves running would inherit and keep it.
one_at_a_time() {
  [[ -z ${HETEROSERVE_LOCKED-} ]] || return 0
  flock --nonblock "$cache/lock" true || say "waiting for another script of this folder to end ..."
  HETEROSERVE_LOCKED=yes exec flock --close "$cache/lock" "$@"
}

kubectl() { command kubectl --context "kind-$cluster" "$@"; }

# The way in which this cluster is made and the container engine that holds it: way.sh wrote them down.
way() { cut -d' ' -f1 "$cache/way" 2>/dev/null || die "there is no cluster yet" "make one: hack/cluster/up.sh"; }
engine() { "$(cut -d' ' -f2 "$cache/way" 2>/dev/null || echo podman)" "$@"; }
kind() { KIND_EXPERIMENTAL_PROVIDER=$(cut -d' ' -f2 "$cache/way") command kind "$@"; }
state() { engine container inspect --format '{{.State.Status}}' "$1" 2>/dev/null || echo absent; }

# podman with the settings that prerequisites.sh found to be needed here; never those of another engine
[[ -f $cache/containers.conf ]] && export CONTAINERS_CONF=$cache/containers.conf
true
