#!/usr/bin/env bash
# bench.sh VENV: the benchmarks behind the published figures, one JSON object each, into out/bench. Run it on a quiet machine.
set -euo pipefail
npc="$1/bin/npc"
out=out/bench
mkdir -p "$out"
run() {
    local name=$1
    shift
    echo "==> npc bench $name $*" >&2
    "$npc" bench "$name" --json --out "$out/$name" "$@" >"$out/$name.json" || echo "    could not measure $name" >&2
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
