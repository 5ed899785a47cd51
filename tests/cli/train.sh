#!/bin/sh
# Training: preview, killed and run again to the same bits, stopped cleanly, refused where it would mix two trainings.
. "$(dirname "$0")/common"

for i in 1 2 3 4 5 6 7 8; do
    printf '{"messages":[{"role":"user","content":"say %s"},{"role":"assistant","content":"the number %s"}]}\n' $i $i
done >sft.jsonl
for i in 1 2 3 4 5 6; do
    printf '{"prompt":[{"role":"user","content":"say %s"}],"chosen":"the number %s","rejected":"no"}\n' $i $i
done >pairs.jsonl
for i in 1 2 3 4; do
    printf '{"prompt":"say %s","completions":["the %s","on","a b"],"rewards":[1,0,0.5]}\n' $i $i
done >groups.jsonl

# ---- preview: exact tokens and mask, and nothing is trained
run 0 "$agon" train sft --model "$tiny" --data sft.jsonl --output never --preview 2 --dry-run
says out '1  prompt  "<\|im_start\|>"'
says out '260  1       "the"'
says out '2  1       "<\|im_end\|>"'
[ ! -e never ] || fail "a dry run wrote something"
run 0 "$agon" train dpo --model "$tiny" --data pairs.jsonl --preview 1 --dry-run --json
says out '"preview":\{"row":1,"where":"pairs.jsonl:1","prompt":\[1,.*"responses":\[\{"tokens":\[260.*"mask":\[1.0'

# ---- a dry run refuses what a training refuses, and neither begins a folder
both() { # PATTERN OBJECTIVE DATA OPTIONS...
    words=$1
    shift
    for end in --dry-run "--output never"; do
        run 4 "$agon" train "$1" --model "$tiny" --data "$2" --lora 4 ${3-} $end
        says err "$words"; one_sentence
        [ ! -e never ] || fail "a folder was made for a training that cannot be: $*"
    done
}
printf '{"prompt":"say 1","completion":"the number 1","label":true}\n' >one.jsonl
both 'it needs 2 rows or more, and here is one' kto one.jsonl
both '\(--batch\) must be 2 or more' kto one.jsonl "--batch 1"
both 'small losses say nothing under grpo' grpo groups.jsonl "--small-loss 0.2"
sed 's/^{/{"adapter":"a",/' one.jsonl >two.jsonl
for i in 1 2; do sed 's/^{/{"adapter":"b",/' one.jsonl; done >>two.jsonl
both 'it needs 2 rows or more, and here is one' kto two.jsonl "--adapters a,b"
for name in helpful harmless; do sed "s/^{/{\"dimension\":\"$name\",/" sft.jsonl; done >named.jsonl
both 'use a multiple of 8' sft named.jsonl "--dimensions helpful,harmless --batch 12"

# ---- the learning rate left to agon: an adapter's, or what was published for all weights under this objective
rate() { run 0 "$agon" train $1 --model "$tiny" --data $2 $3 --dry-run --json; says out "\"lr\":$4,"; }
rate sft sft.jsonl "" 2e-05
rate dpo pairs.jsonl "" 1e-06
rate dpo pairs.jsonl "--lora 4" 0.0001
rate dpo pairs.jsonl "--lr 3e-4" 0.0003

# ---- each kind of row and result
run 0 "$agon" train sft --model "$tiny" --data sft.jsonl --output sft --batch 4 --lr 3e-3 --epochs 2 --json
says out '"step":4,"steps":4,"loss":[0-9.]+,"grad_norm":[0-9.e-]+,"lr":'
says out '"tokens_per_second":'
[ -f sft/config.json ] && [ -f sft/model.safetensors ] || fail "no Hugging Face folder"
first=$(field loss out | head -1) last=$(field loss out | tail -1)
awk "BEGIN { exit !($last < $first) }" || fail "the loss went from $first to $last"
run 0 "$agon" generate --model sft --temperature 0 --max-tokens 4 the
for how in "--lora 4" ""; do
    rm -rf dpo
    run 0 "$agon" train dpo --model "$tiny" --data pairs.jsonl --output dpo $how --batch 3 --set beta=0.2 --json
    # Policy and reference are the same function at the first step: log 2, to the last bits.
    says out '"step":1,.*"loss":0\.6931471805[0-9]*,'
