#!/bin/sh
# Held-out rows beside a training: said and written down, no bit changed, killed and run again to the same figures and the same best step, refused where
# they say nothing.
. "$(dirname "$0")/common"

for i in 1 2 3 4 5 6 7 8; do
    printf '{"prompt":"say %s","completion":"the number %s"}\n' $i $i
done >rows.jsonl
# At first the answers' form is learnt, then only their words, which are others here.
for i in 1 2 3; do
    printf '{"prompt":"say %s","completion":"a letter %s"}\n' $i $i
done >held.jsonl
for i in 1 2 3 4 5 6; do
    printf '{"prompt":"say %s","chosen":"the number %s","rejected":"no"}\n' $i $i
done >pairs.jsonl
train="$agon train sft --model $tiny --data rows.jsonl --lora 4 --batch 2 --lr 3e-2 --steps 500"

# ---- what is said, and that the training is the same without
run 0 $train --output plain --json
id=$(field id out)
run 0 $train --output last --validation held.jsonl --validate-every 100 --json
[ "$(field id out)" = "$id" ] || fail "another training with validation: $(field id out), not $id"
same plain/adapter_model.safetensors last/adapter_model.safetensors
says out '"validation_plan":\{"rows":3,"every":100,"keep":"last","shared":0\}'
[ "$(grep -c '"validation":{"step"' out)" = 6 ] || fail "not 6 validations"
says out '"validation":\{"step":0,"steps":500,"loss":[0-9.]+,"best":false,"metrics":\{'
grep -o '"validation":{"step".*' out >whole.validations
says out '"done":.*"validation":\{"rows":3,"start":[0-9.]+,"last":[0-9.]+,"best":\{"step":100,"loss":[0-9.]+\},"kept":500\}'
says last/training.json '"validated"'
run 0 $train --output never --validation held.jsonl --dry-run
says out '^validation: 3 rows before step 1, after every 50 steps and at the end; the last step is kept$'
run 0 $train --output best --validation held.jsonl --validate-every 100 --keep best
says out '^validation after step 0/500  loss [0-9.]+'
says out '^held-out loss: .* before step 1, least after step 100 \(.*\), .* at the end; kept: step 100$'
[ ! -e best/best.bin ] && [ ! -e best/checkpoint.bin ] || fail "leftovers: $(ls best)"
differ best/adapter_model.safetensors last/adapter_model.safetensors
run 0 $train --output hundred --validation held.jsonl --validate-every 100 --keep best --json
best=$(field id out)

# ---- killed and run again: the same bits, the same best step, each validation once. 500 lines are more than two pipes hold.
for at in 30 120 290; do
    rm -rf killed pipe
    mkfifo pipe
    $train --output killed --validation held.jsonl --validate-every 100 --keep best --checkpoint-every 10 --json >pipe 2>err &
    trainer=$!
    { n=0; while [ $n -lt $at ] && read -r line; do n=$((n + 1)); echo "$line"; done; kill -9 $trainer; } <pipe >killed.out
    wait $trainer 2>/dev/null
    [ ! -f killed/adapter_config.json ] || fail "the killed training had ended"
    run 0 $train --output killed --validation held.jsonl --validate-every 100 --keep best --checkpoint-every 10 --json
    says out '"resumed_after":[1-9]'
    says out '"kept":100'
    [ "$(field id out)" = "$best" ] || fail "the id after a kill is $(field id out), not $best"
    same best/adapter_model.safetensors killed/adapter_model.safetensors
    cat killed.out out | grep -o '"validation":{"step".*' | sort -u >both.validations
    sort -u whole.validations >sorted.validations
    same sorted.validations both.validations
    ls killed | grep -q 'tmp\|bin' && fail "leftovers: $(ls killed)"
done

# ---- the record belongs to the training: another file, rhythm or choice is another one; a lost state is said
run 4 $train --output best --validation held.jsonl --validate-every 50 --keep best
says err 'holds a training with validation .*"every":100'; one_sentence
run 4 $train --output best
says err 'holds a training with validation'; one_sentence
rm -rf lost pipe
mkfifo pipe
$train --output lost --validation held.jsonl --validate-every 100 --keep best --checkpoint-every 10 --json >pipe 2>err &
trainer=$!
{ n=0; while [ $n -lt 150 ] && read -r line; do n=$((n + 1)); done; kill -9 $trainer; } <pipe
wait $trainer 2>/dev/null
cp -r lost bare
rm lost/best.bin
run 4 $train --output lost --validation held.jsonl --validate-every 100 --keep best
says err 'best.bin, the state after the best step, is gone; --overwrite starts anew$'; one_sentence
sed 's/"validated"/"nothing"/' lost/training.json >bare/training.json
run 4 $train --output bare --validation held.jsonl --validate-every 100 --keep best
one_sentence
run 0 $(without --steps "$train") --output lost --overwrite --steps 2
[ ! -e lost/best.bin ] || fail "an earlier training's state stayed"

# ---- rows that are trained on are counted, others refused in a sentence
head -2 rows.jsonl >shared.jsonl
cat held.jsonl >>shared.jsonl
run 0 $train --output never --validation shared.jsonl --dry-run
says err '^agon train: 2 of the 5 rows of shared.jsonl are rows of rows.jsonl too; what is trained on is not held out'
: >empty.jsonl
run 4 $train --output never --validation empty.jsonl
says err 'empty.jsonl'; one_sentence
run 4 $train --output never --validation pairs.jsonl
says err 'pairs.jsonl:1'; one_sentence
run 3 $train --output never --validation missing.jsonl
says err 'missing.jsonl'; one_sentence
run 4 $train --output never --validation held.jsonl --keep most
says err "keeps its last or its best step \(keep\), not 'most'"; one_sentence
run 2 $train --output never --keep best
says err '--keep goes with --validation'
run 2 $train --output never --validation held.jsonl --adapters a,b
says err '--adapters does not go with it'
run 2 "$agon" train grpo --online --model "$tiny" --output never --lora 4 --validation held.jsonl
says err '--online makes its own rows, in rounds: --validation does not go with it'
printf '{"prompt":"say 1","completion":"the number","reward":1}\n' >sampled.jsonl
run 4 "$agon" train ppo --model "$tiny" --data sampled.jsonl --validation sampled.jsonl --lora 4 --output never
says err 'sampled.jsonl:1, response 1 has no log_probs at sampling, which a held-out row of ppo must bring'
[ ! -e never ] || fail "something was left of a refused training"

# ---- pairs, and all weights
run 0 "$agon" train dpo --model "$tiny" --data pairs.jsonl --validation pairs.jsonl --lora 4 --batch 3 --output dpo --json
says out '"validation":\{"step":0,.*"loss":0\.6931471805[0-9]*,'
says out '"validation":.*"accuracy":'
says err 'of pairs.jsonl are rows of pairs.jsonl too'
run 0 "$agon" train sft --model "$tiny" --data rows.jsonl --validation held.jsonl --batch 2 --lr 1e-2 --steps 12 --keep best --output whole --json
says out '"kept":[1-9]'
[ -f whole/model.safetensors ] || fail "no model"
run 0 "$agon" train bt --model "$tiny" --data pairs.jsonl --validation pairs.jsonl --lora 4 --output bt --keep best
done_testing
