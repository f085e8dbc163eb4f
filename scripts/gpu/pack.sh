#!/usr/bin/env bash
# Pack data sets into pieces that travel to a machine without a network: pack.sh DATA OUT [SIZE]
#   DATA holds 300w/ and wflw/; OUT gets data.part-aa, -ab, ... of at most SIZE (18M) each. There: cat data.part-* | tar x
set -euo pipefail
mkdir -p "$2"
tar -C "$1" -cf - 300w wflw | split -b "${3:-18M}" - "$2/data.part-"
ls -l "$2"
