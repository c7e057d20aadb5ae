#!/bin/bash
# How long a container takes: the same bundle for each runtime, the same image for each engine. Read in by run.sh.
# shellcheck shell=bash disable=SC2154,SC2034

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
    daemons[dockerd]=$!
    export DOCKER_HOST=unix://$docker/sock
    until docker version > /dev/null 2>&1; do
        sleep 0.2
        waited=$((waited + 1))
        if [ $waited -gt 150 ] || ! kill -0 "${daemons[dockerd]}" 2> /dev/null; then
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

# shellcheck source=/dev/null
. "$here/engines.sh"

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
for what in 'a log of 100 MB' start stop; do row "ctr: $what" "docker: $what" 1.00; done
for what in 'a log of 100 MB' start stop; do row "docker: $what"; done
limit_row 'ctr ps -a, 1000 of them' 50
echo 'the most memory of one process of the runtime'
for runtime in unshare-run runc crun; do memory_row "$runtime run"; done
memory_row 'ctr: a shim' 2
memory_row 'ctr: a shim, its share' 2
