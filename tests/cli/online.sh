#!/bin/sh
# Online training: rounds of sampling, rewarding and training; killed and run again to the same bits.
. "$(dirname "$0")/common"
options="--lora 4 --rounds 6 --prompts 4 --samples 3 --max-tokens 8 --batch 4 --lr 1e-3 --no-end-penalty 0 --cells arithmetic --json"

# A reward model that likes some completions: with the verifier a model of random weights never passes.
for i in 1 2 3 4 5 6; do
    printf '{"prompt":"say %s","chosen":"the number %s","rejected":"no no"}\n' $i $i >>pairs.jsonl
done
run 0 "$agon" train bt --model "$tiny" --data pairs.jsonl --output judge --lora 4 --lr 1e-2 --steps 20

for name in ppo grpo dpo spin; do
    run 0 "$agon" train $name --online --model "$tiny" --output whole-$name --reward-model judge $options
    says out '"round":6,"rounds":6,"reward":-?[0-9.e-]+,"reward_std":'
    # The first samples are the reference's own.
    says out '"round":1,.*"kl":-?0\.0,'
    id=$(field id out | tail -1)
    [ -f whole-$name/adapter_config.json ] && [ ! -f whole-$name/state.bin ] || fail "no adapter, or a state left"
    "$agon" train $name --online --model "$tiny" --output cut-$name --reward-model judge $options >out 2>err &
    pid=$!
    while kill -0 $pid 2>/dev/null && ! grep -q '"round": 2' cut-$name/online.json 2>/dev/null; do :; done
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    run 0 "$agon" train $name --online --model "$tiny" --output cut-$name --reward-model judge $options
    says out '"resumed_after":[2-6]'
    [ "$(field id out | tail -1)" = "$id" ] || fail "$name: another adapter after the kill"
    same whole-$name/adapter_model.safetensors cut-$name/adapter_model.safetensors
done
[ -f whole-ppo/model.safetensors ] || fail "no value head beside the policy"
run 0 "$agon" train dpo --online --model "$tiny" --output cut-dpo --reward-model judge $options
says out '"already_done":true'
run 4 "$agon" train dpo --online --model "$tiny" --output cut-dpo --reward-model judge $options --seed 9
says err 'another seed'; one_sentence

# ---- the verifier; and what is refused
run 0 "$agon" train rloo --online --model "$tiny" --output verified $options
says out '"reward":0\.0'
run 0 "$agon" train reinforce++ --online --model "$tiny" --output spans --reward-model judge --span-reward 0.2 --span-placement last $options
says out '"flagged":[0-9.]+,"span_reward":-?[0-9.]+'
run 4 "$agon" train grpo --online --model "$tiny" --output wrong3 --span-reward 0.2 $options
says err 'reinforce\+\+ take rewards of spans'; one_sentence
run 4 "$agon" train ppo --online --model "$tiny" --output wrong4 --span-reward 0.2 --span-placement first $options
says err 'spread, each or last'; one_sentence
run 4 "$agon" train sft --online --model "$tiny" --output wrong $options
says err 'does not learn from samples'; one_sentence
run 4 "$agon" train grpo --online --model "$tiny" --output wrong --rounds 1
says err '--lora 16'; one_sentence
run 4 "$agon" train grpo --online --model "$tiny" --output wrong --lora 4 --cells arithmetik
says err 'arithmetic'; one_sentence
run 4 "$agon" train grpo --online --model "$tiny" --output wrong2 --lora 4 --reward-model whole-grpo
says err 'no reward head'; one_sentence
run 2 "$agon" train grpo --online --model "$tiny" --output wrong --lora 4 --data pairs.jsonl
done_testing
