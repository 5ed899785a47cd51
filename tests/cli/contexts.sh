#!/bin/sh
# Preference vectors of contexts: fitted to pairs, they decide what an adapter for several dimensions says, request by request.
. "$(dirname "$0")/common"

# ---- pairs as two contexts with vectors of their own would label them
awk 'function normal(  i, s) { s = -6; for (i = 0; i < 12; i++) s += rand(); return s }
BEGIN {
    srand(7)
    weight["lab"] = 0.8; weight["kids"] = 0.15
    for (i = 0; i < 1000; i++) {
        context = i % 2 ? "lab" : "kids"
        a = normal(); b = normal(); c = normal(); d = normal()
        z = weight[context] * (a - c) + (1 - weight[context]) * (b - d)
        source = i % 10 < 3 ? ",\"source\":\"anna\"" : ""
        if (rand() >= 1 / (1 + exp(-z))) { t = a; a = c; c = t; t = b; b = d; d = t }
        # the second reward in another unit, with another zero
        printf "{\"context\":\"%s\",\"chosen_rewards\":{\"helpful\":%.6f,\"harmless\":%.6f},\"rejected_rewards\":{\"harmless\":%.6f,\"helpful\":%.6f}%s}\n",
            context, a, 10 * b + 300, 10 * d + 300, c, source
    }
}' >pairs.jsonl
run 0 "$agon" data contexts pairs.jsonl --to contexts.json
says out '^contexts.json: 1000 pairs, 2 contexts, 2 dimensions: helpful, harmless$'
says out '^lab: 0\.[0-9]+,0\.[0-9]+  from 500 pairs; .*ranked rightly 0\.[0-9]+, by the base 0\.[0-9]+; by (anna 1|unknown 3)[0-9]+'
run 0 "$agon" data contexts pairs.jsonl --to again.json --json
same contexts.json again.json
vector() { tr -d '\n ' <contexts.json | sed "s/.*\"$1\":{\"vector\":\[\([^]]*\)\].*/\1/"; } # vector NAME: as "x,y"
for c in "lab 0.8" "kids 0.15"; do
    set -- $c
    v=$(vector "$1")
    awk "BEGIN { exit !((${v%,*} - $2) ^ 2 < 0.17 ^ 2) }" || fail "$1 was planted with $2 and has $v" # three standard errors
done
tr -d '\n ' <contexts.json >flat
says flat '"sources":\{"(anna":100,"unknown":400|unknown":[0-9]+,"anna":[0-9]+|anna":[0-9]+,"unknown":[0-9]+)\}'
says flat '"scale":\{"mean":\[-?0\.[0-9e-]+,(299|300)\.[0-9]+\],"deviation":\[[01]\.[0-9]+,(9|10)\.[0-9]+\]\}'
run 0 "$agon" data contexts pairs.jsonl --to narrow.json --prior 0.001 --base 0.4,0.6 --json
says out '"kids":\{"vector":\[0\.39'

# ---- the model: an adapter for both dimensions
for i in 1 2 3 4; do
    printf '{"dimension":"helpful","prompt":"say %s","completion":" the number"}\n' $i
    printf '{"dimension":"harmless","prompt":"say %s","completion":" no"}\n' $i
done >rows.jsonl
run 0 "$agon" train sft --model "$tiny" --data rows.jsonl --dimensions helpful,harmless --lora 4 --batch 4 --vectors 2 --lr 2e-2 --steps 200 --dtype f32 \
    --output whole

# ---- each row's context is its vector; without pairs, or without a context, the base
printf '%s\n' '{"prompt":"say 3","context":"lab"}' '{"prompt":"say 3","context":"kids"}' '{"prompt":"say 3","context":"elsewhere"}' \
    '{"prompt":"say 3"}' '{"prompt":"say 3","preference":[1,0]}' >asked.jsonl
run 0 "$agon" generate --model "$tiny" --adapter whole --contexts contexts.json --max-tokens 8 --temperature 0 --dtype f32 --json <asked.jsonl
cp out together
i=0
for v in "$(vector lab)" "$(vector kids)" 0.5,0.5 0.5,0.5 1,0; do
    i=$((i + 1))
    echo '{"prompt":"say 3"}' | run 0 "$agon" generate --model "$tiny" --adapter whole --preference "$v" --max-tokens 8 --temperature 0 --dtype f32 --json
    sed -n ${i}p together >line
    same line out
done
sed -n 1p together >lab
sed -n 2p together >kids
differ lab kids
score() { # score COMPLETION OPTIONS...: its log_prob
    completion=$1
    shift
    printf '{"prompt":"say 2","completion":"%s"}\n' "$completion" | run 0 "$agon" score --model "$tiny" --dtype f32 --adapter whole --json "$@"
    field log_prob out
}
lead() { awk "BEGIN { print $(score ' the number' --contexts contexts.json "$@") - $(score ' no' --contexts contexts.json "$@") }"; }
a=$(lead --context lab) b=$(lead) c=$(lead --context kids)
awk "BEGIN { exit !($a > $b && $b > $c) }" || fail "the context does not decide: $a, $b, $c"
# --preference is the base that contexts start from, and what those without pairs get.
[ "$(score ' no' --contexts contexts.json --preference 0.1,0.9)" = "$(score ' no' --preference 0.1,0.9)" ] || fail "--preference is not the base"
[ "$(score ' no' --contexts contexts.json --preference 0.3,0.7 --context kids)" != "$(score ' no' --contexts contexts.json --context kids)" ] ||
    fail "a context does not start from --preference"
