#!/bin/bash
# How long things take: with ours and with its full-size counterparts, side by side.
#
#   tests/bench/run.sh [containers|images]... [RUNS]     each command RUNS times, after a few that do not count
#
# Ratios within one run mean something on any machine; milliseconds only on this one.
#
# All of it happens in network, mount and process namespaces of its own: bridges, firewall rules, mounts and daemons
# of every engine end with the script, however it ends. Peers that are not installed are named and left out.
set -euo pipefail
export LC_ALL=C

if [ "$(id -u)" -ne 0 ]; then
    echo "bench: containers with networks and limits need root: sudo make bench" >&2
    exit 1
fi
if [ -z "${BENCH_INSIDE:-}" ]; then
    : "${CTR_BIN_DIR:=$(cd "$(dirname "$0")/../.." && pwd)/target/bin}"
    [ -x "$CTR_BIN_DIR/ctr" ] || { echo "bench: no ctr in $CTR_BIN_DIR: make build" >&2; exit 1; }
    export CTR_BIN_DIR BENCH_INSIDE=1
    exec unshare --net --mount --pid --fork --kill-child --mount-proc -- "$0" "$@"
fi

parts=()
runs=
for word in "$@"; do
    case $word in
        containers | images) parts+=("$word") ;;
        *[!0-9]* | '') echo "bench: $word is neither a part nor a number of runs" >&2; exit 1 ;;
        *) runs=$word ;;
    esac
done
[ ${#parts[@]} -gt 0 ] || parts=(containers images)
tmp=$(mktemp -d "${TMPDIR:-/tmp}/ctr-bench-XXXXXX")
group=ctr-bench-$$-${tmp##*-} # the cgroup that every engine's cgroups are inside of, where the engine can be told
PATH=$CTR_BIN_DIR:$PATH
unset RUST_BACKTRACE CTR_UNSHARE_RUN CTR_CGSET CTR_MKROOTFS CTR_LAYERFS CTR_PORTFWD CTR_IMGBUILD CTR_CTR
export CTR_ROOT=$tmp/ctr/root CTR_RUN=$tmp/ctr/run
declare -A daemons=() # name -> pid: they end with the script
here=$(dirname "$0")
notes=() # what could not be measured, and why

cleanup() {
    local pid
    for pid in "${daemons[@]}"; do
        { kill "$pid" 2> /dev/null && wait "$pid"; } || true
    done
    cgset delete --kill "$group" || true
    # The daemons' mounts are in this mount namespace alone, but they keep their folders busy until they go.
    awk -v tmp="$tmp/" 'index($5, tmp) == 1 {print $5}' /proc/self/mountinfo | sort -r | xargs -r umount -l || true
    rm -rf --one-file-system "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

has() { command -v "$1" > /dev/null; }

# shellcheck source=/dev/null
. "$here/measure.sh"

ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /run # what the engines note there is nobody else's business
if [ -d /var/lib/cni ]; then mount -t tmpfs tmpfs /var/lib/cni; fi

asked=$runs
for part in "${parts[@]}"; do
    case $part in
        containers) runs=${asked:-20} ;;
        images) runs=${asked:-5} ;; # each takes seconds
    esac
    # shellcheck source=/dev/null
    . "$here/$part.sh"
done
[ ${#notes[@]} -eq 0 ] || printf '  %s\n' 'without a figure:' "${notes[@]/#/  }"