done
# Going on from an adapter, it is the reference, or the model is, of which the adapter has moved away.
run 0 "$agon" train dpo --model "$tiny" --data pairs.jsonl --output dpo-first --lora 4 --batch 3 --epochs 4 --lr 1e-2
on="train dpo --model $tiny --data pairs.jsonl --adapter dpo-first --batch 3 --set beta=0.2 --json"
run 0 "$agon" $on --output dpo-start
says out '"step":1,.*"loss":0\.6931471805[0-9]*,'
run 0 "$agon" $on --output dpo-base --reference base
moved=$(field loss out | head -1)
awk "BEGIN { exit !($moved < 0.68) }" || fail "measured against the base the first loss is $moved"
differ dpo-start/adapter_model.safetensors dpo-base/adapter_model.safetensors
run 4 "$agon" $on --output dpo-base
says err "holds a training with reference .base., not left out"; one_sentence
run 4 "$agon" train dpo --model "$tiny" --data pairs.jsonl --output wrong --lora 4 --reference base
says err "where it goes on from an adapter"; one_sentence
run 4 "$agon" train sft --model "$tiny" --data sft.jsonl --output wrong --adapter dpo-first --reference base
says err "sft has no reference"; one_sentence
run 4 "$agon" $on --output wrong --reference there
says err "not 'there'"; one_sentence
run 0 "$agon" train grpo --model "$tiny" --data groups.jsonl --output grpo --lora 4 --batch 2
run 0 "$agon" generate --model "$tiny" --adapter grpo --max-tokens 4 the
run 4 "$agon" train dpo --model "$tiny" --data sft.jsonl --output wrong --lora 4
says err 'sft.jsonl:1: dpo learns from rows with prompt, chosen and rejected'; one_sentence
run 4 "$agon" train grpo --model "$tiny" --data pairs.jsonl --output wrong --lora 4
says err 'rewards'; one_sentence
(sed -n 1,2p sft.jsonl; echo '{"messages": [}') >broken.jsonl
run 4 "$agon" train sft --model "$tiny" --data broken.jsonl --output wrong --lora 4
says err 'broken.jsonl:3'; one_sentence
[ ! -e wrong ] || fail "something was left of a refused training"

# ---- kill -9 after some steps, run again: the same bits. 500 lines of steps are more than two pipes hold, so a training
# whose reader went away cannot have ended.
killed() { # killed OUTPUT STEPS OPTIONS...: reads STEPS steps, then kills
    output=$1 steps=$2
    shift 2
    rm -f pipe
    mkfifo pipe
    "$agon" train sft --model "$tiny" --data sft.jsonl --output "$output" --json "$@" >pipe 2>err &
    trainer=$!
    seen=0
    while [ $seen -lt "$steps" ] && read -r line; do
        case $line in *'"step":'*) seen=$((seen + 1)) ;; esac
    done <pipe
    kill -9 $trainer
    wait $trainer 2>/dev/null
    [ $seen = "$steps" ] || fail "only $seen steps were seen before the kill"
}
for how in "--lora 4" ""; do
    rm -rf whole killed
    options="$how --batch 2 --lr 1e-2 --steps 500 --checkpoint-every 10"
    run 0 "$agon" train sft --model "$tiny" --data sft.jsonl --output whole $options --json
    id=$(field id out)
    for at in 12 25; do
        killed killed $at $options
        [ ! -f killed/config.json ] && [ ! -f killed/adapter_config.json ] || fail "the killed training had ended"
        printf '{"step":' >>killed/steps.jsonl # a line that a kill cut
    done
    run 0 "$agon" train sft --model "$tiny" --data sft.jsonl --output killed $options --json
    says out '"resumed_after":[1-9]'
    [ "$(field id out)" = "$id" ] || fail "the id after two kills is $(field id out), not $id"
    same whole/steps.jsonl killed/steps.jsonl
    [ "$(wc -l <whole/steps.jsonl)" = 500 ] || fail "$(wc -l <whole/steps.jsonl) lines of 500 steps"
    [ "$(field loss whole/steps.jsonl | sed -n 500p)" = "$(grep '"step":500,' out | field loss /dev/stdin)" ] || fail "steps.jsonl has another loss"
    for f in model.safetensors adapter_model.safetensors; do
        [ ! -f whole/$f ] || same whole/$f killed/$f
    done
    ls killed | grep -q 'tmp\|checkpoint' && fail "leftovers: $(ls killed)"
    # Done is done: the same command changes nothing, another is refused.
    run 0 "$agon" train sft --model "$tiny" --data sft.jsonl --output killed $options --json
    says out '"already_done":true'
    run 4 "$agon" train sft --model "$tiny" --data sft.jsonl --output killed $(without --lr "$options") --lr 2e-2
    says err 'learning_rate'; one_sentence
