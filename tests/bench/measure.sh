#!/bin/bash
# Measuring and telling, for the benchmarks beside this file, which read it in. Needs $tmp, a folder, and $runs.
# shellcheck shell=bash disable=SC2154,SC2034

declare -A median # name -> milliseconds

# What measure does before each run that it measures, which does not count.
before=

# measure NAME COMMAND...: a trial, whose failure is told and leaves the name without a figure, then the figure.
measure() {
    local name=$1 how=(--warmup 3)
    shift
    [ -z "$before" ] || how=(--warmup 1 --prepare "bash -c ${before@Q}")
    bash -c "$before" > /dev/null 2>&1 || true
    if ! "$@" < /dev/null > /dev/null 2> "$tmp/said"; then
        missing "$name" "refused: $(tail -n 1 "$tmp/said" | cut -c 1-150)"
        return
    fi
    if has hyperfine; then
        hyperfine -N --style none "${how[@]}" --runs "$runs" --export-csv "$tmp/csv" "${*@Q}" > /dev/null 2> "$tmp/said" ||
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
        bash -c "$before" > /dev/null 2>&1 || true
        begin=${EPOCHREALTIME/./}
        "$@" < /dev/null > /dev/null 2>&1 || return
        end=${EPOCHREALTIME/./}
        [ "$i" -lt 0 ] || echo $((end - begin))
    done | sort -n | awk '{t[NR] = $1} END {print (t[int((NR + 1) / 2)] + t[int(NR / 2) + 1]) / 2000}'
}

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

# memory_row NAME [MIB]: and whether it is no more than that
memory_row() {
    [ -n "${peak[$1]:-}" ] || return 0
    printf '  %-34s %6.1f MiB' "$1" "$(awk "BEGIN {print ${peak[$1]} / 1024}")"
    [ -z "${2:-}" ] || verdict "${peak[$1]} / 1024" "$2"
    echo
}

# limit_row NAME MS: a line of the table, and whether it is no more than that
limit_row() {
    [ -n "${median[$1]:-}" ] || { row "$1"; return; }
    printf '  %-34s %6.1f ms' "$1" "${median[$1]}"
    verdict "${median[$1]}" "$2"
    echo
}

verdict() { # FIGURE TARGET
    awk "BEGIN {printf \"%38s <= %-5s %s\", \"\", $2, ($1 <= $2) ? \"met\" : \"missed\"}"
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
