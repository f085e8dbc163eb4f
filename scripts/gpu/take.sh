#!/usr/bin/env bash
# What runs have brought and was not taken yet, of at most three, in pieces of 15 MB: take.sh OUT RUNS
#   Here again: cat OUT/runs.tar.* | tar x; NAME/weights.safetensors without a state is what cross_validate.py takes.
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
