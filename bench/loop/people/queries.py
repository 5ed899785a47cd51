"""Queries without an answer or a verifier, as rows of tasks.file."""
import json

PLACES = ["a kitchen", "a garden", "a school", "a harbour", "a workshop", "a forest", "a market", "a hospital", "a farm", "a library",
          "a station", "a beach", "an office", "a stable", "a museum"]
THINGS = ["the light in", "the smell of", "the oldest object in", "the busiest hour of", "a small accident in", "the first visitor of",
          "the noise of", "a rule of", "the floor of", "the weather at", "a tool in", "an animal at"]
for place in PLACES:
    for thing in THINGS:
        print(json.dumps({"query": f"Describe {thing} {place} in a sentence."}))
