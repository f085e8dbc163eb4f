#!/usr/bin/env bash
# What runs have brought, in pieces of 15 MB: take.sh OUT RUNS NAME ...   (here again: cat OUT/runs.tar.* | tar x)
set -euo pipefail
out=$1 runs=$2
shift 2
tar -C "$runs" -cf - "${@/%//half.safetensors}" "${@/%//log.jsonl}" | split -b 15M - "$out/runs.tar."
