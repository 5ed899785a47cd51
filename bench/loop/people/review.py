"""A reviewer with a taste that agon is not told: one whole sentence of at most 16 words. Answers every open question of a
workspace with `agon review`; with --coin, at random, which no version can please.

    python3 review.py AGON WORKSPACE [--coin SEED]
"""
import json
import random
import re
import subprocess
import sys

agon, workspace = sys.argv[1:3]
coin = random.Random(int(sys.argv[4])) if "--coin" in sys.argv else None


def pleases(text):
    text = text.strip()
    return len(text.split()) <= 16 and text[-1:] in list(".!?") and not re.search(r"[.!?\n]\s", text)


items = json.loads(subprocess.run([agon, "review", "--workspace", workspace, "--json"], check=True, capture_output=True, text=True).stdout)
accepted = 0
for item in items:
    yes = coin.random() < 0.5 if coin else pleases(item["response"])
    accepted += yes
    subprocess.run([agon, "review", "--workspace", workspace, "--answer", item["id"], "accept" if yes else "reject"], check=True,
                   capture_output=True)
print(f"{len(items)} answered, {accepted} accepted")
