#!/usr/bin/env bash
# The zoo's models on a GPU: zoo.sh first|rest DATA RUNS [OPTION ...]
#   first: the default weights go on, RUNS/default; the crops of the others are cut meanwhile.
#   rest:  from these, or where they are not there the shipped ones, two at a time: RUNS/fold-0 to fold-4 of the
#          cross-validation, and RUNS/all of all faces.
# The options are those of train.py.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONPATH=src PYTHONUNBUFFERED=1
part=$1 data=$2 runs=$3
shift 3
mkdir -p "$runs"
learn() {
    local run=$1
    shift
    python3 scripts/gpu/train.py "$data" "$runs/$run" "$@" >"$runs/$run.out" 2>&1 || echo "$run failed"
}
if [ "$part" = first ]; then
    (
        for fold in 0 1 2 3 4; do learn fold-$fold faces-gpu --fold $fold --cut; done
        learn all faces-gpu --cut
    ) &
    learn default faces-300w-long --start 300w-hrnetv2-w18-dark --graphs --workers 8 "$@"
    wait
else
    start=$runs/default/half.safetensors
    [ -e "$start" ] || start=300w-hrnetv2-w18-dark
    from=(faces-gpu --start "$start" --graphs --workers 6 "$@")
    for fold in 0 1 2; do learn fold-$fold "${from[@]}" --fold $fold; done &
    for fold in 3 4; do learn fold-$fold "${from[@]}" --fold $fold; done
    learn all "${from[@]}"
    wait
fi
