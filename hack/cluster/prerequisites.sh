#!/bin/bash
# Installs what this machine lacks for the offline way (Debian and Ubuntu; root or sudo) and writes podman's settings into the cache.
. "$(dirname "$0")/lib.sh"

# a program that tells that a package is there, and the package
declare -A needs=([podman]=podman [buildah]=buildah [mmdebstrap]=mmdebstrap [runc]=runc [iptables]=iptables [unzip]=unzip [jq]=jq [curl]=curl
  [/usr/lib/podman/netavark]=netavark [/usr/lib/podman/aardvark-dns]=aardvark-dns
  [/usr/share/keyrings/debian-archive-keyring.gpg]=debian-archive-keyring
  [/etc/ssl/certs/ca-certificates.crt]=ca-certificates)

missing=()
for program in "${!needs[@]}"; do
  command -v "$program" >/dev/null || [[ -e $program ]] || missing+=("${needs[$program]}")
done
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)

[[ $(id -u) == 0 ]] || die "the offline way needs root: it runs nodes as privileged containers" "run it again with sudo"
if ((${#missing[@]})); then
  command -v apt-get >/dev/null || die "missing: ${missing[*]}" "install these packages with this machine's package manager"
  install() { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"; }
  step "installing ${missing[*]}" install
fi
"$here/go.sh"

# kind binds this folder into every node; a machine whose kernel has no modules may lack it
mkdir -p /lib/modules

# podman and buildah ask for limits that a process without CAP_SYS_RESOURCE may not set: ask for less, and never for more than it has
limit() { local hard; hard=$(ulimit -H "$2"); [[ $hard != unlimited ]] && ((hard < $3)) || hard=$3; printf '"%s=%s:%s"' "$1" "$hard" "$hard"; }
{
  printf '[network]\nnetwork_backend = "netavark"\n[containers]\ndefault_ulimits = [%s, %s]\n' "$(limit nofile -n 1048576)" "$(limit nproc -u 30000)"
  # crun refuses cgroup v1 hierarchies that have controllers on the v2 side
  [[ -f /sys/fs/cgroup/cgroup.controllers ]] || printf '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
} >"$cache/containers.conf"
