#!/bin/sh
# eval: what there is, wrong usage, and with the real model (where the set-up has fetched it) figures that repeat.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() { echo "FAILED: $*"; exit 1; }
has() { case "$1" in *"$2"*) ;; *) fail "no '$2' in: $1" ;; esac; }
code_of() { set +e; "$@" >out 2>err; code=$?; set -e; }

out=$(env -u AGON_DATA "$AGON" eval --list)
has "$out" "general"
has "$out" "(120)"
has "$out" "gsm8k"
has "$out" "not run: gsm8k_test.jsonl is not part of agon; set AGON_DATA"
has "$out" "arithmetic/"
has "$("$AGON" eval --list --json)" '"by_default":true'

# External data is read where AGON_DATA says.
mkdir data
printf '%s\n' '{"question": "Two and two?", "answer": "2 + 2 = 4\n#### 4"}' >data/gsm8k_test.jsonl
has "$(AGON_DATA=$work/data "$AGON" eval --list)" "zero-shot (needs AGON_DATA) (1)"
printf '%s\n' '{"question": "Two and two?", "answer": "four"}' >data/gsm8k_test.jsonl
has "$(AGON_DATA=$work/data "$AGON" eval --list)" "gsm8k_test.jsonl:1: 'answer' must end in"
mkdir empty
has "$(AGON_SHARE=$work/empty "$AGON" eval --list)" "holds no data/general.jsonl"

code_of "$AGON" eval --n -1
[ $code = 2 ] || fail "a negative --n must exit 2, not $code"
code_of "$AGON" eval --suit general
[ $code = 2 ] || fail "an unknown option must exit 2, not $code"
has "$(cat err)" "--suite"
code_of "$AGON" eval --model nowhere
[ $code = 3 ] || fail "an absent model must exit 3, not $code"

model=${AGON_MODEL:-${XDG_CACHE_HOME:-$HOME/.cache}/agon/SmolLM2-135M-Instruct.Q4_1.gguf}
# Instrumented, the real model takes many minutes: there the tiny one has to do.
[ -z "${AGON_TEST_SANITIZED:-}" ] || model=$AGON_SOURCE/tests/golden/tiny-text.gguf
[ -e "$model" ] || { echo "skipped: no model at $model"; exit 77; }

code_of "$AGON" eval --model "$model" --suite genral
[ $code = 3 ] || fail "an unknown suite must exit 3, not $code"
has "$(cat err)" "did you mean general?"
code_of "$AGON" eval --model "$model" --cells arithmetics
[ $code = 4 ] || fail "an unknown cell must exit 4, not $code"
code_of env -u AGON_DATA "$AGON" eval --model "$model" --suite gsm8k
[ $code = 3 ] || fail "a suite without its data must exit 3, not $code"
has "$(cat err)" "AGON_DATA"

"$AGON" eval --model "$model" --suite general --n 3 --items --json >first
"$AGON" eval --model "$model" --suite general --n 3 --items --json >second
cmp first second || fail "the same questions must give the same bytes"
has "$(cat first)" '"name":"general"'
has "$(cat first)" '"items":[{"id":"general/capital/0"'

# Questions of one's own: equal rows are one, groups are their verifiers, what nothing judges is refused by its line.
printf '%s\n' '{"query": "Say yes.", "verifier": "max_words", "arguments": {"n": 5000}}' '{"query": "How much is 2 and 2?", "answer": 123456789}' \
    '{"query": "Say yes.", "verifier": "max_words", "arguments": {"n": 5000}}' '{"query": "Say x.", "verifier": "forbidden_word", "arguments": {"word": "qqqq"}}' >own.jsonl
out=$("$AGON" eval --model "$model" --data own.jsonl --against "$model" --json)
has "$out" '"n":3,"right":2,'
has "$out" '"gained":0,"lost":0'
has "$out" '"name":"max_words"'
has "$out" '"name":"own"'
has "$("$AGON" eval --model "$model" --data own.jsonl --n 1 --json)" '"n":1,"right":1,'
printf '%s\n' '{"query": "Why?"}' >>own.jsonl
code_of "$AGON" eval --model "$model" --data own.jsonl
[ $code = 4 ] || fail "a question that nothing judges must exit 4, not $code"
has "$(cat err)" "own.jsonl:5: nothing judges this question"
code_of "$AGON" eval --model "$model" --data own.jsonl --suite general
[ $code = 2 ] || fail "--data with --suite must exit 2, not $code"

out=$("$AGON" eval --model "$model" --suite perplexity --n 2 --against "$model" --json)
has "$out" '"rise":0.0'
has "$out" '"holds":true'
out=$(env -u AGON_DATA "$AGON" eval --model "$model" --suite all --n 1 --seed 7 --cells arithmetic/one_digit_sum \
    --cells comparison/larger_of_two --against "$model")
has "$out" "comparison"
has "$out" "arithmetic"
has "$out" "+0 -0"
has "$out" "perplexity: "
has "$out" "no comparison: a comparison needs two documents"
has "$out" "gsm8k: not run: gsm8k_test.jsonl"
echo fine
