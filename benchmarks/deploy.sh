#!/usr/bin/env bash
# The network's speed in every runtime: deploy.sh DARKPOSE PHOTOGRAPHS RESULTS DOCS
# PHOTOGRAPHS, a folder of faces, may be empty: then faces are drawn, and nothing is measured in int8. Writes deploy.json
# and deploy-small.json (the small network) into RESULTS, deploy.png into DOCS.
set -euo pipefail
darkpose=$1 photographs=$2 results=$3 docs=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
measure() { # WEIGHTS, further arguments
    local weights=$1 files=() images=()
    shift
    if [ -n "$photographs" ]; then
        "$darkpose" export "$weights" "$work/$weights/int8.onnx" --precision int8 --faces "$photographs" >&2
        files=("$work/$weights/int8.onnx") images=(--images "$photographs")
    fi
    "$darkpose" benchmark "${files[@]}" --weights "$weights" "${images[@]}" "$@"
}
mkdir "$work/default" "$work/300w-small-dark"
measure default --output "$results/deploy.json" --plot "$docs/deploy.png"
measure 300w-small-dark --output "$results/deploy-small.json"
