#!/bin/sh
# Small-loss selection and co-teaching: rows kept as the ramp says, two adapters as results, killed and run again to the same bits of both, refused
# where a row has no loss of its own.
. "$(dirname "$0")/common"

# Sixteen rows; every fourth has an answer that nothing explains.
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
    answer="the number"
    [ $((i % 4)) != 0 ] || answer="q$i x"
    printf '{"prompt":"say %s","completion":" %s"}\n' $i "$answer"
    printf '{"prompt":"say %s","chosen":" the number","rejected":" no %s"}\n' $i $i >&3
    printf '{"prompt":"say %s","completion":" the number","label":%s}\n' $i "$([ $((i % 2)) = 0 ] && echo true || echo false)" >&4
    printf '{"prompt":"say %s","completions":[" the"," no"],"rewards":[1,0]}\n' $i >&5
done >rows.jsonl 3>pairs.jsonl 4>labels.jsonl 5>groups.jsonl

# ---- one learner: all 8 rows of a batch at first, 6 after a tenth of the steps; every row would be another result
options="--model $tiny --data rows.jsonl --lora 4 --batch 8 --lr 1e-2 --steps 40 --dtype f32"
run 0 "$agon" train sft $options --output plain --json
run 0 "$agon" train sft $options --small-loss 0.25 --output alone --json
says out '"step":1,.*"metrics":\{.*"kept":8\.0'
says out '"step":40,.*"metrics":\{.*"kept":6\.0'
says out '"selection":\{"rows":320,"kept":[0-9]+,"disagreed":0\}'
[ "$(grep -c '"kept":6.0' out)" = 37 ] || fail "$(grep -c '"kept":6.0' out) steps of 6 rows, not 37"
differ plain/adapter_model.safetensors alone/adapter_model.safetensors
run 0 "$agon" train sft $options --small-loss 0.25 --small-loss-ramp 0 --output at-once --json
says out '"step":1,.*"kept":6\.0'
run 0 "$agon" train sft $(without --lora "$options") --small-loss 0.25 --output full --lora 0
says out '^trained on 244 of the 320 rows of all batches$'

# ---- what was wrong stays unlikely: its log_prob is lower than where it was learnt with the rest
wrong() { printf '{"prompt":"say 8","completion":" q8 x"}\n' | run 0 "$agon" score --model "$tiny" --adapter "$1" --dtype f32 --json; field log_prob out; }
run 0 "$agon" train sft $(without --steps "$options") --steps 150 --output learnt
run 0 "$agon" train sft $(without --steps "$options") --steps 150 --small-loss 0.3 --output spared
a=$(wrong learnt) b=$(wrong spared)
awk "BEGIN { exit !($b < $a - 2) }" || fail "the wrong answer's log_prob is $b with selection, $a without"

# ---- of tokens or spans: counted as such; killed or not, another level is another training
run 0 "$agon" train sft $options --small-loss 0.25 --small-loss-level token --output tokens --json
says out '"selection":\{"tokens":[0-9]+,"kept":[0-9]+,"disagreed":0\}'
differ tokens/adapter_model.safetensors alone/adapter_model.safetensors
run 0 "$agon" train gce $options --small-loss 0.25 --small-loss-level span --small-loss-span 2 --co-teach --output spans
says out '^trained on [0-9]+ of the [0-9]+ spans of all batches$'
says out 'of the spans each kept'
run 4 "$agon" train sft $options --small-loss 0.25 --output tokens
says err 'tokens holds a training with small_loss_level "token", not left out'; one_sentence
run 4 "$agon" train sft $options --small-loss 0.25 --small-loss-level span --output tokens
says err 'small_loss_level'; one_sentence

# ---- two learners: both adapters, also of pairs; the folder tells
run 0 "$agon" train dpo --model "$tiny" --data pairs.jsonl --lora 4 --batch 8 --lr 1e-2 --steps 20 --dtype f32 --small-loss 0.3 --co-teach --output dpo --json
says out '"step":1,.*"loss":0\.6931471805[0-9]*,.*"kept":8\.0,"partner_loss":0\.6931471805[0-9]*,"disagree":0\.0'
says out '"selection":\{"rows":160,"kept":[0-9]+,"disagreed":[1-9][0-9]*\},"partner":\{"output":"dpo/partner","id":"[0-9a-f]{64}"\}'
differ dpo/adapter_model.safetensors dpo/partner/adapter_model.safetensors
for a in dpo dpo/partner; do
    run 0 "$agon" generate --model "$tiny" --adapter $a --max-tokens 4 say 1
