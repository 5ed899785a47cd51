#!/bin/sh
# Reward models and classifiers: trained on each kind of row, killed half-way to the same bits, read back by agon score --reward.
. "$(dirname "$0")/common"

for i in 1 2 3 4 5 6; do
    printf '{"prompt":"say %s","chosen":"the number %s","rejected":"no no","margin":0.5}\n' $i $i >>pairs.jsonl
    printf '{"prompt":"say %s","chosen":"the number %s","rejected":"no no","chosen_critique":"the number","rejected_critique":"no %s"}\n' $i $i $i >>critiques.jsonl
    printf '{"prompt":"say %s","completions":["the %s","on","a b"],"rewards":[1,0,0.5]}\n' $i $i >>ranks.jsonl
    printf '{"prompt":"say %s","completion":"the %s","label":%s,"reward":%s}\n' $i $i $((i % 2)) $i >>labels.jsonl
    printf '{"prompt":"say %s","completions":["the number","%s"],"labels":[true,false]}\n' $i $i >>steps.jsonl
    printf '{"prompt":"say %s","completions":["the","a number"],"labels":[0.%s,0.%s]}\n' $i $i $((10 - i)) >>choices.jsonl
done

# ---- killed at a checkpoint, run again: the same bits, for every kind of reward model. 400 lines of steps are more than a pipe holds.
for pair in bt:pairs plackett-luce:ranks rm-pointwise:labels classify:labels aux-confidence:labels prm:steps cloud:critiques ppo:labels choices:choices choices-confidence:choices; do
    name=${pair%:*} data=${pair#*:}.jsonl
    how="--lora 4"
    [ $name != prm ] || how="" # all weights once
    batch=3
    case $name in *-confidence) batch=32 ;; esac
    options="--data $data $how --batch $batch --lr 1e-2 --steps 400 --checkpoint-every 50 --json"
    run 0 "$agon" train $name --model "$tiny" --output whole-$name $options
    id=$(field id out)
    rm -f pipe
    mkfifo pipe
    "$agon" train $name --model "$tiny" --output cut-$name $options >pipe 2>err &
    trainer=$!
    while read -r line; do
        case $line in *'"step":51,'*) break ;; esac
    done <pipe
    kill -9 $trainer 2>/dev/null
    wait $trainer 2>/dev/null
    [ ! -f cut-$name/adapter_config.json ] && [ ! -f cut-$name/config.json ] || fail "$name had ended before the kill"
    run 0 "$agon" train $name --model "$tiny" --output cut-$name $options
    says out '"resumed_after":[1-9]'
    [ "$(field id out | tail -1)" = "$id" ] || fail "$name: $(field id out) after the kill, not $id"
    for f in model.safetensors adapter_model.safetensors; do
        [ ! -f whole-$name/$f ] || same whole-$name/$f cut-$name/$f
    done
done

# ---- a text is rewarded after its end token, where it was trained: what the last step's metrics say of the six rows holds for the command
sed -n 's/.*"chosen":"\([^"]*\)".*/{"prompt":"say N","completion":"\1"}/p' pairs.jsonl | awk '{sub("N", NR); print}' >chosen.jsonl
run 0 "$agon" score --reward --model "$tiny" --adapter whole-bt <chosen.jsonl
awk '$1 < 1 {exit 1}' out || fail "the chosen answers are not far ahead: $(cat out)"
cp out ended
run 0 "$agon" score --reward --no-end --model "$tiny" --adapter whole-bt <chosen.jsonl
! cmp -s out ended || fail "the end token makes no difference"
run 2 "$agon" score --no-end --model "$tiny" <chosen.jsonl
says err 'no-end goes with --reward'

# ---- cloud's head reads the critique: with the critiques of the two sides swapped, chosen is less far ahead
for row in 'the number 3|the number' 'no no|no 3' 'the number 3|no 3' 'no no|the number'; do
    printf '{"prompt":"say 3","completion":"%s","critique":"%s"}\n' "${row%|*}" "${row#*|}"
done >swapped.jsonl
run 0 "$agon" score --reward --model "$tiny" --adapter whole-cloud <swapped.jsonl
awk '{r[NR]=$1} END {exit !(r[1] > r[2] && r[1] - r[2] > r[3] - r[4])}' out || fail "swapped critiques change nothing: $(cat out)"

# ---- the trained rewards prefer what was chosen
printf '{"prompt":"say 3","completion":"the number 3"}\n{"prompt":"say 3","completion":"no no"}\n' >ask.jsonl
run 0 "$agon" score --reward --model "$tiny" --adapter whole-bt --json <ask.jsonl
says out '^\{"reward":-?[0-9.e-]+,"token_rewards":\['
awk -F'[:,]' 'NR==1 {a=$2} NR==2 {exit !(a > $2 + 1)}' out || fail "the chosen answer is not worth more"
says whole-bt/adapter_config.json '"task_type": "SEQ_CLS"'
run 0 "$agon" score --reward --no-end --model whole-prm <ask.jsonl
says whole-prm/config.json 'ForSequenceClassification'
[ -f whole-ppo/model.safetensors ] || fail "no value head beside the policy"

