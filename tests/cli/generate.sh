#!/bin/sh
# What a row gets depends on its prompt, seed and options only; a rollout's log_probs are the score's, bit for bit.
. "$(dirname "$0")/common"

for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do
    printf '{"prompt":"row %s of the file and in the middle"}\n' "$i"
done >rows
g="--json --max-tokens 12 --seed 11 --temperature 0.9"
for dtype in f32 bf16; do
    run 0 "$agon" generate --model "$tiny" $g --dtype $dtype <rows
    cp out all
    for i in 1 7 13; do
        sed -n "${i}p" rows | run 0 "$agon" generate --model "$tiny" $g --dtype $dtype
        sed -n "${i}p" all >one
        same one out
    done
    tac rows | run 0 "$agon" generate --model "$tiny" $g --dtype $dtype
    tac out >turned
    same turned all
    if command -v taskset >/dev/null 2>&1; then
        first=$(taskset -cp $$ 2>/dev/null | sed 's/.*: \([0-9]*\).*/\1/')
        run 0 taskset -c "$first" "$agon" generate --model "$tiny" $g --dtype $dtype <rows
        same out all
    fi
done
run 0 "$agon" generate --model "$tiny" $(without --seed "$g") --dtype bf16 --seed 12 <rows
differ out all

# The first of four samples is the only one of one.
sed -n 1p rows | run 0 "$agon" generate --model "$tiny" $g --n 1
sed 's/^{"completions":\[\({.*}\)\]}$/\1/' out >first
sed -n 1p rows | run 0 "$agon" generate --model "$tiny" $g --n 4
grep -qF "$(cat first)" out || fail "the first sample depends on how many there are"

# Rollout and score: the same numbers, written the same way.
for t in 1 0.7; do
    run 0 "$agon" generate --model "$tiny" --json --max-tokens 12 --seed 3 --temperature $t <rows
    field tokens out >tokens
    field log_probs out >rollout
    paste -d '|' rows tokens | sed 's/}|\(.*\)$/,"completion":\1}/' >scored
    run 0 "$agon" score --model "$tiny" --json --temperature $t <scored
    field log_probs out >score
    same rollout score
done

# A row that cannot be answered is named by its line of the input, whatever finds it: here the model's own numbers, in a batch or alone.
head -c -128 "$tiny" >huge.gguf # the last tensor is output_norm.weight: 32 values, which become the largest float
for i in 1 2 3 4 5 6 7 8; do printf '\377\377\177\177\377\377\177\177\377\377\177\177\377\377\177\177'; done >>huge.gguf
printf '\n{"prompt":"a"}\n\n{"prompt":"b"}\n' >blank
refused 4 'generate: input line 2: sample 1: the log_prob of token 1 is not finite' "$agon" generate --model huge.gguf --json <blank
printf '\n\n{"prompt":"a"}\n' >blank
refused 4 'generate: input line 3: sample 1: ' "$agon" generate --model huge.gguf --json <blank
long=5 n=0
while [ $n -lt 12 ]; do long=$long,$long n=$((n + 1)); done
printf '\n{"prompt":"a","completion":"b"}\n{"prompt":"a","completion":[%s]}\n' "$long" >blank
refused 4 'score: input line 3: there are 4097 tokens; the model.s context is 2048' "$agon" score --model "$tiny" --json <blank

# A temperature that a float cannot hold, or that overflows, is refused; the least is computed.
for t in 1e-300 1e-40 9e-5 0 -1 1e7; do
    run 2 "$agon" score --model "$tiny" --json --temperature $t <scored
    one_sentence
done
run 0 "$agon" score --model "$tiny" --json --temperature 0.0001 <scored
count
if grep -Eqi 'nan|inf|null' out; then fail "a log_prob is not finite"; fi

