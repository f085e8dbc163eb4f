#!/usr/bin/env bash
# Pack data sets into pieces for a machine without a network: pack.sh DATA OUT [SIZE]
#   DATA holds 300w/ and wflw/; OUT gets data.part-aa, -ab, ... of at most SIZE (18M). To unpack: cat data.part-* | tar x
set -euo pipefail
mkdir -p "$2"
tar -C "$1" -cf - 300w wflw | split -b "${3:-18M}" - "$2/data.part-"
ls -l "$2"
