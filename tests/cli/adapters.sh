#!/bin/sh
# Rows of several adapters: one training, an adapter of each name, to the bits of trainings by themselves; killed and run again; names refused.
. "$(dirname "$0")/common"

for i in 1 2 3 4 5 6 7; do
    printf '{"adapter":"north","prompt":"say %s","completion":" the number"}\n' $i
    [ $i -gt 3 ] || printf '{"adapter":"south","prompt":"say %s","completion":" no %s"}\n' $i $i
done >rows.jsonl
grep north rows.jsonl >north.jsonl
grep south rows.jsonl >south.jsonl
options="--model $tiny --lora 4 --batch 2 --lr 1e-2 --epochs 4 --dtype f32 --seed 3"

run 0 "$agon" train sft $options --data rows.jsonl --adapters north,south --output both --json
says out '"steps":16,.*"memory"'
says out '"step":1,"steps":16,.*"adapter":"north"\}'
says out '"step":8,"steps":8,.*"adapter":"south"\}'
says out '"adapters":\[\{"name":"north","output":"both/north","rows":7,"steps":16,"id":"[0-9a-f]{64}"\},\{"name":"south","output":"both/south","rows":3,"steps":8,'
for name in north south; do
    run 0 "$agon" train sft $options --data $name.jsonl --output $name-alone
    same both/$name/adapter_model.safetensors $name-alone/adapter_model.safetensors
    run 0 "$agon" generate --model "$tiny" --adapter both/$name --max-tokens 4 say 1
done
differ both/north/adapter_model.safetensors both/south/adapter_model.safetensors
run 0 "$agon" train sft $options --data rows.jsonl --adapters north,south --output both
says out '^done already: 2 PEFT adapters$'

# ---- reward models of two names, each with the scale of its own rows
sed 's/"completion":\("[^"]*"\)/"chosen":\1,"rejected":" q"/' rows.jsonl >pairs.jsonl
run 0 "$agon" train bt $options --data pairs.jsonl --adapters north,south --output rewards
for name in north south; do
    [ -e rewards/$name/reward_scale.json ] || fail "no scale for $name"
done

# ---- killed in the middle, the same command goes on to the same bits
"$agon" train sft $(without --epochs "$options") --epochs 400 --checkpoint-every 20 --data rows.jsonl --adapters north,south --output killed >killed.out 2>&1 &
victim=$!
until [ -e killed/checkpoint.bin ]; do
    kill -0 $victim 2>/dev/null || fail "ended before it could be killed: $(cat killed.out)"
    sleep 0.05
done
kill -9 $victim
wait $victim 2>/dev/null || true
[ ! -e killed/north ] || fail "it was done before it was killed"
run 0 "$agon" train sft $(without --epochs "$options") --epochs 400 --checkpoint-every 20 --data rows.jsonl --adapters north,south --output killed
says out '^going on after step [1-9]'
run 0 "$agon" train sft $(without --epochs "$options") --epochs 400 --data rows.jsonl --adapters north,south --output through
for name in north south; do
    same killed/$name/adapter_model.safetensors through/$name/adapter_model.safetensors
done
same killed/steps.jsonl through/steps.jsonl

# ---- refused: unknown and missing names by line, a name without rows, what does not go together, another training's folder
bad_training() { # PATTERN, then the command's further arguments
    sentence=$1
    shift
    refused 4 "$sentence" "$agon" train sft $options --output refused "$@"
    [ ! -e refused/training.json ] || fail "a refused training left its mark"
}
bad_training "rows.jsonl:2: adapter is 'south'; the adapters are north" --data rows.jsonl --adapters north
# agon data check finds the same rows.
run 0 "$agon" data check rows.jsonl --objective sft --model "$tiny" --adapters north,south
says out '^rows of each adapter: north [0-9]+ south [0-9]+$'
run 4 "$agon" data check rows.jsonl --objective sft --model "$tiny" --adapters north
says out "rows.jsonl:2: adapter is 'south'; the adapters are north"
bad_training "no rows for the adapter east" --data rows.jsonl --adapters north,south,east
bad_training "adapters: 'north' stands there twice" --data rows.jsonl --adapters north,north
bad_training "adapters: '../x' is no name" --data rows.jsonl --adapters ../x
echo '{"prompt":"a","completion":" b"}' >nameless.jsonl
bad_training 'nameless.jsonl:1:.*adapter' --data nameless.jsonl --adapters north
refused 4 'give them a rank' "$agon" train sft $(without --lora "$options") --output refused --data rows.jsonl --adapters north,south --lora 0
bad_training 'co-teaching' --data rows.jsonl --adapters north,south --co-teach --small-loss 0.5
bad_training 'not both' --data rows.jsonl --adapters north,south --dimensions a,b
run 4 "$agon" train sft $options --data rows.jsonl --output both
says err 'both holds a training with adapters'
run 4 "$agon" train sft $options --data rows.jsonl --adapters south,north --output both
says err 'adapters'
run 0 "$agon" train sft $(without --seed "$options") --data rows.jsonl --adapters north,south --output both --overwrite --seed 4
differ both/north/adapter_model.safetensors north-alone/adapter_model.safetensors
# Over a training of other adapters nothing of those is left.
grep '"north"' rows.jsonl >north-only.jsonl
run 0 "$agon" train sft $options --data north-only.jsonl --adapters north --output both --overwrite
[ -f both/north/adapter_model.safetensors ] && [ ! -e both/south ] || fail "both holds $(ls both both/south 2>/dev/null)"

# Killed in between: the names stand in the new manifest until their folders are gone.
cp -r both between
mkdir between/south
cp both/north/adapter_* between/south
sed 's/"done": true/"done": false, "removing": ["south"]/' both/training.json >between/training.json
run 0 "$agon" train sft $options --data north-only.jsonl --adapters north --output between
[ ! -e between/south ] || fail "an earlier training's adapter stayed"
count
! grep -q removing between/training.json || fail "the manifest still names what was removed"
same both/north/adapter_model.safetensors between/north/adapter_model.safetensors

# ---- small-loss selection says the same of each adapter as of one by itself
run 0 "$agon" train sft $options --data rows.jsonl --adapters north,south --output picked --small-loss 0.5 --json
says out '"name":"north",.*"selection":\{"rows":28,"kept":[0-9]+,"disagreed":0\}\},\{"name":"south",.*"selection":\{"rows":12,"kept":[0-9]+,"disagreed":0\}\}\]'
run 0 "$agon" train sft $options --data rows.jsonl --adapters north,south --output picked-tokens --small-loss 0.5 --small-loss-level token --json
says out '"selection":\{"tokens":[0-9]+,"kept":[0-9]+,"disagreed":0\}'

# ---- a manifest is anybody's: --overwrite removes nothing outside its folder
for names in '".."' '"link"' '"a","../elsewhere",7,"","."' '"partner"'; do
    rm -rf mine elsewhere
    mkdir -p mine/model elsewhere
    for file in config.json model.safetensors adapter_config.json; do
        echo mine >mine/$file
        echo mine >elsewhere/$file
    done
    ln -s ../../elsewhere mine/model/$([ "$names" = '"partner"' ] && echo partner || echo link)
    printf '{"adapters":[%s]}\n' "$names" >mine/model/training.json
    run 0 "$agon" train sft $options --data north.jsonl --output mine/model --overwrite
    count
    [ "$(cat mine/config.json mine/model.safetensors mine/adapter_config.json elsewhere/*)" = "$(printf 'mine\n%.0s' 1 2 3 4 5 6)" ] ||
        fail "$names: something outside was deleted: $(ls mine elsewhere)"
done
done_testing
