#!/usr/bin/env bash
# What waits for a GPU, in one call of ten minutes: call.sh DATA RUNS OUT
#   DATA is what pack.py made. What is short and most wanted comes first; every part has its time, and one that fails
#   leaves the others alone. OUT gets gpu.json (what benchmarks/results has, with what is measured), log.txt, and three
#   folds' weights in pieces; the others' by take.sh OUT RUNS fold-3 fold-4 all, in another call.
set -uo pipefail
cd "$(dirname "$0")/../.."
data=$1 runs=$2 out=$3
export PYTHONPATH=src PYTHONUNBUFFERED=1
mkdir -p "$out" "$runs"
cp benchmarks/results/gpu.json "$out/"
part() { # NAME SECONDS COMMAND ...
    local name=$1 seconds=$2 began=$SECONDS code=0
    shift 2
    echo "--- $name" >>"$out/log.txt"
    timeout --kill-after=5 "$seconds" "$@" >>"$out/log.txt" 2>&1 || code=$?
    echo "$name: exit code $code after $((SECONDS - began)) s"
}
part predict 90 python3 benchmarks/gpu.py "$out" predict
part graphs 90 python3 -m pytest -q -p no:cacheprovider tests/test_graphed_passes.py -k a_gpu
part train 120 python3 benchmarks/gpu.py "$out" train
part zoo 300 bash scripts/gpu/zoo.sh rest "$data" "$runs" --epochs 3
part train-compiled 90 python3 benchmarks/gpu.py "$out" train-compiled
part take 20 bash scripts/gpu/take.sh "$out" "$runs" fold-0 fold-1 fold-2
