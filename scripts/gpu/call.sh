#!/usr/bin/env bash
# All work for a GPU, in calls of at most ten minutes: call.sh DATA RUNS OUT [more SECONDS]
#   DATA is made by pack.py. The most important parts come first; each has a time limit, and a failure does not stop the
#   others. OUT gets gpu.json (that of benchmarks/results with the new measurements), log.txt, and the weights of up to
#   three runs in pieces. With "more", directly afterwards, the runs continue for SECONDS and the next weights are taken.
#   To send little: of src/darkpose/weights/shipped only 300w-hrnetv2-w18-dark is needed; tests/golden is not needed.
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
part graphs 60 python3 -m pytest -q -W default -p no:cacheprovider tests/training/gpu/test_cuda_graphs.py -k a_gpu
left=$((540 - SECONDS))
part zoo $((left + 20)) bash scripts/gpu/zoo.sh rest "$data" "$runs" "$left"
part take 20 bash scripts/gpu/take.sh "$out" "$runs"
[ $((585 - SECONDS)) -ge 45 ] && part compiled-graphs $((585 - SECONDS)) python3 benchmarks/gpu.py "$out" compiled-graphs
exit 0
