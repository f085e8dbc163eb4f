#!/usr/bin/env bash
# Collect new results of at most three runs, in pieces of 15 MB: take.sh OUT RUNS
#   To unpack: cat OUT/runs.tar.* | tar x; cross_validate.py accepts NAME/weights.safetensors without a state.
set -euo pipefail
out=$1 runs=$2 names=()
for run in all default fold-0 fold-1 fold-2 fold-3 fold-4; do
    [ -e "$runs/$run/half.safetensors" ] && [ ! -e "$runs/$run/taken" ] && [ ${#names[@]} -lt 3 ] && names+=("$run")
done
[ ${#names[@]} -gt 0 ] || exit 0
tar -C "$runs" --transform 's|half[.]safetensors|weights.safetensors|' -cf - \
    "${names[@]/%//half.safetensors}" "${names[@]/%//log.jsonl}" | split -b 15M - "$out/runs.tar."
for run in "${names[@]}"; do touch "$runs/$run/taken"; done
echo "taken: ${names[*]}"
