#!/bin/sh
# A finished training is given more epochs or steps: the bits of one begun with them, where no step depends on their number; else one sentence, and nothing lost.
. "$(dirname "$0")/common"

for i in 1 2 3 4 5 6 7; do
    printf '{"prompt":"say %s","completion":" the number"}\n' $i
done >rows.jsonl
sed 's/"completion":\("[^"]*"\)/"chosen":\1,"rejected":" q"/' rows.jsonl >pairs.jsonl
sed 's/{/{"adapter":"north",/; 3~2s/north/south/' rows.jsonl >named.jsonl
sed 's/say/ask/; 3,$d' rows.jsonl >held_out.jsonl
plain="--model $tiny --batch 2 --lr 1e-2 --seed 3 --dtype f32"
constant="$plain --schedule constant --warmup 0"
# how many steps there were to be, which each line says as it was then
forget_lengths() { for folder in "$@"; do sed -i 's/"steps":[0-9]*,//' $folder/steps.jsonl; done; }
# longer FROM TO OBJECTIVE OPTIONS: as one that was begun with TO
longer() {
    from=$1 to=$2
    shift 2
    rm -rf grown straight
    run 0 "$agon" train "$@" $from --output grown
    [ -e grown/checkpoint.bin ] || fail "no state to go on from"
    run 0 "$agon" train "$@" $from --output grown
    says out '^done already'
    run 0 "$agon" train "$@" $to --output grown
    says out '^going on after step [1-9]'
    run 0 "$agon" train "$@" $to --output straight
    forget_lengths grown straight
    for file in $(cd straight && find . -name "*.safetensors" -o -name steps.jsonl); do
        same grown/$file straight/$file
    done
    # what it says of itself is the same too
    sed 's/"grown/"straight/; /resumed_after/d' grown/training.json >grown.json
    sed '/resumed_after/d' straight/training.json >straight.json
    same grown.json straight.json
}
longer '--epochs 2' '--epochs 5' sft $constant --data rows.jsonl --lora 4
run 0 "$agon" train sft $constant --data rows.jsonl --lora 4 --epochs 5 --output grown --json
says out '"already_done":true'
refused 4 'holds a training with epochs 5, not 2' "$agon" train sft $constant --data rows.jsonl --lora 4 --epochs 2 --output grown
longer '--steps 3' '--steps 10' sft $constant --data rows.jsonl --lora 4
longer '--steps 3' '--epochs 3' dpo $constant --data pairs.jsonl
longer '--epochs 1' '--epochs 3' bt $constant --data pairs.jsonl --lora 2
longer '--epochs 1' '--epochs 3' sft $constant --data named.jsonl --adapters north,south --lora 2
longer '--epochs 1' '--epochs 3' sft $constant --data rows.jsonl --lora 2 --small-loss 0.5 --small-loss-ramp 0 --co-teach
# held-out rows: the shorter one's last step was scored, as the longer one's is not
longer '--steps 5' '--steps 9' sft $constant --data rows.jsonl --lora 2 --validation held_out.jsonl --validate-every 3
longer '--steps 6' '--steps 9' sft $constant --data rows.jsonl --lora 2 --validation held_out.jsonl --validate-every 3 --keep best

# ---- killed in its further part, and before that: the same bits
more="$constant --data rows.jsonl --lora 4 --checkpoint-every 20"
run 0 "$agon" train sft $more --steps 30 --output killed
"$agon" train sft $more --steps 2000 --output killed >killed.out 2>&1 &
victim=$!
until grep -q '^step 6[0-9]/' killed.out; do
    kill -0 $victim 2>/dev/null || fail "ended before it could be killed: $(cat killed.out)"
    sleep 0.05
done
kill -9 $victim
wait $victim 2>/dev/null || true
refused 4 'holds a training with max_steps 2000, not 30' "$agon" train sft $more --steps 30 --output killed
run 0 "$agon" train sft $more --steps 2100 --output killed
says out '^going on after step [1-9]'
run 0 "$agon" train sft $more --steps 2100 --output through
same killed/adapter_model.safetensors through/adapter_model.safetensors
forget_lengths killed through
same killed/steps.jsonl through/steps.jsonl

# ---- what depends on the number of steps is said in a sentence, and the shorter one stays done
fixed() { # SENTENCE OBJECTIVE OPTIONS
    sentence=$1
    shift
    rm -rf fixed
    run 0 "$agon" train "$@" --epochs 1 --output fixed
    [ ! -e fixed/checkpoint.bin ] || fail "a state was kept that nothing can go on from"
    refused 4 "holds a training of [0-9]+ steps, and it cannot be made longer: its $sentence" "$agon" train "$@" --epochs 2 --output fixed
    run 0 "$agon" train "$@" --epochs 1 --output fixed
    says out '^done already'
}
fixed 'learning rate falls to zero at the last step' sft $plain --data rows.jsonl --lora 2
fixed 'learning rate falls to zero at the last step' sft $plain --schedule linear --warmup 0 --data rows.jsonl --lora 2
fixed 'warm-up is a share of the steps' sft $plain --schedule constant --data rows.jsonl --lora 2
fixed 'small-loss selection sets in over' sft $constant --data rows.jsonl --lora 2 --small-loss 0.5
fixed 'objective begins otherwise' gce $constant --data rows.jsonl --lora 2 --set warmup=0.5
fixed 'held-out rows are scored after each tenth' sft $constant --data rows.jsonl --lora 2 --validation held_out.jsonl
fixed 'last step, which may be the one that is kept' sft $constant --data rows.jsonl --lora 2 --validation held_out.jsonl --validate-every 3 --keep best
sed 's/"completion":\("[^"]*"\)/"completions":[\1," q"],"rewards":[1,0]/' rows.jsonl >groups.jsonl
fixed 'rows lack log_probs at sampling' grpo $constant --data groups.jsonl --lora 2

# ---- the state is gone; another option was changed too
rm -rf grown
run 0 "$agon" train sft $constant --data rows.jsonl --lora 4 --epochs 1 --output grown
refused 4 'holds a training with learning_rate 0.01, not 0.02' "$agon" train sft $(without --lr "$constant") --lr 2e-2 --data rows.jsonl --lora 4 --epochs 2 --output grown
rm grown/checkpoint.bin
refused 3 'checkpoint.bin\) is gone' "$agon" train sft $constant --data rows.jsonl --lora 4 --epochs 2 --output grown
run 0 "$agon" train sft $constant --data rows.jsonl --lora 4 --epochs 1 --output grown
says out '^done already'
done_testing