done

# ---- a damaged file of the folder: which it is, and what mends it
rm -rf damaged
options="--lora 4 --batch 2 --lr 1e-2 --steps 500 --checkpoint-every 10"
killed damaged 12 $options
printf 'x' | dd of=damaged/checkpoint.bin bs=1 seek=100 conv=notrunc 2>/dev/null
run 4 "$agon" train sft --model "$tiny" --data sft.jsonl --output damaged $options
says err '^agon train: damaged/checkpoint.bin: .*checksum disagrees; --overwrite starts anew$'
echo '{' >damaged/training.json
run 4 "$agon" train sft --model "$tiny" --data sft.jsonl --output damaged $options
says err 'damaged/training.json.*; --overwrite starts anew$'; one_sentence
run 0 "$agon" train sft --model "$tiny" --data sft.jsonl --output damaged --overwrite --lora 4 --steps 1 --lr 1e-3
[ "$(wc -l <damaged/steps.jsonl)" = 1 ] || fail "steps of the earlier training stayed"

# ---- killed after --overwrite had begun and before it had removed the earlier result: that goes now
cp -r damaged begun_over
sed 's/"done": true/"done": false/' damaged/training.json >begun_over/training.json
echo '{}' >begun_over/reward_scale.json
run 0 "$agon" train sft --model "$tiny" --data sft.jsonl --output begun_over --lora 4 --steps 1 --lr 1e-3
count
[ ! -f begun_over/reward_scale.json ] || fail "an earlier result's file stayed"
cmp damaged/adapter_model.safetensors begun_over/adapter_model.safetensors || fail "not the same training"

# ---- --resume and --overwrite want the opposite: nothing is touched
cp -r damaged both_ways
run 2 "$agon" train sft --model "$tiny" --data sft.jsonl --output both_ways --resume --overwrite --lora 4 --steps 2 --lr 1e-3
says err '--resume only goes on and --overwrite starts anew'; one_sentence
count
diff -r damaged both_ways || fail "a refused --overwrite changed the folder"

# ---- --overwrite deletes trainings only: not the model or adapter that is read, not one that no training made
cp -r damaged own
"$agon" export --model "$tiny" --format hf --output base >/dev/null
for which in "--model base --output base" "--model $tiny --adapter own --output own" "--model $tiny --adapter own --output ./own/../own"; do
    # shellcheck disable=SC2086
    run 4 "$agon" train sft $which --data sft.jsonl --overwrite --steps 1 --lr 1e-3
    says err 'is where .* is read from, which --overwrite would delete; give another output folder$'; one_sentence
done
run 4 "$agon" train sft --model "$tiny" --data sft.jsonl --output base --overwrite --lora 4 --steps 1 --lr 1e-3
says err 'base has config.json of no training, which --overwrite would delete; give another output folder$'; one_sentence
for file in checkpoint.bin online.json state.bin; do
    mkdir "has_$file"
    echo mine >"has_$file/$file"
    run 4 "$agon" train sft --model "$tiny" --data sft.jsonl --output "has_$file" --overwrite --lora 4 --steps 1 --lr 1e-3
    says err "has $file of no training, which --overwrite would delete"; one_sentence
    count
    [ "$(cat "has_$file/$file")" = mine ] || fail "$file was deleted"
done
run 0 "$agon" generate --model base --max-tokens 1 hello
run 0 "$agon" generate --model "$tiny" --adapter own --max-tokens 1 hello

