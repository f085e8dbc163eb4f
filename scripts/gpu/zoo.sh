#!/usr/bin/env bash
# Train the models of the zoo on a GPU: zoo.sh first|rest DATA RUNS SECONDS [OPTION ...]
#   first: train the default weights further, in RUNS/default.
#   rest:  from these, or else from the shipped ones, two at a time: RUNS/all with all faces, and RUNS/fold-0 to fold-4
#          of the cross-validation.
# After SECONDS every run saves its state and stops; finished runs are skipped when called again. The options are those
# of train.py, the same every time.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONPATH=src PYTHONUNBUFFERED=1
part=$1 data=$2 runs=$3 end=$((SECONDS + $4))
shift 4
mkdir -p "$runs"
train() {
    local run=$1 left=$((end - SECONDS))
    shift
    [ -e "$runs/$run/half.safetensors" ] && return
    [ "$left" -ge 45 ] || return 0
    echo "$run: $left s left"
    python3 scripts/gpu/train.py "$data" "$runs/$run" "$@" --seconds $((left - 15)) >"$runs/$run.out" 2>&1 ||
        { echo "$run failed:"; tail -n 25 "$runs/$run.out"; }
    tail -n 1 "$runs/$run.out"
}
if [ "$part" = first ]; then
    train default faces-300w-long --start 300w-hrnetv2-w18-dark --graphs --workers 8 "$@"
else
    start=$runs/default/half.safetensors
    [ -e "$start" ] || start=300w-hrnetv2-w18-dark
    from=(faces-gpu --start "$start" --graphs --workers 6 "$@")
    {
        train all "${from[@]}"
        for fold in 0 1; do train fold-$fold "${from[@]}" --fold $fold; done
    } &
    for fold in 2 3 4; do train fold-$fold "${from[@]}" --fold $fold; done
    wait
fi
