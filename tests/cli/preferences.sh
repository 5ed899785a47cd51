#!/bin/sh
# Several dimensions: one adapter for all preference vectors is trained, killed and resumed, asked at a vector, fixed, exported; soups.
. "$(dirname "$0")/common"

for i in 1 2 3 4; do
    printf '{"dimension":"helpful","prompt":"say %s","completion":" the number"}\n' $i
    printf '{"dimension":"harmless","prompt":"say %s","completion":" no"}\n' $i
done >rows.jsonl
grep helpful rows.jsonl >helpful.jsonl
grep harmless rows.jsonl >harmless.jsonl
options="--model $tiny --data rows.jsonl --dimensions helpful,harmless --lora 4 --batch 4 --vectors 2 --lr 2e-2 --steps 200 --dtype f32"

# ---- trained, killed with -9 after some steps, resumed: the same bits
run 0 "$agon" train sft $options --output whole --checkpoint-every 10 --json
says out '"metrics":\{("helpful"|"harmless"):[0-9.]+,("helpful"|"harmless"):[0-9.]+[,}]'
id=$(field id out)
rm -f pipe; mkfifo pipe
"$agon" train sft $options --output killed --checkpoint-every 10 --json >pipe 2>err &
trainer=$!
{ n=0; while [ $n -lt 30 ] && read -r line; do n=$((n + 1)); done; kill -9 $trainer; } <pipe
wait $trainer 2>/dev/null
[ ! -f killed/adapter_config.json ] || fail "the killed training had ended"
run 0 "$agon" train sft $options --output killed --checkpoint-every 10 --json
says out '"resumed_after":[1-9]'
[ "$(field id out)" = "$id" ] || fail "the id after a kill is $(field id out), not $id"
same whole/panacea.safetensors killed/panacea.safetensors
same whole/adapter_model.safetensors killed/adapter_model.safetensors
run 0 "$agon" train sft $options --aggregate tchebycheff --ideal 0.1,0.1 --output other --json
differ whole/panacea.safetensors other/panacea.safetensors

# ---- the vector decides: what each dimension was taught is likelier the more it weighs
score() { # score COMPLETION OPTIONS...: its log_prob
    completion=$1
    shift
    printf '{"prompt":"say 2","completion":"%s"}\n' "$completion" | run 0 "$agon" score --model "$tiny" --dtype f32 --json "$@"
    field log_prob out
}
at() { score "$1" --adapter whole --preference "$2"; }
for vector in 1,0 0.5,0.5 0,1; do
    echo "$(at ' the number' $vector) $(at ' no' $vector)"
done >leads
awk 'NR > 1 && !($1 - $2 < before) { exit 1 } { before = $1 - $2 } NR == 1 && before <= 0 { exit 1 } END { exit !(before < 0) }' leads ||
    fail "the vector does not decide: $(cat leads)"
run 0 "$agon" generate --model "$tiny" --adapter whole --preference 1,0 --temperature 0 --max-tokens 8 --dtype f32 say 2
cp out first
run 0 "$agon" generate --model "$tiny" --adapter whole --preference 0,1 --temperature 0 --max-tokens 8 --dtype f32 say 2
differ first out

# ---- a vector of a row's own: the answers of the rows alone, whatever the order
for vector in '[1,0]' '[0.25,0.75]' '[0,1]'; do
    printf '{"prompt":"say 3","completion":" the","preference":%s}\n' "$vector"
done >mixed.jsonl
run 0 "$agon" score --model "$tiny" --adapter whole --json <mixed.jsonl
cp out together
run 0 "$agon" score --model "$tiny" --adapter whole --json --preference 0.25,0.75 <<'END'
{"prompt":"say 3","completion":" the"}
END
sed -n 2p together >second
same second out
sed -n '3p;1p;2p;1p' mixed.jsonl | sed 's/,"completion":" the"//' >other.jsonl
run 0 "$agon" generate --model "$tiny" --adapter whole --max-tokens 6 --seed 4 --json <other.jsonl
cp out several
for i in 1 2 3 4; do
    sed -n ${i}p other.jsonl >one.jsonl
    run 0 "$agon" generate --model "$tiny" --adapter whole --max-tokens 6 --seed 4 --json <one.jsonl
    sed -n ${i}p several >alone
    same alone out
done

# ---- a fixed vector is an ordinary adapter: its scores are the vector's own, bit for bit; merged weights to rounding
printf '{"prompt":"say 1","completion":" the number"}\n' >ask.jsonl
run 0 "$agon" score --model "$tiny" --adapter whole --preference 0.3,0.7 --json <ask.jsonl
cp out own
run 0 "$agon" export --model "$tiny" --adapter whole --preference 0.3,0.7 --format peft --output fixed --json
[ ! -e fixed/panacea.safetensors ] || fail "the exported adapter still takes vectors"
run 0 "$agon" score --model "$tiny" --adapter fixed --json <ask.jsonl
same own out
run 0 "$agon" export --model "$tiny" --adapter whole --preference 0.3,0.7 --format hf --dtype f32 --compute f32 --output merged --json
awk "BEGIN { exit !($(field merge_error out) < 1e-3) }" || fail "merged: off by $(field merge_error out)"
# The PEFT files that training leaves are the even vector's.
mkdir even && cp whole/adapter_config.json whole/adapter_model.safetensors even
run 0 "$agon" score --model "$tiny" --adapter whole --json <ask.jsonl
cp out own
run 0 "$agon" score --model "$tiny" --adapter even --json <ask.jsonl
same own out

