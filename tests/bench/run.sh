#!/bin/bash
# How long a container takes, from the command to its exit: ours and its full-size counterparts, side by side.
#
#   tests/bench/run.sh [RUNS]      each command RUNS times (default 20), after three that do not count
#
# What is measured is `true` in a container of the same files: all else in the figures is the engine. Ratios within
# one run mean something on any machine; milliseconds only on this one.
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

runs=${1:-20}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/ctr-bench-XXXXXX")
group=ctr-bench-$$-${tmp##*-} # the cgroup that every engine's cgroups are inside of, where the engine can be told
PATH=$CTR_BIN_DIR:$PATH
unset CTR_UNSHARE_RUN CTR_CGSET CTR_MKROOTFS CTR_LAYERFS CTR_PORTFWD CTR_IMGBUILD CTR_CTR
export CTR_ROOT=$tmp/ctr/root CTR_RUN=$tmp/ctr/run
dockerd=

cleanup() {
    [ -z "$dockerd" ] || { kill "$dockerd" 2>/dev/null && wait "$dockerd"; } || true
    cgset delete --kill "$group" || true
    # The daemons' mounts are in this mount namespace alone, but they keep their folders busy until they go.
    awk -v tmp="$tmp/" 'index($5, tmp) == 1 {print $5}' /proc/self/mountinfo | sort -r | xargs -r umount -l || true
    rm -rf --one-file-system "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

has() { command -v "$1" > /dev/null; }

# ---------------------------------------------------------------------------------------------- measuring

declare -A median # name -> milliseconds

# measure NAME COMMAND...: a trial, whose failure is told and leaves the name without a figure, then the figure.
measure() {
    local name=$1
    shift
    if ! "$@" < /dev/null > /dev/null 2> "$tmp/said"; then
        missing "$name" "refused: $(tail -n 1 "$tmp/said" | cut -c 1-150)"
        return
    fi
    if has hyperfine; then
        hyperfine -N --style none --warmup 3 --runs "$runs" --export-csv "$tmp/csv" "${*@Q}" > /dev/null 2> "$tmp/said" ||
            { missing "$name" "failed while being measured: $(tail -n 1 "$tmp/said")"; return; }
        # The command, in the first column, may have commas in it: count from the right.
        median[$name]=$(awk -F, 'NR == 1 {for (i = 1; i <= NF; i++) if ($i == "median") back = NF - i}
            NR == 2 {print $(NF - back) * 1000}' "$tmp/csv")
    else
        median[$name]=$(by_hand "$@")
    fi
    echo "bench: $name: $(printf %.1f "${median[$name]}") ms" >&2
}

# prepared NAME COMMAND...: what has to be done before the measuring, told likewise when it fails.
prepared() {
    local name=$1
    shift
    "$@" > /dev/null 2> "$tmp/said" && return
    missing "$name" "refused: $(tail -n 1 "$tmp/said")"
    return 1
}

# by_hand COMMAND...: the median of its run times in milliseconds, without hyperfine.
by_hand() {
    local i begin end
    for ((i = -3; i < runs; i++)); do
        begin=${EPOCHREALTIME/./}
        "$@" < /dev/null > /dev/null 2>&1 || return
        end=${EPOCHREALTIME/./}
        [ "$i" -lt 0 ] || echo $((end - begin))
    done | sort -n | awk '{t[NR] = $1} END {print (t[int((NR + 1) / 2)] + t[int(NR / 2) + 1]) / 2000}'
}

notes=()
missing() { # NAME WHY
    notes+=("$1: $2")
    echo "bench: $1: $2" >&2
}

declare -A peak # name -> KiB

# memory NAME COMMAND...: the most memory that the command, or a child that it waited for, had resident at once (getrusage(2)).
memory() {
    local name=$1
    shift
    # By a small program (GNU time): what it has itself counts until the command is executed.
    [ -x /usr/bin/time ] || { missing "$name, memory" 'package time is not installed'; return; }
    /usr/bin/time --quiet -f %M -o "$tmp/memory" "$@" < /dev/null > /dev/null 2>&1 || return 0
    peak[$name]=$(< "$tmp/memory")
}

# memory_row NAME
memory_row() {
    [ -z "${peak[$1]:-}" ] || printf '  %-34s %6.1f MiB\n' "$1" "$(awk "BEGIN {print ${peak[$1]} / 1024}")"
}

# row NAME [OTHER TARGET]: one line of the table, with the ratio to another line's figure.
row() {
    local name=$1 other=${2:-} target=${3:-} ratio='' verdict=''
    [ -n "${median[$name]:-}" ] || { printf '  %-34s %9s\n' "$name" -; return; }
    if [ -n "$other" ] && [ -n "${median[$other]:-}" ]; then
        ratio=$(awk "BEGIN {printf \"%.2f\", ${median[$name]} / ${median[$other]}}")
        verdict=$(awk "BEGIN {print ($ratio <= $target) ? \"met\" : \"missed\"}")
        printf '  %-34s %6.1f ms %7s x %-26s <= %-5s %s\n' "$name" "${median[$name]}" "$ratio" "$other" "$target" "$verdict"
        return
    fi
    printf '  %-34s %6.1f ms\n' "$name" "${median[$name]}"
}

# -------------------------------------------------------------------------------------------- preparations

ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /run # what the engines note there is nobody else's business
if [ -d /var/lib/cni ]; then mount -t tmpfs tmpfs /var/lib/cni; fi
mkdir -p "$tmp/bundle" "$tmp/peers"
mkrootfs host "$tmp/rootfs" > /dev/null
tar -cf "$tmp/rootfs.tar" -C "$tmp/rootfs" .

# One bundle for all OCI runtimes, on the same filesystem as the images are. It is marked as of a version that old
# ones know as well.
mv "$tmp/rootfs" "$tmp/bundle/rootfs"
unshare-run spec --pid --mount --uts --ipc --net --cgroup --seccomp unconfined --rootfs "$tmp/bundle/rootfs" -- /bin/true |
    sed -E -e "s|\"linux\": *\{|&\"cgroupsPath\": \"/$group/bundle\",|" \
        -e 's|("ociVersion": *)"[^"]*"|\1"1.0.2"|' > "$tmp/bundle/config.json"

variant() { # NAME FILTER: the bundle again, with a changed configuration
    mkdir "$tmp/bundle-$1"
    ln -s "$tmp/bundle/rootfs" "$tmp/bundle-$1/rootfs"
    jq "$2" "$tmp/bundle/config.json" > "$tmp/bundle-$1/config.json"
}
variant users '.linux.namespaces += [{"type": "user"}] |
    .linux.uidMappings = [{"containerID": 0, "hostID": 0, "size": 65536}] | .linux.gidMappings = .linux.uidMappings'
filter=$(unshare-run spec --mount --rootfs "$tmp/bundle/rootfs" -- /bin/true | jq -c .linux.seccomp) # docker's
variant seccomp ".linux.seccomp = $filter"

# Another dockerd may be running: this one has files, a socket and (in the namespace) a bridge of its own.
start_dockerd() {
    local docker=$tmp/docker waited=0
    mkdir -p "$docker"
    dockerd --data-root "$docker/data" --exec-root "$docker/exec" --pidfile "$docker/pid" \
        --host "unix://$docker/sock" --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$group/docker" \
        > "$docker/log" 2>&1 &
    dockerd=$!
    export DOCKER_HOST=unix://$docker/sock
    until docker version > /dev/null 2>&1; do
        sleep 0.2
        waited=$((waited + 1))
        if [ $waited -gt 150 ] || ! kill -0 "$dockerd" 2> /dev/null; then
            missing 'docker run --rm' "dockerd does not start: $(grep -v level=info "$docker/log" | tail -n 1)"
            return 1
        fi
    done
}

# ------------------------------------------------------------------------------------------- the commands

# The least that can be called a container: what no engine can be faster than.
measure 'bare unshare + chroot' \
    unshare --pid --fork --mount --uts --ipc --net chroot "$tmp/bundle/rootfs" /bin/true

# The same bundle for each runtime, as it is, with docker's system call filter, and with users of its own.
hybrid=/sys/fs/cgroup/unified
for runtime in unshare-run runc crun; do
    if ! has $runtime; then
        missing "$runtime run" 'not installed'
        continue
    fi
    # Where v1 and v2 are mounted side by side, crun refuses; without v2 it works in v1.
    if [ $runtime = crun ] && mountpoint -q $hybrid; then umount $hybrid; fi
    for bundle in bundle bundle-seccomp bundle-users; do
        measure "$runtime run${bundle#bundle}" \
            $runtime --root "$tmp/peers/$runtime" run --bundle "$tmp/$bundle" bench
    done
    memory "$runtime run" $runtime --root "$tmp/peers/$runtime" run --bundle "$tmp/bundle" bench
    if [ $runtime = crun ] && [ -d $hybrid ] && ! mountpoint -q $hybrid; then mount -t cgroup2 cgroup2 $hybrid; fi
done

ctr import "$tmp/rootfs.tar" bench > /dev/null
measure 'ctr run --rm' ctr run --rm bench true
measure 'ctr run --rm --network none' ctr run --rm --network none bench true

if has podman; then
    podman=(podman --root "$tmp/podman/root" --runroot "$tmp/podman/run" --tmpdir "$tmp/podman/tmp"
        --network-config-dir "$tmp/podman/networks" --cgroup-manager cgroupfs --runtime runc)
    # podman raises limits to numbers that the caller may not have a right to; `host` leaves them alone.
    if prepared 'podman run --rm' "${podman[@]}" import -q "$tmp/rootfs.tar" bench; then
        measure 'podman run --rm' \
            "${podman[@]}" run --rm --ulimit host --cgroup-parent "/$group/podman" bench true
    fi
else
    missing 'podman run --rm' 'not installed'
fi

if ! has docker || ! has dockerd; then
    missing 'docker run --rm' 'not installed'
elif start_dockerd; then
    if prepared 'docker run --rm' docker import "$tmp/rootfs.tar" bench; then
        measure 'docker run --rm' docker run --rm bench true
    fi
fi

# --------------------------------------------------------------------------------------------- the table

echo
echo "median of $runs runs of \`true\` in a container, $(uname -r), $(nproc) processors"
row 'bare unshare + chroot'
for kind in '' -seccomp -users; do
    row "unshare-run run$kind" "runc run$kind" 0.40
    row "unshare-run run$kind" "crun run$kind" 1.00
    row "runc run$kind"
    row "crun run$kind"
done
row 'ctr run --rm' 'docker run --rm' 0.12
row 'ctr run --rm' 'podman run --rm' 0.20
row 'ctr run --rm --network none'
row 'podman run --rm'
row 'docker run --rm'
echo 'the most memory of one process of the runtime'
for runtime in unshare-run runc crun; do memory_row "$runtime run"; done
[ ${#notes[@]} -eq 0 ] || printf '  %s\n' 'without a figure:' "${notes[@]/#/  }"
