#!/bin/sh
# eval: what there is, wrong usage, and with the real model (where the set-up has fetched it) figures that repeat.
. "$(dirname "$0")/common"

run 0 env -u AGON_DATA "$agon" eval --list
has out "general"
has out "(120)"
has out "gsm8k"
has out "not run: gsm8k_test.jsonl is not part of agon; set AGON_DATA"
has out "arithmetic/"
run 0 "$agon" eval --list --json
has out '"by_default":true'

# External data is read where AGON_DATA says.
mkdir data
printf '%s\n' '{"question": "Two and two?", "answer": "2 + 2 = 4\n#### 4"}' >data/gsm8k_test.jsonl
run 0 env AGON_DATA=$work/data "$agon" eval --list
has out "zero-shot (needs AGON_DATA) (1)"
printf '%s\n' '{"question": "Two and two?", "answer": "four"}' >data/gsm8k_test.jsonl
run 0 env AGON_DATA=$work/data "$agon" eval --list
has out "gsm8k_test.jsonl:1: 'answer' must end in"
mkdir empty
run 0 env AGON_SHARE=$work/empty "$agon" eval --list
has out "holds no data/general.jsonl"

run 2 "$agon" eval --n -1
run 2 "$agon" eval --suit general
has err "--suite"
run 3 "$agon" eval --model nowhere

model=$real
# Instrumented, the real model takes many minutes: there the tiny one has to do.
[ -z "${AGON_TEST_SANITIZED:-}" ] || model=$tiny
[ -e "$model" ] || { echo "skipped: no model at $model"; exit 77; }

run 3 "$agon" eval --model "$model" --suite genral
has err "did you mean general?"
run 4 "$agon" eval --model "$model" --cells arithmetics
run 3 env -u AGON_DATA "$agon" eval --model "$model" --suite gsm8k
has err "AGON_DATA"

run 0 "$agon" eval --model "$model" --suite general --n 3 --items --json
mv out first
run 0 "$agon" eval --model "$model" --suite general --n 3 --items --json
same first out
has first '"name":"general"'
has first '"items":[{"id":"general/capital/0"'

# Questions of one's own: equal rows are one, groups are their verifiers, what nothing judges is refused by its line.
printf '%s\n' '{"query": "Say yes.", "verifier": "max_words", "arguments": {"n": 5000}}' '{"query": "How much is 2 and 2?", "answer": 123456789}' \
    '{"query": "Say yes.", "verifier": "max_words", "arguments": {"n": 5000}}' '{"query": "Say x.", "verifier": "forbidden_word", "arguments": {"word": "qqqq"}}' >own.jsonl
run 0 "$agon" eval --model "$model" --data own.jsonl --against "$model" --json
has out '"n":3,"right":2,'
has out '"gained":0,"lost":0'
has out '"name":"max_words"'
has out '"name":"own"'
run 0 "$agon" eval --model "$model" --data own.jsonl --n 1 --json
has out '"n":1,"right":1,'
printf '%s\n' '{"query": "Why?"}' >>own.jsonl
run 4 "$agon" eval --model "$model" --data own.jsonl
has err "own.jsonl:5: nothing judges this question"
run 2 "$agon" eval --model "$model" --data own.jsonl --suite general

run 0 "$agon" eval --model "$model" --suite perplexity --n 2 --against "$model" --json
has out '"rise":0.0'
has out '"holds":true'
run 0 env -u AGON_DATA "$agon" eval --model "$model" --suite all --n 1 --seed 7 --cells arithmetic/one_digit_sum \
    --cells comparison/larger_of_two --against "$model"
has out "comparison"
has out "arithmetic"
has out "+0 -0"
has out "perplexity: "
has out "no comparison: a comparison needs two documents"
has out "gsm8k: not run: gsm8k_test.jsonl"
done_testing