# ---- a rewarded soup of one adapter a dimension
for d in helpful harmless; do
    run 0 "$agon" train sft --model "$tiny" --data $d.jsonl --lora 4 --batch 4 --lr 2e-2 --steps 60 --dtype f32 --output $d
done
run 0 "$agon" soup --model "$tiny" --adapter helpful --adapter harmless --weights 0.4,0.6 --output soup --json
says out '"rank":8'
run 0 "$agon" soup --model "$tiny" --adapter helpful --adapter harmless --weights 1,0 --output all-helpful
a=$(score ' the number' --adapter helpful) b=$(score ' the number' --adapter all-helpful)
awk "BEGIN { exit !(($a - $b) ^ 2 < 1e-6) }" || fail "a soup of one is $b, not $a"
a=$(score ' no' --adapter soup) b=$(score ' no' --adapter helpful)
awk "BEGIN { exit !($a > $b) }" || fail "the soup has nothing of the second: $a, $b"

# ---- a finished training that lost the adapter for all vectors: by the training itself and by what reads it, at a vector or not
cp -r whole lost && rm lost/panacea.safetensors
refused 3 'panacea.safetensors is gone; --overwrite trains anew' "$agon" train sft $options --output lost --checkpoint-every 10 --json
refused 3 'lost was trained for several dimensions, but panacea.safetensors is gone' "$agon" generate --model "$tiny" --adapter lost a
refused 3 'panacea.safetensors is gone' "$agon" generate --model "$tiny" --adapter lost --preference 0.5,0.5 a
refused 3 'panacea.safetensors is gone' "$agon" soup --model "$tiny" --adapter lost --adapter helpful --weights 0.5,0.5 --output mixed
refused 3 'panacea.safetensors is gone' "$agon" export --model "$tiny" --adapter lost --format peft --output mixed

# ---- refused in one sentence
refused 4 'the adapter.s dimensions are 2: helpful, harmless' "$agon" generate --model "$tiny" --adapter whole --preference 0.2,0.3,0.5 a
refused 4 'sums to 1.5; it must sum to 1' "$agon" generate --model "$tiny" --adapter whole --preference 0.5,1 a
refused 4 'is -1; each is 0 or more' "$agon" generate --model "$tiny" --adapter whole --preference=-1,2 a
refused 4 'takes no preference vector' "$agon" generate --model "$tiny" --adapter helpful --preference 0.5,0.5 a
refused 2 'numbers and commas' "$agon" chat --model "$tiny" --adapter whole --preference half
refused 2 'needs --adapter' "$agon" score --model "$tiny" --preference 0.5,0.5
echo '{"prompt":"a","preference":[0.5,"x"]}' >bad.jsonl
run 4 "$agon" generate --model "$tiny" --adapter whole --json <bad.jsonl
says err 'input line 1: "preference" must be a list of numbers'; one_sentence
echo '{"prompt":"a","completion":"b","preference":[0.5]}' >bad.jsonl
run 4 "$agon" score --model "$tiny" --adapter whole --json <bad.jsonl
says err 'line 1.*has 1 numbers'; one_sentence
refused 4 'rows.jsonl:1: dimension is .helpful.; the dimensions are kind, harmless' "$agon" train sft --model "$tiny" --data rows.jsonl \
    --dimensions kind,harmless --lora 4 --output wrong
printf '{"dimension":"helpful","prompt":"a","chosen":"b","rejected":"c"}\n' >pair.jsonl
for what in "data check pair.jsonl --objective bt" "train bt --data pair.jsonl --lora 4 --output wrong"; do
    refused 4 'bt trains a head, which takes no preference vector' "$agon" $what --model "$tiny" --dimensions helpful,harmless
done
sed 's/"dimension":"helpful",//' rows.jsonl >without.jsonl
refused 4 'without.jsonl:1: .*dimension' "$agon" train sft --model "$tiny" --data without.jsonl --dimensions helpful,harmless --lora 4 --output wrong
refused 4 'no rows for the dimension harmless' "$agon" train sft --model "$tiny" --data helpful.jsonl --dimensions helpful,harmless --lora 4 \
    --output wrong2
refused 4 'multiple of 8' "$agon" train sft --model "$tiny" --data rows.jsonl --dimensions helpful,harmless --lora 4 --batch 12 --output wrong3
refused 4 'give it a rank' "$agon" train sft --model "$tiny" --data rows.jsonl --dimensions helpful,harmless --output wrong
refused 4 'linear or tchebycheff' "$agon" train sft --model "$tiny" --data rows.jsonl --dimensions helpful,harmless --lora 4 --aggregate max --output wrong
refused 4 '2 to 16' "$agon" train sft --model "$tiny" --data helpful.jsonl --dimensions helpful --lora 4 --output wrong
refused 2 'go with --dimensions' "$agon" train sft --model "$tiny" --data rows.jsonl --aggregate tchebycheff --lora 4 --output wrong
refused 2 '3 weights for 2 adapters' "$agon" soup --model "$tiny" --adapter helpful --adapter harmless --weights 1,0,0 --output wrong
refused 4 'sums to 2' "$agon" soup --model "$tiny" --adapter helpful --adapter harmless --weights 1,1 --output wrong
refused 4 'exists already' "$agon" soup --model "$tiny" --adapter helpful --adapter harmless --weights 0.5,0.5 --output soup
refused 4 'holds a training with dimensions' "$agon" train sft --model "$tiny" --data rows.jsonl --lora 4 --batch 4 --lr 2e-2 --steps 200 --dtype f32 \
    --output whole
[ ! -e wrong ] || fail "something was left of a refused training"
done_testing
