#!/bin/sh
# The sealed recipe on a full or dying disk: it writes a second database, the ledger, before the journal.
. "$(dirname "$0")/common"
. "$source/tests/faults/workspace"

mkdir before
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
# What differs from the open loop is above all how the second database comes into being.
all_cases() {
    cases open 20 EIO ENOSPC EMFILE
    cases write 8 ENOSPC:after SHORT:after EIO EDQUOT
    cases sync 5 EIO ENOSPC
    cases rename 2 EIO
    cases close 2 EIO
}
survives 0 0 w.agon "$agon" run loop.yaml --workspace w.agon --json
done_testing
