"""Queries without an answer or a verifier, as rows of tasks.file: 180, or with --many 1,000, for a gate with a critic (critic.yaml).

    python3 queries.py [--many] > own.jsonl
"""
import json
import sys

PLACES = ["a kitchen", "a garden", "a school", "a harbour", "a workshop", "a forest", "a market", "a hospital", "a farm", "a library",
          "a station", "a beach", "an office", "a stable", "a museum"]
THINGS = ["the light in", "the smell of", "the oldest object in", "the busiest hour of", "a small accident in", "the first visitor of",
          "the noise of", "a rule of", "the floor of", "the weather at", "a tool in", "an animal at"]
MORE_PLACES = ["a bakery", "a bridge", "a castle", "a circus", "a desert", "an island", "a prison", "a restaurant", "a river", "a village"]
MORE_THINGS = ["the colours of", "the door of", "the silence of", "a secret of", "the last visitor of", "a child in", "a stranger at", "the map of",
               "the danger of", "a sign at", "the owner of", "a song about", "a wall of", "the future of", "the history of", "a meal in",
               "the cleaning of", "a letter from", "a night in", "the best seat in", "the price of", "a machine in", "the dust in", "a photograph of",
               "the shadow of", "a quarrel in", "the window of", "a wedding in"]
if "--many" in sys.argv:
    PLACES, THINGS = PLACES + MORE_PLACES, THINGS + MORE_THINGS
for place in PLACES:
    for thing in THINGS:
        print(json.dumps({"query": f"Describe {thing} {place} in a sentence."}))
