"""What the gate of critic.yaml would have said, had other held-out queries been put to the people: the truth is known of all of them here.
First the gate's own estimate again, which must come out the same; then, of 2,000 draws, how wide the intervals are with and without the critic,
how often they hold the truth, and how often the candidate is promoted: as it is, where only a part of its answers are new (the others are the
incumbent's), and before people who toss a coin for each answer, whom no version can please.

    python3 redraw.py WORKSPACE
"""
import json
import math
import random
import sqlite3
import statistics
import sys

from taste import pleases

DRAWS = 2000
db = sqlite3.connect(f"file:{sys.argv[1]}/agon.db?mode=ro", uri=True)


def rows(sql, *values):
    return db.execute(sql, values).fetchall()


# ---- what the workspace holds

base, candidate = (rows("SELECT id FROM model_version WHERE role = ?", role)[0][0] for role in ("base", "learner"))


def answers(version):
    said = {}
    for (item, result) in rows("SELECT input, result FROM step_item WHERE path = ?", f"iteration/1/evaluate/{version[:12]}/tasks"):
        said[json.loads(item)["messages"][-1]["content"]] = json.loads(result)["out"]["completions"][0]["text"]
    return said


def calibrated(p):
    kind = calibrator["kind"]
    logit = math.log(p / (1 - p)) if 0 < p < 1 else math.copysign(40, p - 0.5)
    if kind == "isotonic":
        return calibrator["value"][max([i for i, x in enumerate(calibrator["from"]) if x <= p], default=0)]
    return 1 / (1 + math.exp(-(calibrator["a"] * logit + calibrator["b"] if kind == "platt" else logit / calibrator["t"])))


before, after = answers(base), answers(candidate)
calibrator = json.loads(rows("SELECT parameters FROM calibration ORDER BY rowid DESC")[0][0])["calibrator"]
judged = {}
for (item, result) in rows("SELECT input, result FROM step_item WHERE path = 'iteration/1/gate/judge'"):
    item = json.loads(item)
    judged[item["query"], item["answer"]] = calibrated(json.loads(result)["out"]["p"])
queries = sorted(before)
same = [before[q] == after[q] for q in queries]
judge = [0 if s else judged.get((q, after[q]), 0) - judged.get((q, before[q]), 0) for q, s in zip(queries, same)]
pleased = [(pleases(before[q]), pleases(after[q])) for q in queries]
asked = {q for (q,) in rows("SELECT t.body FROM review_item r JOIN text t ON t.id = r.query WHERE r.purpose = 'gate'")}
g1 = json.loads(rows("SELECT figures FROM gate")[0][0])["G1"]


# ---- the estimates, as src/eval/ppi.c has them

def quantile(p, df):
    z = statistics.NormalDist().inv_cdf(p)
    return z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)


def estimate(h, y, rest, weight, alpha):
    """Two-sided at alpha: estimate, low, high. h, y: what the critic and people say of the labelled; rest: the critic of the others."""
    d = [b - weight * a for a, b in zip(h, y)]
    mean = weight * statistics.fmean(rest) + statistics.fmean(d)
    se = math.sqrt(statistics.variance(d) / len(d) + weight**2 * statistics.variance(rest) / len(rest))
    t = quantile(1 - alpha / 2, len(d) - 1)
    return mean, mean - t * se, mean + t * se


def tuned_weight(h, y, rest):
    spread = statistics.variance(h + rest)
    return min(max(statistics.covariance(h, y) / ((1 + len(h) / len(rest)) * spread), 0), 1) if spread > 0 else 0


def exact(y):
    gained, lost = sum(v > 0 for v in y), sum(v < 0 for v in y)
    return sum(math.comb(gained + lost, k) for k in range(gained, gained + lost + 1)) / 2 ** (gained + lost)


own = [i for i, q in enumerate(queries) if q in asked]
own += [i for i, q in enumerate(queries) if same[i] and q not in asked][:g1["labelled"] - len(own)]  # drawn, and nobody needs to be asked
others = [i for i in range(len(queries)) if i not in own]
h, y, rest = [judge[i] for i in own], [pleased[i][1] - pleased[i][0] for i in own], [judge[i] for i in others]
weight = tuned_weight(h, y, rest)
for name, w in (("tuned", weight), ("labels_only", 0)):
    again = estimate(h, y, rest, w, 0.05)
    print(f"{name}: {100 * again[0]:+.1f} [{100 * again[1]:+.1f}, {100 * again[2]:+.1f}], the gate said {100 * g1[name]['estimate']:+.1f}")
    assert len(own) == g1["labelled"] and abs(again[0] - g1[name]["estimate"]) < 1e-6 and abs(again[1] - g1[name]["ci95"][0]) < 1e-4
print(f"weight {weight:.2f}; truth on all {len(queries)}: {100 * statistics.fmean(a for a, _ in pleased):.1f} -> {100 * statistics.fmean(b for _, b in pleased):.1f} %; "
      f"{sum(same)} answers alike; critic alone {100 * g1['judge_only']['estimate']:+.1f}; exact test without the critic p = {exact(y):.2g}")


# ---- other draws

def redraw(name, seed, share, coin):
    r = random.Random(seed)
    width, held, promoted, truths = {"with": 0, "without": 0}, {"with": 0, "without": 0}, {"with": 0, "without": 0, "exact": 0}, 0
    for _ in range(DRAWS):
        new = [r.random() < share for _ in queries]
        y = [(r.random() < 0.5) - (r.random() < 0.5) if coin and not s else b - a for (a, b), s in zip(pleased, same)]
        y, h = [v * n for v, n in zip(y, new)], [v * n for v, n in zip(judge, new)]
        truth = 0 if coin else statistics.fmean(y)
        truths += truth
        order = r.sample(range(len(queries)), len(queries))
        lab, un = order[:len(own)], order[len(own):]
        hl, yl, hu = [h[i] for i in lab], [y[i] for i in lab], [h[i] for i in un]
        for kind, w in (("with", tuned_weight(hl, yl, hu)), ("without", 0)):
            _, low, high = estimate(hl, yl, hu, w, 0.05)
            width[kind] += high - low
            held[kind] += low <= truth <= high
            promoted[kind] += estimate(hl, yl, hu, w, 2 * g1["alpha"])[1] > 0
        promoted["exact"] += exact(yl) < g1["alpha"]
    print(f"{name}: true {100 * truths / DRAWS:+.1f}; " + "; ".join(
        [f"{k} the critic: width {100 * width[k] / DRAWS:.1f} points, holds the truth {100 * held[k] / DRAWS:.1f} %, promoted {100 * promoted[k] / DRAWS:.1f} %"
         for k in width] + [f"exact test promotes {100 * promoted['exact'] / DRAWS:.1f} %"]))


for seed, share in enumerate((1, 0.5, 0.25, 0.125)):
    redraw(f"{100 * share:g} % new", seed, share, False)
redraw("people toss a coin", 9, 1, True)