# ---- held-out pairs: right in all and by margin, a label that turns a pair round, a tie; both ways of asking
for i in 7 8 9; do
    printf '{"prompt":"say %s","chosen":"the number %s","rejected":"no no","margin":%s}\n' $i $i $((i - 7))
done >held.jsonl
printf '{"prompt":"say 1","chosen":"no no","rejected":"the number 1","label":0.1}\n{"prompt":"say 1","chosen":"no no","rejected":"the number 1","label":0.5}\n' >>held.jsonl
run 0 "$agon" score --reward --model "$tiny" --adapter whole-bt --pairs held.jsonl --json
says out '^\{"pairs":4,"right":4,"accuracy":1.0,"ci95":\[0.39'
says out '"ties":1,"loss":[0-9.e-]+,"loss_ci95":\[[0-9.e-]+,[0-9.e-]+\],"ece":[0-9.e-]+,"brier":[0-9.e-]+,"by_margin":\[\{"pairs":0'
says out '"by_label_margin":\[\{"pairs":1,"right":1,'
sed 's/"chosen"/"x"/; s/"rejected"/"chosen"/; s/"x"/"rejected"/' held.jsonl >turned.jsonl
run 0 "$agon" score --reward --model "$tiny" --adapter whole-bt --pairs turned.jsonl
says out '^ranked rightly +0.0%'; says out 'ECE (0.[5-9]|1)'
run 0 "$agon" score --reward --model "$tiny" --adapter whole-bt --adapter whole-bt --pairs held.jsonl --json
says out '"right":4,.*"loss_ci95":null,"ece":null'
run 2 "$agon" score --model "$tiny" --pairs held.jsonl
says err 'name --adapter or --against'
run 2 "$agon" score --reward --beta 0.2 --model "$tiny" --adapter whole-bt --pairs held.jsonl
says err 'beta goes with --pairs and without --reward'

# ---- the same of a policy, by its implicit rewards; beta scales them, its own reference ranks nothing
run 0 "$agon" train dpo --model "$tiny" --data pairs.jsonl --output policy --lora 4 --lr 0.01 --epochs 4 --json
head -3 held.jsonl >policy.jsonl
run 0 "$agon" score --model "$tiny" --adapter policy --pairs policy.jsonl --json
says out '^\{"pairs":3,"right":3,"accuracy":1.0,.*"loss":0\.'
one=$(sed 's/.*"reward_std":\([0-9.e-]*\).*/\1/' out) loss=$(sed 's/.*"loss":\([0-9.e-]*\).*/\1/' out)
run 0 "$agon" score --model "$tiny" --adapter policy --beta 0.3 --pairs policy.jsonl --json
sed 's/.*"reward_std":\([0-9.e-]*\).*"loss.*/\1/; s/.*"loss":\([0-9.e-]*\).*"reward_std":\([0-9.e-]*\).*/\1 \2/' out |
    awk -v one="$one" -v loss="$loss" '{exit !($1 < loss && $2 / one > 2.999 && $2 / one < 3.001)}' || fail "beta scales the rewards: $one, $loss, $(cat out)"
run 0 "$agon" score --model "$tiny" --adapter policy --against "$tiny" --pairs policy.jsonl --json
[ "$(sed 's/.*"reward_std":\([0-9.e-]*\).*/\1/' out)" = "$one" ] || fail "the base named is the base"
run 0 "$agon" score --model "$tiny" --adapter policy --pairs policy.jsonl
says out '^ranked rightly +100.0%'; says out '^loss 0\.'
run 4 "$agon" score --model "$tiny" --adapter policy --beta -1 --pairs policy.jsonl
says err 'beta must be above 0'; one_sentence
run 4 "$agon" score --reward --model "$tiny" --pairs held.jsonl
says err 'no reward head'; one_sentence

