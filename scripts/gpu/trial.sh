#!/usr/bin/env bash
# How fast runs side by side are, before they are started in earnest: trial.sh DATA START SECONDS [train.py's options]
set -euo pipefail
export PYTHONPATH=src
data=$1 start=$2 minutes=$(python3 -c "print($3 / 60)")
shift 3
folder=$(mktemp -d)
for sigma in 1.5 2.0; do
    python3 scripts/gpu/train.py "$data" "$folder/$sigma" faces-300w-gpu --sigma $sigma --start "$start" \
        --minutes "$minutes" "$@" >"$folder/$sigma.txt" 2>&1 &
done
wait
tail -n 5 "$folder"/*.txt
python3 - "$folder" <<'P'
import json, sys
from pathlib import Path
from statistics import median
for log in sorted(Path(sys.argv[1]).glob("*/log.jsonl")):
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    late = [step for step in steps[5:] if step["mode"] == "train"]
    print(log.parent.name, len(steps), "steps; median time", median(s["time"] for s in late), "waiting", median(s["data_time"] for s in late), "memory", late[-1]["memory"], "loss", late[-1]["loss"])
P
