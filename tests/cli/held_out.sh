#!/bin/sh
# Rows of one's own that go together: how many are held out is said beforehand and in the log, the gate counts sets, and an evaluation on the same file says
# what the version was asked in training.
. "$(dirname "$0")/common"

# Sixty queries in twenty groups whose answer is one word, which the expert writes: a tiny model learns it.
n=0
while [ $n -lt 60 ]; do
    echo "{\"query\": \"Which word is number $((7 * n + 3))?\", \"answer\": \"the\", \"group\": \"$((n / 3))\"}"
    n=$((n + 1))
done >own.jsonl

run 0 "$agon" init own.jsonl --output plan.yaml --json
held_out=$(field held_out out)
sets=$(field held_out_sets out)
[ "$held_out" = $((3 * sets)) ] && [ "$sets" -ge 2 ] || fail "$held_out rows in $sets sets are held out"
rm plan.yaml
run 0 "$agon" init own.jsonl --output plan.yaml
has out "held out: $held_out of 60 in $sets sets, and the gate counts sets"
[ "$sets" -ge 6 ] || has out "in $sets sets of rows that go together"
head -3 own.jsonl >few.jsonl
run 0 "$agon" init few.jsonl --json
[ "$(field held_out out)" = 0 ] || [ "$(field held_out out)" = 3 ] || fail "three rows of one group on two sides"

cat >own.yaml <<Y
name: own
model: "$tiny"
seed: 3
tasks: {file: own.jsonl}
learner: {samples: 2, max_tokens: 6}
critic: {examples: 0}
refine: {queries: 0, learnability: 0}
human: {labels: 80, audits: 2, demonstrations: 30}
build: {documents: 1, real_share: 0.2}
train: {rank: 4, epochs: 8, batch: 4, lr: 0.02}
gate: {perplexity_margin: 1, monitor_prompts: 2, alpha: 0.5}
evaluate: {general: 0, documents: 2, gsm8k: 0}
Y
run 0 "$agon" run own.yaml --json
has out '"test":"one-sided exact sign flips of sets"'
has out "\"sets\":$sets"
run 0 "$agon" log --workspace own.agon --n 0
has out "held out: $held_out of 60 queries in own.jsonl, in $sets sets"

# ---- the version that was promoted, on the same file
run 0 "$agon" eval --model "$tiny" --data own.jsonl --adapter own.agon --against "$tiny" --json
has out "\"asked_in_training\":$((60 - held_out))"
has out "\"held_out\":$held_out"
has out '"sets":20'
has out '"sign_flip_p":'
run 0 "$agon" eval --model "$tiny" --data own.jsonl --adapter own.agon
has out "was asked or trained on $((60 - held_out)) of these 60 in training, and its run held out $held_out (--held-out asks those alone)"
has out "60 rows in 20 sets"
run 0 "$agon" eval --model "$tiny" --data own.jsonl --adapter own.agon --held-out --json
has out "\"n\":$held_out"
has out '"asked_in_training":0'
has out "\"held_out\":$held_out"
# The base against it: what the other version was asked.
run 0 "$agon" eval --model "$tiny" --data own.jsonl --against own.agon --held-out --json
has out "\"n\":$held_out"
# Written otherwise, the same questions; others are neither.
printf '%s\n' '{"query": "which word is  number 3", "answer": "the"}' '{"query": "Which colour has grass?", "answer": "green"}' >other.jsonl
run 0 "$agon" eval --model "$tiny" --data other.jsonl --adapter own.agon --json
says out '"(asked_in_training":1|held_out":1)'
printf '%s\n' '{"query": "Which colour has grass?", "answer": "green"}' >few_others.jsonl
run 4 "$agon" eval --model "$tiny" --data few_others.jsonl --adapter own.agon --held-out
has err "held out none of its questions"
run 4 "$agon" eval --model "$tiny" --data own.jsonl --held-out
has err "a version of a workspace"
run 2 "$agon" eval --model "$tiny" --held-out
has err "--held-out"
done_testing