printf '{"prompt":"say 2","completion":" no","context":"lab"}\n' | run 0 "$agon" score --model "$tiny" --dtype f32 --adapter whole --contexts contexts.json --json
[ "$(field log_prob out)" = "$(score ' no' --preference "$(vector lab)")" ] || fail "a row's context is not scored by its vector"
run 0 "$agon" generate --model "$tiny" --adapter whole --contexts contexts.json --context nobody --max-tokens 2 say 1
says err 'no pairs of the context nobody were seen: the base is used'
echo 'say 2' | run 0 "$agon" chat --model "$tiny" --chat-template chatml --adapter whole --contexts contexts.json --context lab --max-tokens 4 --temperature 0 --dtype f32
cp out said
echo 'say 2' | run 0 "$agon" chat --model "$tiny" --chat-template chatml --adapter whole --preference "$(vector lab)" --max-tokens 4 --temperature 0 --dtype f32
same said out
# Without --contexts a row's "context" is a field like any other.
echo '{"prompt":"say 1","context":"lab"}' | run 0 "$agon" generate --model "$tiny" --max-tokens 2 --json

# ---- refused, by file and line
bad() { # bad PATTERN ROW
    { head -2 pairs.jsonl; echo "$2"; } >bad.jsonl
    run 4 "$agon" data contexts bad.jsonl --to bad.json
    says err "bad.jsonl:3: $1"; one_sentence
    [ ! -e bad.json ] || fail "a refused fit wrote a file"
}
bad '"context" must be a text' '{"chosen_rewards":[1,0],"rejected_rewards":[0,1]}'
bad '"source" must be a text' '{"context":"a","source":3,"chosen_rewards":[1,0],"rejected_rewards":[0,1]}'
bad 'chosen_rewards must be a number for each dimension' '{"context":"a","rejected_rewards":[0,1]}'
bad 'rejected_rewards has 3 numbers; there are 2 dimensions' '{"context":"a","chosen_rewards":[1,0],"rejected_rewards":[0,1,2]}'
bad 'rejected_rewards has no finite number for dimension 2, harmless' '{"context":"a","chosen_rewards":[1,0],"rejected_rewards":{"helpful":1,"kind":0}}'
bad 'chosen_rewards has no finite number for dimension 1, helpful' '{"context":"a","chosen_rewards":["x",0],"rejected_rewards":[0,1]}'
bad 'both sides have the same rewards' '{"context":"a","chosen_rewards":[1,0],"rejected_rewards":[1,0]}'
bad '' '{"context":"a","chosen_rewards":[1,0'
printf '%s\n' '{"context":"a","chosen_rewards":[1,0],"rejected_rewards":[2,0]}' >flat.jsonl
run 4 "$agon" data contexts flat.jsonl --to bad.json
says err 'dimension 1 of the rewards does not vary|dimension 2 .*does not vary'; one_sentence
: >empty.jsonl
run 4 "$agon" data contexts empty.jsonl --to bad.json
says err 'empty.jsonl has no pairs'; one_sentence
for how in '--base 0.5,0.6:sums to 1.1' '--base 1:1 numbers' '--prior 0:above 0' '--dimensions helpful,helpful:twice' '--dimensions a,b:dimension 1, a'; do
    run 4 "$agon" data contexts pairs.jsonl --to bad.json ${how%%:*}
    says err "${how#*:}"; one_sentence
done
run 2 "$agon" data contexts pairs.jsonl
one_sentence
run 0 "$agon" data contexts pairs.jsonl --to turned.json --dimensions harmless,helpful
refused 4 "dimension 1 of the contexts is 'harmless'" "$agon" generate --model "$tiny" --adapter whole --contexts turned.json a
refused 2 'needs --adapter' "$agon" generate --model "$tiny" --contexts contexts.json a
refused 2 '--context NAME needs --contexts' "$agon" generate --model "$tiny" --adapter whole --context lab a
refused 3 'nothing.json' "$agon" generate --model "$tiny" --adapter whole --contexts nothing.json a
refused 4 'no file of contexts' "$agon" generate --model "$tiny" --adapter whole --contexts "$source/tests/golden/tokenizer.json" a
sed 's/"offset"/"ofset"/' contexts.json >damaged.json
refused 4 "has no offset of 2 numbers" "$agon" generate --model "$tiny" --adapter whole --contexts damaged.json a
for command in generate score; do
    echo '{"prompt":"a","completion":"b","contex":"lab"}' >bad.jsonl
    run 4 "$agon" $command --model "$tiny" --adapter whole --contexts contexts.json --json <bad.jsonl
    says err 'input line 1: there is no field "contex"; did you mean "context"\?'; one_sentence
    echo '{"prompt":"a","completion":"b","content":"own"}' | run 0 "$agon" $command --model "$tiny" --adapter whole --contexts contexts.json --json
done
for row in '{"prompt":"a","context":3}:must be a text' '{"prompt":"a","context":"lab","preference":[1,0]}:give one of them'; do
    echo "${row%:*}" >bad.jsonl
    run 4 "$agon" generate --model "$tiny" --adapter whole --contexts contexts.json --json <bad.jsonl
    says err "input line 1: .*${row##*:}"; one_sentence
done
done_testing