done
run 0 "$agon" train bt --model "$tiny" --data pairs.jsonl --lora 4 --batch 8 --steps 6 --small-loss 0.3 --co-teach --output bt
says out 'partner: PEFT adapter in bt/partner, id [0-9a-f]+; of the rows each kept, [0-9.]+% were not the other.s'
head -2 rows.jsonl >asked.jsonl
run 0 "$agon" score --model "$tiny" --adapter bt/partner --reward --json <asked.jsonl

# ---- killed with -9 after some steps, resumed, on another number of threads: the same bits of both
options="--model $tiny --data rows.jsonl --lora 4 --batch 8 --lr 1e-2 --steps 300 --dtype f32 --small-loss 0.3 --co-teach --checkpoint-every 10"
run 0 "$agon" train sft $options --output whole --json
grep '"done"' out >whole.done
rm -f pipe; mkfifo pipe
"$agon" train sft $options --output killed --json >pipe 2>err &
trainer=$!
{ n=0; while [ $n -lt 40 ] && read -r line; do n=$((n + 1)); done; kill -9 $trainer; } <pipe
wait $trainer 2>/dev/null
[ ! -f killed/adapter_config.json ] || fail "the killed training had ended"
mkdir -p killed/partner && : >killed/partner/adapter_config.json.tmp-agonabcdef # as a kill in the last moment leaves it
one_core=$(command -v taskset >/dev/null && echo "taskset -c 0")
run 0 $one_core "$agon" train sft $options --output killed --json
says out '"resumed_after":[1-9]'
for f in adapter_model.safetensors partner/adapter_model.safetensors; do
    same whole/$f killed/$f
done
grep '"done"' out | sed 's/killed/whole/g; s/"resumed_after":[0-9]*/"resumed_after":0/' >killed.done
same whole.done killed.done
[ "$(ls killed/partner)" = "$(ls whole/partner)" ] || fail "leftovers: $(ls killed/partner)"
run 0 "$agon" train sft $options --output killed --json
says out '"already_done":true'

# ---- another selection is another training
run 4 "$agon" train sft --model "$tiny" --data rows.jsonl --lora 4 --batch 8 --lr 1e-2 --steps 300 --dtype f32 --output whole
says err 'whole holds a training with small_loss'; one_sentence
run 4 "$agon" train sft $(without --small-loss "$options") --small-loss 0.2 --output whole
says err 'small_loss 0.[0-9]+, not 0.2'; one_sentence

# ---- refused in one sentence
bad_training() { # bad_training CODE PATTERN OBJECTIVE OPTIONS...
    code=$1 sentence=$2
    shift 2
    refused "$code" "$sentence" "$agon" train "$@" --model "$tiny" --output wrong
}
bad_training 4 'kto has one loss over a whole step' kto --data labels.jsonl --lora 4 --small-loss 0.3
bad_training 4 'aux-confidence has one loss over a whole step' aux-confidence --data labels.jsonl --lora 4 --batch 32 --small-loss 0.3
bad_training 4 'small losses say nothing under grpo' grpo --data groups.jsonl --lora 4 --small-loss 0.3
bad_training 4 'two new adapters.*--lora' sft --data rows.jsonl --small-loss 0.3 --co-teach
bad_training 4 'two new adapters.*--lora' sft --data rows.jsonl --small-loss 0.3 --co-teach --adapter alone
bad_training 2 'co-teach needs --small-loss' sft --data rows.jsonl --lora 4 --co-teach
bad_training 2 'TAU is missing' sft --data rows.jsonl --lora 4 --small-loss-level token
bad_training 2 'goes with --small-loss-level span' sft --data rows.jsonl --lora 4 --small-loss 0.3 --small-loss-span 3
bad_training 4 "row, token or span, not 'word'" sft --data rows.jsonl --lora 4 --small-loss 0.3 --small-loss-level word
bad_training 4 'dpo has no loss for a token by itself' dpo --data pairs.jsonl --lora 4 --small-loss 0.3 --small-loss-level token
bad_training 4 'from 0 to below 1' sft --data rows.jsonl --lora 4 --small-loss 1
bad_training 4 'use a larger batch' sft --data rows.jsonl --lora 4 --small-loss 0.3 --batch 1
sed 's/{/{"dimension":"a",/' rows.jsonl >dimension.jsonl
sed 's/{/{"dimension":"b",/' rows.jsonl >>dimension.jsonl
bad_training 4 'one dimension at a time' sft --data dimension.jsonl --dimensions a,b --lora 4 --small-loss 0.3
bad_training 4 'verifier or a reward model' dpo --online --lora 4 --small-loss 0.3
[ ! -e wrong/adapter_config.json ] || fail "something was left of a refused training"
done_testing
