#!/bin/sh
# The fixed forms other tools call, help, exit codes, and what bad input is told.
. "$(dirname "$0")/common"

# ---- help: every command of the list has usage and an example
run 0 "$agon" --help
commands=$(sed -n '/^environment/q; s/^  \([a-z-]*\)  *.*/\1/p' out | sort -u)
for c in init run status log show why verify unseal review generate chat score tokenize data train soup loss eval weak-to-strong experiment \
    import export doctor bench; do
    echo "$commands" | grep -qx "$c" || fail "agon --help does not list $c"
done
for c in $commands; do
    run 0 "$agon" "$c" --help
    says out "^usage: agon $c"
    [ "$(grep -c "agon $c" out)" -ge 3 ] || fail "agon $c --help has no example"
    count
    awk -v c="$c" 'length > 122 { print c ": " length ": " $0; bad = 1 } END { exit bad }' out || fail "too wide for a terminal"
    cp out help
    run 0 "$agon" help "$c"
    same help out
done
# The help of those that take an objective names each, as the library lists them.
run 0 "$agon" loss --list
sed -n 's/^\([^ :][^:]*\): .*/\1/p' out | sort >listed
for c in train loss; do
    run 0 "$agon" $c --help
    sed -e '1,/^Objectives (/d' -e '/^$/,$d' -e '/^[^ ]/,$d' out | tr -s ' ' '\n' | sed '/^$/d' | sort >named
    same named listed
done
run 2 "$agon" help generat
run 0 "$agon" --version
run 2 "$agon"
run 2 "$agon" generat
says err "did you mean 'generate'"

# ---- tokenize
printf 'the cat' | run 0 "$agon" tokenize --model "$tiny" --json
says out '^\{"tokens":\[260,[0-9,]*\]\}$'
printf '' | run 0 "$agon" tokenize --model "$tiny" --json
says out '^\{"tokens":\[\]\}$'
printf '<|im_end|>' | run 0 "$agon" tokenize --model "$tiny" --json
says out '^\{"tokens":\[2\]\}$'

# ---- score
cat >rows <<'END'
{"prompt": "the", "completion": " cat"}
{"prompt": "", "completion": "abc"}
{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]}

{"prompt": [260], "completion": [35, 102]}
END
run 0 "$agon" score --model "$tiny" --dtype f32 --json <rows
[ "$(wc -l <out)" = 4 ] || fail "four rows, four answers"
grep -Evq '^\{"log_prob":-[0-9.e+-]+,"log_probs":\[[-0-9.,e]+\],"tokens":\[[0-9,]+\]\}$' out && fail "a line of score has another form"
[ "$(sed -n 2p out | sed 's/.*"log_probs":\[\([^,]*\),.*/\1/')" = 0.0 ] || fail "the first token without a prompt was scored"
sed -n 3p out | grep -q '"tokens":\[[0-9,]*,2\]' || fail "a scored answer ends with its end of turn"
printf '{"prompt":"the","completion":""}\n' | run 0 "$agon" score --model "$tiny" --json --top 3
says out '"top":\[(\{"id":[0-9]+,"logit":[-0-9.e]+\},?){3}\]'

# ---- generate
printf '{"prompt":"the"}\n{"messages":[{"role":"user","content":"hi"}]}\n' >rows
run 0 "$agon" generate --model "$tiny" --json --n 2 --max-tokens 5 --temperature 0.8 --seed 4 --top-p 0.9 --top-k 50 <rows
[ "$(wc -l <out)" = 2 ] || fail "two rows, two answers"
one='\{"text":"([^"\\]|\\.)*","tokens":\[[0-9,]+\],"log_probs":\[[-0-9.,e]+\],"finish":"(stop|length)"\}'
grep -Evq "^\{\"completions\":\[$one,$one\]\}\$" out && fail "a line of generate has another form"
run 0 "$agon" generate --model "$tiny" --max-tokens 4 --temperature 0 the cat
[ -s out ] || fail "no text"
printf '' | run 0 "$agon" generate --model "$tiny" --json

# ---- loss: DPO at policy = reference is log 2; a metric and gradients in the same shape
printf '{"rows":[{"chosen":{"log_probs":[-1],"reference":[-1]},"rejected":{"log_probs":[-2],"reference":[-2]}}]}' |
    run 0 "$agon" loss dpo --set beta=0.1
says out '"loss":0\.693147180559945'
says out '"d_log_probs":\[-0\.05[0-9]*\]'
says out '"metrics":\{'

# ---- wrong usage: 2
run 2 "$agon" generate --modle x
says err "did you mean --model"; one_sentence
# Other tools' names, and a word in capitals.
for pair in "--learning_rate:--lr" "--beta:--set beta=NUMBER" "--output-dir:--output" "--num-train-epochs:--epochs"; do
    run 2 "$agon" train dpo "${pair%%:*}" 1
    says err "unknown option '${pair%%:*}'; did you mean ${pair#*:}\?"; one_sentence
done
run 2 "$agon" generate --max_new_tokens 5
says err 'did you mean --max-tokens'; one_sentence
echo '{"text":"a b c"}' >capitals.jsonl
run 3 "$agon" train SFT --model "$tiny" --data capitals.jsonl --output never
says err 'did you mean sft'; one_sentence
run 2 "$agon" score --top many
one_sentence
run 2 "$agon" generate --model
run 2 "$agon" train sft --output x
says err -- '--data'
run 2 "$agon" export --model "$tiny" --format hf
run 2 "$agon" loss
run 2 "$agon" generate --model "$tiny" --dtype f8 --json

