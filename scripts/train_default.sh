#!/usr/bin/env bash
# Train the weights that the package ships: small crops first, then full size, then three markups at once, and longer;
# from there on by the adaptive wing loss, and with 64 crops a step, twice (made for a GPU), which gives
# 300w-hrnetv2-w18-dark; and from it, with faces of WFLW's test set, faces-hrnetv2-w18-dark. Last a smaller network, taught by the
# shipped 300w-hrnetv2-w18-dark: 300w-small-dark.
#   train_default.sh DATA RUNS     DATA holds 300w/ and wflw/
# Safe to kill and start again.
set -euo pipefail
darkpose=${DARKPOSE:-.venv/bin/darkpose}
"$darkpose" train 300w-128 --root "$1/300w" --out "$2/300w-128"
"$darkpose" train 300w-256 --root "$1/300w" --out "$2/300w-256" --start "$2/300w-128/weights.safetensors"
"$darkpose" train faces-300w --root "$1" --out "$2/faces-300w" --start "$2/300w-256/weights.safetensors"
"$darkpose" train faces-300w-longer --root "$1" --out "$2/faces-300w-longer" --start "$2/faces-300w/weights.safetensors"
"$darkpose" train faces-300w-wing --root "$1" --out "$2/faces-300w-wing" --start "$2/faces-300w-longer/weights.safetensors"
"$darkpose" train faces-300w-gpu --root "$1" --out "$2/faces-300w-gpu" --start "$2/faces-300w-wing/weights.safetensors"
"$darkpose" train faces-300w-long --root "$1" --out "$2/faces-300w-long" --start "$2/faces-300w-gpu/weights.safetensors"
"$darkpose" train faces --wflw-test --root "$1" --out "$2/faces" --start "$2/faces-300w-long/weights.safetensors"
"$darkpose" train small-128 --root "$1" --out "$2/small-128"
"$darkpose" train small --root "$1" --out "$2/small" --start "$2/small-128/weights.safetensors"
