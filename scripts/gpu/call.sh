#!/usr/bin/env bash
# What waits for a GPU, in calls of at most ten minutes: call.sh DATA RUNS OUT [more SECONDS]
#   DATA is what pack.py made. What is most wanted comes first; every part has its time, and one that fails leaves the
#   others alone. OUT gets gpu.json (what benchmarks/results has, with what is measured), log.txt, and up to three
#   runs' weights in pieces. With "more", at once afterwards, the runs go on for so many seconds, and the next are taken.
#   Where little may travel: of src/darkpose/weights/shipped only 300w-hrnetv2-w18-dark is needed, tests/golden is not.
set -uo pipefail
cd "$(dirname "$0")/../.."
data=$1 runs=$2 out=$3
export PYTHONPATH=src PYTHONUNBUFFERED=1
mkdir -p "$out" "$runs"
part() { # NAME SECONDS COMMAND ...
    local name=$1 seconds=$2 began=$SECONDS code=0
    shift 2
    echo "--- $name" >>"$out/log.txt"
    timeout --kill-after=5 "$seconds" "$@" >>"$out/log.txt" 2>&1 || code=$?
    echo "$name: exit code $code after $((SECONDS - began)) s"
}
if [ "${4:-}" = more ]; then
    part zoo $(($5 + 30)) bash scripts/gpu/zoo.sh rest "$data" "$runs" "$5"
    part take 20 bash scripts/gpu/take.sh "$out" "$runs"
    exit
fi
cp benchmarks/results/gpu.json "$out/"
part predict 75 python3 benchmarks/gpu.py "$out" predict
part train 90 python3 benchmarks/gpu.py "$out" train
part compiled 75 python3 benchmarks/gpu.py "$out" compiled
part graphs 60 python3 -m pytest -q -W default -p no:cacheprovider tests/test_graphed_passes.py -k a_gpu
left=$((540 - SECONDS))
part zoo $((left + 20)) bash scripts/gpu/zoo.sh rest "$data" "$runs" "$left"
part take 20 bash scripts/gpu/take.sh "$out" "$runs"
[ $((585 - SECONDS)) -ge 45 ] && part compiled-graphs $((585 - SECONDS)) python3 benchmarks/gpu.py "$out" compiled-graphs
exit 0