# ---- not found: 3
run 3 "$agon" generate --model /nowhere/model.gguf --json
says err "/nowhere/model.gguf"; one_sentence
run 3 "$agon" tokenize --json
says err "make model"; one_sentence
run 3 "$agon" import /nowhere/model.gguf
one_sentence
printf '{"rows":[]}' | run 3 "$agon" loss dop
says err "sft, dpo, cdpo"; one_sentence
run 3 "$agon" train sft --model "$tiny" --data missing.jsonl --output x
one_sentence

# ---- bad data: 4, with what and where
size=$(wc -c <"$tiny")
for part in 0 3 100 $((size / 2)) $((size - 1)); do
    head -c "$part" "$tiny" >cut.gguf
    run 4 "$agon" generate --model cut.gguf --json
    says err "cut.gguf"; one_sentence
done
mkdir -p empty_folder
run 3 "$agon" generate --model empty_folder --json
says err 'config.json'; one_sentence
printf '{"prompt":"a"}\n{"prompt":\n' >rows
refused 4 'line 2' "$agon" generate --model "$tiny" --json <rows
printf '[1]\n' | refused 4 'line 1' "$agon" score --model "$tiny" --json
printf '{"prompt":7}\n' | refused 4 'line 1' "$agon" generate --model "$tiny" --json
printf '{"prompt":""}\n' | refused 4 'line 1.*empty' "$agon" generate --model "$tiny" --json
printf '{"prompt":[99999]}\n' | refused 4 '99999' "$agon" generate --model "$tiny" --json
printf '{"messages":[{"role":"user"}]}\n' | refused 4 'line 1.*messages' "$agon" generate --model "$tiny" --json
printf '{"messages":[{"role":"user","content":"a"},{"role":"robot","content":"\\u001b[2J"}]}\n' >rows
"$agon" generate --model "$tiny" --json --max-tokens 1 <rows >out 2>err
LC_ALL=C grep -q "$(printf '\033')" err && fail "an escape sequence reached the terminal"
printf '{"prompt":"a","completion":"b"' | refused 4 'line 1' "$agon" score --model "$tiny" --json
printf '{}\n' | refused 4 'line 1' "$agon" score --model "$tiny" --json
printf '{"rows":[{"log_probs":"x"}]}' | refused 4 'row' "$agon" loss sft
printf '{"rows":[{"log_probs":[-1]}]}' | refused 4 'beta' "$agon" loss dpo --set bta=1
printf '{"rows":[{"log_probs":[-1]}]}' | refused 4 '.' "$agon" loss dpo
printf '{"rows":[{"log_probs":[1e999]}]}' | refused 4 '.' "$agon" loss sft
printf 'rubbish' | refused 4 '.' "$agon" loss sft
printf '' | refused 4 '.' "$agon" loss sft
# Nothing is cut silently: a NUL in a message or between lines is refused, in a raw text it is a token. A byte order mark is no text.
printf '{"messages":[{"role":"user","content":"a\\u0000b"}]}\n' >rows
refused 4 'line 1.*NUL' "$agon" generate --model "$tiny" --json <rows
refused 4 'line 1.*NUL' "$agon" score --model "$tiny" --json <rows
printf '{"prompt":"a\\u0000b"}\n' | refused 4 'line 1.*NUL' "$agon" generate --model "$tiny" --json --chat
printf '{"prompt":"a","stop":"b\\u0000"}\n' | refused 4 'line 1.*stop' "$agon" generate --model "$tiny" --json
printf 'a\0b' | refused 4 'NUL' "$agon" tokenize --model "$tiny" --chat --json
printf '{"prompt":"a","completion":"b"}\n\0\n{"prompt":"c","completion":"d"}\n' >rows
refused 4 'line 2.*NUL' "$agon" score --model "$tiny" --json <rows
refused 4 'line 2.*NUL' "$agon" generate --model "$tiny" --json <rows
printf '{"prompt":"a\\u0000","completion":"b\\u0000c"}\n' | run 0 "$agon" score --model "$tiny" --json
says out '"tokens":\[[0-9]+,[0-9]+,[0-9]+\]'
printf '\357\273\277{"prompt":"a","completion":"b"}\n' | run 0 "$agon" score --model "$tiny" --json
# Rows are scored some at a time; the line that is refused is named all the same.
i=0
while [ $i -lt 70 ]; do echo '{"prompt":"a","completion":"b"}'; i=$((i + 1)); done >rows
printf '\n{"prompt":"a","completion":[99999]}\n' >>rows
refused 4 'line 72.*token 1, id 99999' "$agon" score --model "$tiny" --json <rows
long=$(printf 'a%.0s' $(seq 1 40000))
printf '{"prompt":"%s"}\n' "$long" | refused 4 'context' "$agon" generate --model "$tiny" --json

# ---- doctor: all checks in one object, 0 only when fine
"$agon" doctor --model "$tiny" --json >out 2>err
code=$?
says out '"checks":\['
says out '"name":"arithmetic","ok":true'
says out '"name":"inference","ok":true'
grep -q '^{"ok":true' out && [ $code != 0 ] && fail "fine, but exit code $code"
grep -q '^{"ok":false' out && [ $code = 0 ] && fail "not fine, but exit code 0"
run 1 "$agon" doctor --model /nowhere --json
says out '"ok":false'
done_testing
