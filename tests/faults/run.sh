#!/bin/sh
# The loop on a full or dying disk: the workspace stays one that opens and verifies, and the same command ends at the same chain.
. "$(dirname "$0")/common"
. "$source/tests/faults/workspace"

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
gate: {monitor_prompts: 2}
END

survives 30 8 w.agon "$agon" run loop.yaml --workspace w.agon --json
done_testing
