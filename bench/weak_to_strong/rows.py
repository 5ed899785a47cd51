"""Labelled rows from XSTest (xstest_prompts.csv in the folder that AGON_DATA names): 450 requests that sound alike, 200 of them unsafe.

    python3 rows.py > xstest.jsonl
"""
import csv
import json
import os

with open(os.path.join(os.environ["AGON_DATA"], "xstest_prompts.csv"), encoding="utf-8", newline="") as file:
    for row in csv.DictReader(file):
        print(json.dumps({"text": row["prompt"], "label": row["label"]}))
