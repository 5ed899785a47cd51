"""A reviewer with the taste of taste.py. Answers every open question of a workspace with `agon review`; with --coin, at random, which no version can please.

    python3 review.py AGON WORKSPACE [--coin SEED]
"""
import json
import random
import subprocess
import sys

from taste import pleases

agon, workspace = sys.argv[1:3]
coin = random.Random(int(sys.argv[4])) if "--coin" in sys.argv else None

items = json.loads(subprocess.run([agon, "review", "--workspace", workspace, "--json"], check=True, capture_output=True, text=True).stdout)
accepted = 0
for item in items:
    yes = coin.random() < 0.5 if coin else pleases(item["response"])
    accepted += yes
    subprocess.run([agon, "review", "--workspace", workspace, "--answer", item["id"], "accept" if yes else "reject"], check=True,
                   capture_output=True)
print(f"{len(items)} answered, {accepted} accepted")
