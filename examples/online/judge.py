#!/usr/bin/env python3
"""A judge for agon train --online: likes short answers, and those that hold the row's keyword.

    agon train dpo --online --data examples/online/prompts.jsonl --judge "python3 examples/online/judge.py" --output mine --lora 16

One JSON line in, one out, for each sample: {"id", "reward"}. The row's members are under "data".
"""
import json
import sys

for line in sys.stdin:
    question = json.loads(line)
    data = question["data"]
    words = len(data["completion"].split())
    reward = -words / 20
    if data.get("keyword", "").lower() in data["completion"].lower():
        reward += 1
    print(json.dumps({"id": question["id"], "reward": reward}), flush=True)
