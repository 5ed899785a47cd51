#!/bin/sh
# The loop on a full or dying disk: the workspace stays one that opens and verifies, and the same command ends at the same chain.
. "$(dirname "$0")/common"

mkdir before
cat >before/loop.yaml <<END
name: faults
seed: 3
model: "$tiny"
iterations: 1
tasks: {cells: [arithmetic/one_digit_sum, writing/lower_case]}
attacker: {queries: 3, waves: 1, variations: 1}
learner: {samples: 2, max_tokens: 4}
critic: {examples: 4, epochs: 1}
refine: {queries: 0}
human: {labels: 8, audits: 0, demonstrations: 2}
build: {documents: 1}
train: {rank: 2, epochs: 1, batch: 2, checkpoint_every: 1}
evaluate: {tasks: 4, general: 2, documents: 2, gsm8k: 0}
END

# Objects bear their hash as their name; the journal is a chain, whose head stands for all of it.
results() {
    (cd w.agon/objects && find . -type f -exec sha256sum {} + | sed 's/^\([0-9a-f]*\)  .\/\(..\)\//\1 \2/' | LC_ALL=C sort)
    "$agon" verify --workspace w.agon --sample 0 --json || exit
    "$agon" log --workspace w.agon --json | sed 's/"time_ms":[0-9]*//' | tail -n 1
}
# A workspace in which no run began yet is none (3).
ready() {
    [ ! -e w.agon/agon.db ] || "$agon" verify --workspace w.agon --sample 0 --json >../verified 2>../verified_err || {
        code=$?
        [ $code = 3 ] || { cat ../verified ../verified_err; return 1; }
    }
    ! find w.agon -name '*.tmp-agon*' 2>/dev/null | grep .
}
survives 30 8 w.agon "$agon" run loop.yaml --workspace w.agon --json

# The sealed recipe writes a second database, the ledger, before the journal.
cat >before/loop.yaml <<END
name: sealed
recipe: sealed
oracle: sealed
seed: 3
model: "$tiny"
tasks: {cells: [arithmetic, writing]}
attacker: {queries: 4}
learner: {samples: 1, max_tokens: 4}
critic: {epochs: 1, alpha: 0.9, delta: 0.5, least_calibration: 1}
human: {labels: 30, audits: 0, calibration: 12, demonstrations: 2, gate_items: 4}
build: {documents: 1}
train: {rank: 2, epochs: 1, batch: 4, checkpoint_every: 2}
evaluate: {tasks: 8, general: 2, documents: 2, gsm8k: 0}
END
survives 12 5 w.agon "$agon" run loop.yaml --workspace w.agon --json
done_testing
