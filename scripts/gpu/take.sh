#!/usr/bin/env bash
# What runs have brought, in pieces of 15 MB: take.sh OUT RUN ...   (here again: cat OUT/NAME.half.* > weights)
set -euo pipefail
out=$1
shift
for run in "$@"; do
    name=$(basename "$run")
    cp "$run/log.jsonl" "$out/$name.log.jsonl"
    split -b 15M "$run/half.safetensors" "$out/$name.half."
done