# ---- two on the same pairs: against one trained the wrong way round, and the same the other way about
head -3 turned.jsonl >contrary.jsonl
run 0 "$agon" train dpo --model "$tiny" --data contrary.jsonl --output contrary --lora 4 --lr 0.01 --epochs 8 --batch 2
run 0 "$agon" score --model "$tiny" --adapter policy --compare contrary --pairs policy.jsonl --json
says out '"right":3,"accuracy":1.0,.*"other":\{"right":0,"accuracy":0.0,"loss":(0\.[7-9]|[1-9])'
says out '"pairs":3,"ties":0,"gained":3,"lost":0,"accuracy_difference":1.0,"accuracy_ci95":\[0\.[0-9]+,1.0\],"p":0.25,"loss_difference":-[0-9.]+,"loss_ci95":\[-[0-9.]+,-[0-9.]+\]'
difference=$(field loss_difference out)
run 0 "$agon" score --model "$tiny" --adapter contrary --compare policy --pairs policy.jsonl --json
says out '"gained":0,"lost":3,"accuracy_difference":-1.0'
[ "-$(field loss_difference out)" = "$difference" ] || fail "the difference turned round is $(field loss_difference out), not the other of $difference"
run 0 "$agon" score --model "$tiny" --adapter policy --compare contrary --pairs policy.jsonl
says out '^of 3 pairs only the first ranks 3 rightly, only the other 0 \(p 0.25\)$'
says out '^difference \+100.0% \[\+[0-9.]+, \+100.0\], of the loss -[0-9.]+ \[-[0-9.]+, -[0-9.]+\]$'
run 0 "$agon" train bt --model "$tiny" --data pairs.jsonl --output other-bt --lora 2 --lr 0.001
run 0 "$agon" score --reward --model "$tiny" --adapter whole-bt --compare other-bt --pairs held.jsonl --json
says out '"right":4,.*"other":.*"pairs":4,"ties":1'
run 2 "$agon" score --model "$tiny" --compare contrary --pairs policy.jsonl --against "$tiny"
says err 'goes with --pairs and --adapter'
run 2 "$agon" score --reward --model "$tiny" --adapter whole-bt --adapter whole-bt --compare other-bt --pairs held.jsonl
says err 'not of an ensemble'
run 3 "$agon" score --model "$tiny" --adapter policy --compare nowhere --pairs policy.jsonl
says err 'nowhere'; one_sentence
run 4 "$agon" score --reward --model "$tiny" --adapter whole-bt --compare policy --pairs held.jsonl
says err 'no reward head'; one_sentence

# ---- a reward model goes on from where it is: its head with it
run 0 "$agon" train bt --model "$tiny" --adapter whole-bt --data pairs.jsonl --output on --batch 6 --steps 1 --json
awk -F'"loss":' '/"loss"/ {split($2, x, ","); exit !(x[1] < 0.5)}' out || fail "the head was lost"

# ---- rows with critiques: the reward model reads them, trained and asked
for i in 1 2 3 4 5 6; do
    printf '{"prompt":"say %s","chosen":"it %s","rejected":"it %s","chosen_critique":"good","rejected_critique":"bad"}\n' $i $i $((i + 1))
done >critiques.jsonl
run 0 "$agon" train bt --model "$tiny" --data critiques.jsonl --output critic --lora 4 --lr 1e-2 --steps 60 --json
printf '{"prompt":"say 3","completion":"it 4","critique":"good<|im_end|>"}\n{"prompt":"say 3","completion":"it 4","critique":"bad<|im_end|>"}\n' >ask2.jsonl
run 0 "$agon" score --reward --model "$tiny" --adapter critic <ask2.jsonl
awk 'NR==1 {a=$1} NR==2 {exit !(a > $1 + 0.5)}' out || fail "the critique makes no difference"
printf '{"prompt":"say 3","completion":"it 4","critique":3}\n' >bad.jsonl
run 4 "$agon" score --reward --model "$tiny" --adapter critic <bad.jsonl
says err 'input line 1: "critique" must be a text'; one_sentence
printf '{"prompt":"say 3","completion":"it 4","critique":"bad\\u0000good"}\n' >bad.jsonl
run 4 "$agon" score --reward --model "$tiny" --adapter critic <bad.jsonl
says err 'input line 1: "critique" must be a text, .* without NUL'; one_sentence

# ---- a row is named by its line, a pair by its file and line, whatever it was asked together with
for i in $(seq 69); do echo '{"prompt":"say 3","completion":"no","chosen":"no","rejected":"on"}'; done >long.jsonl
words=$(printf 'no %.0s' $(seq 9000))
printf '{"prompt":"say 3","completion":"%s","chosen":"no","rejected":"%s"}\n' "$words" "$words" >>long.jsonl
for how in "" "--reward --adapter whole-bt" "--reward --adapter whole-bt --adapter whole-bt"; do
    run 4 "$agon" score --model "$tiny" $how <long.jsonl
    says err "input line 70: .*the model's context is"; one_sentence
done
run 4 "$agon" score --reward --model "$tiny" --adapter whole-bt --pairs long.jsonl
says err "long.jsonl:70: rejected: .*the model's context is"; one_sentence

# ---- refused in one sentence
run 4 "$agon" score --reward --model "$tiny" <ask.jsonl
says err 'no reward head'; one_sentence
run 4 "$agon" train prm --model "$tiny" --data ranks.jsonl --output wrong --lora 4
says err 'ranks.jsonl:1: labels'; one_sentence
run 4 "$agon" train bt --model "$tiny" --data ranks.jsonl --output wrong --lora 4
says err 'ranks.jsonl:1: bt learns from rows with prompt, chosen and rejected'; one_sentence
printf '{"prompt":"a","completion":"b","label":2}\n' >range.jsonl
run 4 "$agon" train classify --model "$tiny" --data range.jsonl --output wrong --lora 4
says err 'range.jsonl:1: label is 2'; one_sentence
done_testing