# ---- Ctrl-C: stored and exit code 8, then on to the same bits
rm -rf stopped
rm -f pipe
mkfifo pipe
options="--lora 4 --batch 2 --lr 1e-2 --steps 500"
run 0 "$agon" train sft --model "$tiny" --data sft.jsonl --output whole2 $options --json
id=$(field id out)
"$agon" train sft --model "$tiny" --data sft.jsonl --output stopped $options --json >pipe 2>err &
trainer=$!
{ read -r line; read -r line; read -r line; kill -TERM $trainer; cat >/dev/null; } <pipe
wait $trainer
code=$?
[ $code = 8 ] || fail "stopped with exit code $code, not 8"
one_sentence
[ -f stopped/checkpoint.bin ] || fail "stopped without a checkpoint"
run 0 "$agon" train sft --model "$tiny" --data sft.jsonl --output stopped --resume $options --json
[ "$(field id out)" = "$id" ] || fail "the id after Ctrl-C differs"

# ---- memory: predicted in the plan, refused in one sentence, a limit can be set
run 0 "$agon" train sft --model "$tiny" --data sft.jsonl --lora 4 --dry-run --json
says out '"memory":\{"resident":[0-9]+,"peak":[0-9]+,"available":([0-9]+|null),"recomputes":false\}'
run 0 "$agon" train sft --model "$tiny" --data sft.jsonl --lora 4 --dry-run
says out '^memory: [0-9]+ MiB at the peak'
AGON_MEMORY=unlimited run 0 "$agon" train sft --model "$tiny" --data sft.jsonl --lora 4 --dry-run --json
says out '"available":null'
AGON_MEMORY=1 run 5 "$agon" train sft --model "$tiny" --data sft.jsonl --output small --lora 4
says err 'needs about [0-9]+ MiB of memory more and 0 MiB are there'; one_sentence
AGON_MEMORY=1 run 5 "$agon" generate --model "$tiny" hello
one_sentence
AGON_MEMORY=much run 2 "$agon" generate --model "$tiny" hello
says err 'AGON_MEMORY'; one_sentence

# ---- options that cannot be trained keep no folder from better ones; a byte order mark is no text
run 4 "$agon" train sft --model "$tiny" --data sft.jsonl --output retried --steps 1 --lr -1
one_sentence
# What came of the last step is used once before it counts as done: here all values are finite and no score is.
run 4 "$agon" train sft --model "$tiny" --data sft.jsonl --output wild --lora 2 --steps 1 --lr 1e30
says err 'after step 1 the trained model is of no use.*not finite'
[ ! -f wild/adapter_config.json ] && grep -q '"done": false' wild/training.json || fail "what is of no use was written as done"
{ printf '\357\273\277' && cat sft.jsonl; } >marked.jsonl
run 0 "$agon" train sft --model "$tiny" --data marked.jsonl --output retried --steps 1 --lr 1e-3

# ---- folders that hold something else
mkdir other && echo x >other/mine
run 4 "$agon" train sft --model "$tiny" --data sft.jsonl --output other --lora 4
says err 'not empty'; one_sentence
[ "$(cat other/mine)" = x ] || fail "somebody's file was touched"
run 3 "$agon" train sft --model "$tiny" --data sft.jsonl --output fresh --lora 4 --resume
one_sentence
printf 'damaged' >stopped/training.json
run 4 "$agon" train sft --model "$tiny" --data sft.jsonl --output stopped $options
one_sentence

# ---- a result of which a file is gone is no result
run 0 "$agon" train sft --model "$tiny" --data sft.jsonl --output part --lora 4 --steps 1
for file in adapter_model.safetensors adapter_config.json; do
    mv part/$file kept
    run 3 "$agon" train sft --model "$tiny" --data sft.jsonl --output part --lora 4 --steps 1
    says err "part: the training is done, but $file is gone; --overwrite trains anew"; one_sentence
    mv kept part/$file
done
run 0 "$agon" train sft --model "$tiny" --data sft.jsonl --output part --lora 4 --steps 1
says out 'done already'

# ---- AdamW's constants belong to what is trained, also when they are left out the second time
run 0 "$agon" train sft --model "$tiny" --data sft.jsonl --output adam --lora 4 --steps 2 --eps 1e-3
run 4 "$agon" train sft --model "$tiny" --data sft.jsonl --output adam --lora 4 --steps 2
says err 'holds a training with eps 0.001, not left out'; one_sentence
run 2 "$agon" train sft --model "$tiny" --data sft.jsonl --output wrong --lora 4 --vectors 3
says err '--vectors and --ideal go with --dimensions'
run 2 "$agon" train grpo --online --model "$tiny" --output wrong --lora 4 --kl-target 3
says err '--kl-target goes with --kl-horizon'
done_testing
