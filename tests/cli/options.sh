#!/bin/sh
# An option that would have no effect where it stands is refused in one sentence, not passed over.
. "$(dirname "$0")/common"

printf '{"prompt":"a","completion":"b"}\n' >rows.jsonl
useless() { # useless PATTERN COMMAND...
    sentence=$1
    shift
    refused 2 "$sentence" "$agon" "$@"
}
train() { useless "$1" train sft --model "$tiny" --data rows.jsonl --output made "$2" "$3" ${4:-}; }
train '--lora-alpha goes with --lora' --lora-alpha 8
train '--lora-alpha must be above 0' --lora-alpha -1 '--lora 2'
train '--small-loss-ramp says how fast' --small-loss-ramp 0.1
train '--temperature must be 0.0001 or more' --temperature 0
train '--aggregate, .* go with --dimensions' --aggregate linear
[ ! -e made ] || fail "a refused training leaves nothing"

reward='score --model model --adapter a --reward'
useless '--ensemble-strength goes with --reward' score --model "$tiny" --ensemble-strength 1
# shellcheck disable=SC2086
useless '--ensemble goes with --reward and several' $reward --ensemble mean
# shellcheck disable=SC2086
useless '--top is of log-probabilities' $reward --top 3
useless '--cells says which tasks are drawn' eval --model "$tiny" --suite general --cells string
useless '--name takes a name' import "$tiny" --name ''

useless '--model has no effect on --list' eval --list --model "$tiny"
useless '--n has no effect on --list' eval --list --n 3 --json
useless '--model has no effect on matmul' bench matmul --model "$tiny"
useless '--rows has no effect on stream' bench stream --model "$tiny" --rows 3
useless '--out has no effect on stream' bench stream --out 4 --in 4
useless '--set has no effect on --list' loss --list --set beta=1
useless '--plain and --chat do not go together' tokenize --model "$tiny" --plain --chat
useless '--chat-template goes with --chat' tokenize --model "$tiny" --chat-template chatml
useless '--show has no effect with --json' data check rows.jsonl --objective sft --model "$tiny" --json --show 2
useless '--model and --chat-template have no effect on --level response' data noise rows.jsonl --to new.jsonl --objective sft --rate 0.5 --model "$tiny"
useless '--compute is of the comparison' export --model "$tiny" --adapter a --format peft --compute f32 --output b
useless '--reviewer has no effect where --json lists' review --json --reviewer anna
rounds() { useless "$1" train ppo --online --model "$tiny" --output made --lora 2 "$2" "$3"; }
rounds '--judge-timeout goes with --judge or --judge-url' --judge-timeout 3
rounds '--judge-repeats goes with --judge or --judge-url' --judge-repeats 3
rounds '--judge-key-env goes with --judge-url' --judge-key-env KEY
rounds '--span-placement goes with --span-reward' --span-placement last
# What a script may write everywhere is not refused: --json where there is JSON anyway.
echo '{"rows":[{"log_probs":[-1]}]}' | run 0 "$agon" loss nll --json

useless '--objective has no effect on convert' data convert rows.jsonl --objective sft --to new.jsonl --rate 0.1
useless '--rate has no effect on convert' data convert rows.jsonl --to new.jsonl --rate=0.1
useless '--folds has no effect on fuse' data fuse rows.jsonl --to new.jsonl --folds 4 --rate 1
useless '--to has no effect on stats' data stats rows.jsonl --objective sft --to new.jsonl
useless '--gold has no effect on split' data split rows.jsonl --gold x
useless 'is none of convert, check' data fold rows.jsonl --folds 3
[ ! -e new.jsonl ] || fail "a refused command leaves nothing"
run 0 "$agon" data stats rows.jsonl --objective sft --model "$tiny" --max-length=9

# ---- what is quoted of a command line is one line without control characters, and only what is near is offered
escape=$(printf '\033[2J\302\233\377')
for words in "$escape" "score --$escape" "score --dtype $escape" "score --top $escape" "data $escape" "bench $escape" "loss $escape"; do
    # shellcheck disable=SC2086
    "$agon" $words </dev/null >out 2>err && fail "a wrong word is refused: $words"
    one_sentence
    iconv -f utf-8 -t utf-8 err >/dev/null || fail "no UTF-8 on stderr"
done
run 2 "$agon" "$(printf 'two\nlines')"
one_sentence
run 2 "$agon" scroe
says err "no command 'scroe'; did you mean 'score'\?"
run 2 "$agon" nonsense
says err "no command 'nonsense'; agon --help lists all"
for words in "version now" "--version now" "help score now"; do
    # shellcheck disable=SC2086
    run 2 "$agon" $words
    says err "'now' is one word too many"
    one_sentence
done
run 0 "$agon" help score
for words in "help help" "help version" "--help help"; do
    # shellcheck disable=SC2086
    run 0 "$agon" $words
    says out 'usage: agon COMMAND'
done
run 4 "$agon" status --workspace ''
says err 'the workspace is an empty text'

# ---- a variable that means nothing is wrong usage, and what it may be is said; an empty path is one in words
for variable in AGON_CPU=foo AGON_NUMERICS=foo AGON_MEMORY=foo; do
    run 2 env $variable "$agon" doctor
    says err "${variable%%=*}"
    one_sentence
done
run 2 env AGON_CPU=foo "$agon" doctor
says err "no CPU path 'foo'; set AGON_CPU to one of portable"
for command in "init" "data convert --to new.jsonl" "data check --objective sft --model $tiny"; do
    # shellcheck disable=SC2086
    run 4 "$agon" $command ''
    says err 'an empty path names no file'
    one_sentence
done
run 0 "$agon" experiment --list
cp out names
run 0 "$agon" experiment --list --json
says out '^\{"experiments":\[\{"name":"[a-z-]+","summary":"'
count
[ "$(grep -o '"name"' out | wc -l)" = "$(wc -l <names)" ] || fail "--list and --list --json differ"

done_testing
