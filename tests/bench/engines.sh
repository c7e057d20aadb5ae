#!/bin/bash
# What an engine does besides starting containers: logs, starts and stops, lists, and what its parent of a container weighs.
# Read in by containers.sh; docker is measured beside it if its daemon runs and has the image.
# shellcheck shell=bash disable=SC2154,SC2034

engines=(ctr)
if [ -n "${daemons[dockerd]:-}" ] && docker image inspect bench > /dev/null 2>&1; then engines+=(docker); fi

# --- logs: numbered lines of 100 bytes, as fast as they are taken. Each must be there afterwards: whole, once, in order.
lines=1000000
write="yes \$(printf %092d 0) | head -n $lines | cat -n"
bash -c "$write" > "$tmp/lines"

write_log() { # ENGINE: microseconds until a container that writes the lines has ended; fails when they are not all in its log
    local begin=${EPOCHREALTIME/./} end
    "$1" run -d --name log bench sh -c "$write" > /dev/null && [ "$("$1" wait log)" = 0 ] || return
    end=${EPOCHREALTIME/./}
    "$1" logs log | cmp - "$tmp/lines" || return
    "$1" rm log > /dev/null && echo $((end - begin))
}

for engine in "${engines[@]}"; do
    times=
    for _ in 1 2 3; do
        if ! took=$(write_log "$engine" 2> "$tmp/said"); then
            missing "$engine: a log" "lost or torn lines, or refused: $(tail -n 1 "$tmp/said")"
            "$engine" rm -f log > /dev/null 2>&1 || true
            continue 2
        fi
        times+=$took$'\n'
    done
    median["$engine: a log of 100 MB"]=$(sort -n <<< "${times%$'\n'}" | awk 'NR == 2 {print $1 / 1000}')
    echo "bench: $engine: a log of 100 MB: $(printf %.0f "${median["$engine: a log of 100 MB"]}") ms" >&2
done
rm "$tmp/lines"

# --- start and stop, of a program that ends when it is told to
polite="trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"
for engine in "${engines[@]}"; do
    prepared "$engine: start" "$engine" create --name polite bench sh -c "$polite" || continue
    before="$engine stop -t 1 polite"
    measure "$engine: start" "$engine" start polite
    before="$engine start polite; sleep 0.2" # the shell takes a moment to set its trap
    measure "$engine: stop" "$engine" stop polite
    before=
    "$engine" rm -f polite > /dev/null
done

# --- the parent of a container, when it has passed on a megabyte, and then had nothing to do for a while
id=$(ctr run -d --name idle bench sh -c "yes | head -c 1000000; sleep 1000")
until [ "$(ctr logs idle | wc -c)" -ge 1000000 ]; do sleep 0.1; done
shim=$(pgrep -f "ctr shim create $id")
sleep 2
# The program's own pages are one copy for all shims and for ctr itself: what another shim takes is the second figure.
peak['ctr: a shim']=$(awk '/^VmRSS/ {print $2}' "/proc/$shim/status")
peak['ctr: a shim, its share']=$(awk '/^Pss:/ {print $2}' "/proc/$shim/smaps_rollup")
ctr rm -f idle > /dev/null

# --- a thousand stopped containers: one that ran, and its like under other ids and names
ctr run --name stopped bench true
id=$(ctr ps -aq --no-trunc)
for n in $(seq 999); do
    other=$(printf '%012x%052d' "$n" 0)
    cp -a "$CTR_ROOT/containers/$id" "$CTR_ROOT/containers/$other"
    sed -i "s/$id/$other/g; s/\"stopped\"/\"stopped$n\"/" "$CTR_ROOT/containers/$other/"{container,config}.json
    ln -s "../containers/$other" "$CTR_ROOT/names/stopped$n"
done
[ "$(ctr ps -aq | wc -l)" = 1000 ] || missing 'ctr ps -a, 1000 of them' 'not all are listed'
measure 'ctr ps -a, 1000 of them' ctr ps -a