# A stop text ends the answer before it, also where it begins in one token and ends in the next. The letters of the alphabet are tokens of
# their own, so the n-th character is the n-th token.
letters=$(seq -s, 100 125)
h='{"prompt":"hello"'
s="--json --temperature 0 --max-tokens 24 --allowed-tokens $letters"
echo "$h}" | run 0 "$agon" generate --model "$tiny" $s
says out '"finish":"length"'
answer=$(sed 's/.*"text":"\([a-z]*\)".*/\1/' out)
field tokens out | tr -d '[]' | tr , '\n' >letters
[ ${#answer} = 24 ] && [ "$(wc -l <letters)" = 24 ] || fail "24 letters are not 24 tokens: $answer"
# stops_at TEXT: `out` is the answer up to TEXT, with the tokens TEXT ends with.
stops_at() {
    count
    before=${answer%%"$1"*}
    tokens=$(head -$((${#before} + ${#1})) letters | tr '\n' , | sed 's/,$//')
    grep -qF "{\"text\":\"$before\",\"tokens\":[$tokens]," out && grep -qF '"finish":"stop"' out || fail "stopped elsewhere than before $1 in $answer"
}
# stops EXPECTED TEXT...: as flags and as the row's own, in the order given.
stops() {
    expected=$1
    shift
    flags=$(printf -- '--stop %s ' "$@")
    echo "$h}" | run 0 "$agon" generate --model "$tiny" $s $flags
    stops_at "$expected"
    cp out flag
    list=$(printf '"%s",' "$@")
    echo "$h,\"stop\":[${list%,}]}" | run 0 "$agon" generate --model "$tiny" $s
    same flag out
}
one=$(echo "$answer" | cut -c6)
two=$(echo "$answer" | cut -c5-6)
three=$(echo "$answer" | cut -c4-6)
later=$(echo "$answer" | cut -c8-10)
stops "$two" "$two"
echo "$h,\"stop\":\"$two\"}" | run 0 "$agon" generate --model "$tiny" $s
same flag out
# Of several the one that begins first, whatever their order; one that would come later changes nothing.
case $before in *"$one"* | *"$two"* | *"$later"*) fail "the texts to stop at come too early in $answer" ;; esac
stops "$three" "$one" "$two" "$three"
stops "$three" "$three" "$two" "$one"
stops "$two" "$later" "$two"
stops "$two" "$two" "$later"
# The row's list takes the place of the command's.
echo "$h,\"stop\":[\"$two\"]}" | run 0 "$agon" generate --model "$tiny" $s --stop "$(echo "$answer" | cut -c1)"
same flag out

# For people the text alone; a terminal gets it as it is written, and never the beginning of what is cut away.
plain="generate --model $tiny --temperature 0 --max-tokens 24 --allowed-tokens $letters --stop $two --stop $three hello"
run 0 "$agon" $plain
count
[ "$(cat out)" = "${answer%%"$three"*}" ] || fail "printed otherwise than up to $three"
if command -v script >/dev/null 2>&1; then
    mv out plain
    run 0 script -qec "$agon $plain" /dev/null </dev/null
    tr -d '\r' <out >live
    same live plain
fi

# --chat is the prompt as one user message.
echo '{"messages":[{"role":"user","content":"hello"}]}' | run 0 "$agon" generate --model "$tiny" $s
cp out messages
echo "$h}" | run 0 "$agon" generate --model "$tiny" $s --chat
same messages out

# Bias, allowed tokens and penalties, as flags and as a row's own keys.
p='{"prompt":"one two"'
greedy="--json --temperature 0 --max-tokens 8"
echo "$p}" | run 0 "$agon" generate --model "$tiny" $greedy
best=$(field tokens out | sed 's/\[\([0-9]*\).*/\1/')
echo "$p}" | run 0 "$agon" generate --model "$tiny" $greedy --logit-bias "$best=-100"
cp out flag
if field tokens out | grep -Eq "[[,]$best[],]"; then fail "token $best is biased away and was written"; fi
echo "$p,\"logit_bias\":{\"$best\":-100}}" | run 0 "$agon" generate --model "$tiny" $greedy
same flag out
echo "$p}" | run 0 "$agon" generate --model "$tiny" --json --max-tokens 8 --seed 2 --allowed-tokens 70,71,72
cp out flag
field tokens out | grep -Eqx '\[(7[012],){7}7[012]\]' || fail "other tokens than the allowed ones"
echo "$p,\"allowed_tokens\":[70,71,72],\"max_tokens\":8}" | run 0 "$agon" generate --model "$tiny" --json --seed 2
same flag out
# What was written twice and more costs 100 each time: only the three that are allowed, none three times before each came twice.
echo "$p,\"allowed_tokens\":[70,71,72],\"frequency_penalty\":100}" | run 0 "$agon" generate --model "$tiny" $greedy
for id in 70 71 72; do
    n=$(field tokens out | grep -o "$id" | wc -l)
    [ "$n" -ge 2 ] && [ "$n" -le 3 ] || fail "token $id stands $n times among eight"
done
cp out row
echo "$p}" | run 0 "$agon" generate --model "$tiny" $greedy --allowed-tokens 70,71,72 --frequency-penalty 100
same row out
echo "$p,\"presence_penalty\":100,\"allowed_tokens\":[70,71]}" | run 0 "$agon" generate --model "$tiny" $(without --max-tokens "$greedy") --max-tokens 2
field tokens out | grep -Eqx '\[70,71\]|\[71,70\]' || fail "the presence penalty does nothing"
# Each way to cut the distribution leaves the likeliest token alone, and each penalty ends a repetition; a row's key is the flag.
hot="--json --temperature 1 --seed 2 --max-tokens 12"
echo "$p}" | run 0 "$agon" generate --model "$tiny" $(without --temperature "$hot") --temperature 0
cp out best
field tokens best | tr -d '[]' | tr , '\n' | uniq -d | grep -q . || fail "the answer does not repeat itself, so a penalty has nothing to change"
echo "$p}" | run 0 "$agon" generate --model "$tiny" $hot
differ out best
for option in "top-k 1" "top-p 1e-6" "min-p 1"; do
    key=$(echo "${option% *}" | tr - _)
    echo "$p}" | run 0 "$agon" generate --model "$tiny" $hot --$option
    same out best
    echo "$p,\"$key\":${option#* }}" | run 0 "$agon" generate --model "$tiny" $hot
    same out best
done
for option in "repetition-penalty 50" "frequency-penalty 9" "presence-penalty 9"; do
    key=$(echo "${option% *}" | tr - _)
    echo "$p}" | run 0 "$agon" generate --model "$tiny" $(without --temperature "$hot") --temperature 0 --$option
    cp out flag
    count
    if field tokens flag | tr -d '[]' | tr , '\n' | uniq -d | grep -q .; then fail "a token repeats itself under --$option"; fi
    echo "$p,\"$key\":${option#* }}" | run 0 "$agon" generate --model "$tiny" $(without --temperature "$hot") --temperature 0
    same out flag
done
for bad in '"logit_bias":[1]' '"logit_bias":{"x":1}' '"logit_bias":{"5":"a"}' '"allowed_tokens":[]' '"allowed_tokens":[-1]' '"stop":""' \
    '"stop":[1]' '"temperature":"hot"' '"top_k":1.5' '"max_tokens":0' '"logit_bias":{"999999":1}' '"min_p":2' '"logit_bias":{"5":101}'; do
    printf '%s}\n%s,%s}\n' "$p" "$p" "$bad" | run 4 "$agon" generate --model "$tiny" --json --max-tokens 1
    one_sentence
    says err '^agon generate: input line 2: [^r]'
done
# The same for what only the model can tell; the command's own options and its own prompt have no line.
for bad in '{"prompt":[1,999999]}' '{"prompt":""}' "{\"prompt\":[$(yes 1, | head -5000 | tr -d '\n')1]}"; do
    printf '%s}\n\n%s\n' "$p" "$bad" | run 4 "$agon" generate --model "$tiny" --json --max-tokens 1
    one_sentence
    says err '^agon generate: input line 3: (the prompt|token 2 of the prompt)'
done
echo "$p}" | run 2 "$agon" generate --model "$tiny" --json --min-p 2
says err '^agon generate: min_p must be'
echo "$p,\"temperature\":1e-300}" | run 4 "$agon" generate --model "$tiny" --json
says err '^agon generate: input line 1: temperature must be 0 \(greedy\) or 0.0001 to 100$'
run 4 "$agon" generate --model "$tiny" ""
says err '^agon generate: the prompt is empty'
for bad in --stop= "--temperature 1e-300" "--temperature 1e-5" "--temperature -1" "--temperature 101" "--logit-bias 5" "--logit-bias x=1" "--logit-bias 5=nan" "--allowed-tokens 5," "--allowed-tokens -3"; do
    echo "$p}" | run 2 "$agon" generate --model "$tiny" --json $bad
    one_sentence
done

# A row's own seed; a conversation; chat from a pipe.
printf '{"prompt":"x y","seed":11}\n' | run 0 "$agon" generate --model "$tiny" --json --max-tokens 8 --seed 99
cp out own
printf '{"prompt":"x y"}\n' | run 0 "$agon" generate --model "$tiny" --json --max-tokens 8 --seed 11
same own out
printf 'hi\n/system be brief\nhi\n/reset\n/nonsense\n/quit\n' | run 0 "$agon" chat --model "$tiny" --max-tokens 4
says out 'a new conversation, with this system message'
done_testing
