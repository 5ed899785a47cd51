#!/bin/sh
# kto meets a prompt with the answer to another prompt: files of one prompt are refused, and what was begun before that was looked at goes on as it began.
. "$(dirname "$0")/common"

for i in 1 2 3 4 5 6; do
    printf '{"prompt":"say %s","completion":" the number %s","label":%s}\n' $((i % 2)) $i $([ $((i % 3)) = 0 ] && echo false || echo true)
done >rows.jsonl
grep 'say 1' rows.jsonl >one_prompt.jsonl
options="--model $tiny --lora 4 --batch 3 --lr 2e-2 --epochs 6 --seed 3 --dtype f32"
# manifest FROM TO: of a training that an earlier agon began and has done nothing of
manifest() { mkdir "$2" && sed '/"partners"/d; s/"done": true/"done": false/' "$1/training.json" >"$2/training.json"; }

run 0 "$agon" train kto $options --data rows.jsonl --output new
says new/training.json '"partners": "other prompts"'
manifest new old
! grep -q partners old/training.json || fail "the manifest of before names its partners"
run 0 "$agon" train kto $options --data rows.jsonl --output old
! grep -q partners old/training.json || fail "a training begun before names its partners"
differ old/adapter_model.safetensors new/adapter_model.safetensors
run 0 "$agon" train kto $options --data rows.jsonl --output old
says out '^done already'
# the older one anew is the newer one
run 0 "$agon" train kto $options --data rows.jsonl --output old --overwrite
same old/adapter_model.safetensors new/adapter_model.safetensors
# others have no partners
run 0 "$agon" train sft $options --data rows.jsonl --output sft
! grep -q partners sft/training.json || fail "sft has no partners"

# ---- one prompt alone
refused 4 'one_prompt.jsonl:1 and all other rows have the same prompt; kto compares each prompt with the answer to another' \
    "$agon" train kto $options --data one_prompt.jsonl --output refused
refused 4 'have the same prompt' "$agon" train kto $options --data one_prompt.jsonl --dry-run
refused 4 'held-out rows: one_prompt.jsonl:1 and all other' "$agon" train kto $options --data rows.jsonl --validation one_prompt.jsonl --output refused
[ ! -e refused/training.json ] || fail "a refused training left its mark"

# ---- in rounds: of one prompt there would be nothing to learn
printf '{"prompt":"say 1","answer":"1"}\n{"prompt":"say 2","answer":"2"}\n' >prompts.jsonl
rounds="--online --model $tiny --data prompts.jsonl --rounds 2 --samples 3 --max-tokens 3 --lora 2"
refused 4 'a round needs 2 prompts or more' "$agon" train kto $rounds --prompts 1 --output rounds
run 0 "$agon" train kto $rounds --prompts 2 --output rounds
says rounds/online.json '"partners": "other prompts"'
run 0 "$agon" train kto $rounds --prompts 2 --output rounds
says out '^done already'
done_testing
