"""Queries without an answer or a verifier: one sentence about a thing, as rows of tasks.file."""
import json

PLACES = ["a kitchen", "a garden", "a school", "a harbour", "a workshop", "a forest", "a market", "a hospital", "a farm", "a library",
          "a station", "a beach", "an office", "a stable", "a museum"]
THINGS = ["the light", "the smell", "the oldest object", "the busiest hour", "a small accident", "the first visitor", "the noise",
          "a rule", "the floor", "the weather outside", "a tool", "an animal"]
for place in PLACES:
    for thing in THINGS:
        print(json.dumps({"query": f"Think of {place} and write about {thing} there."}))
