#!/usr/bin/env bash
# bench.sh VENV: the benchmarks behind the published figures, one JSON object each, into out/bench. Run it on a quiet machine.
# Ends with 1 where one could not be measured; nothing of an earlier run is left in its place.
set -euo pipefail
npc="$1/bin/npc"
out=out/bench
failed=()
mkdir -p "$out"
run() {
    local name=$1
    shift
    echo "==> npc bench $name $*" >&2
    "$npc" bench "$name" --json --out "$out/$name" "$@" >"$out/$name.json.part" &&
        mv "$out/$name.json.part" "$out/$name.json" && return
    echo "    could not measure $name" >&2
    rm -f "$out/$name.json.part" "$out/$name.json"
    failed+=("$name")
}
run latency
run interrupt
run turns
run cues
run animation
run asr
run voices
run server
run mind
run rubric
run inference --quick
echo "results are in $out"
if [ ${#failed[@]} -gt 0 ]; then
    echo "not measured: ${failed[*]}" >&2
    exit 1
fi
