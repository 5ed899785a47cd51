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
    run 0 "$agon" train $name --online --model "$tiny" --output cut-$name --reward-model judge $options --resume
    says out '"resumed_after":[1-6]'
    sed "s/cut-$name/whole-$name/" cut-$name/online.json >record
    same record whole-$name/online.json
    count
    [ "$(ls cut-$name)" = "$(ls whole-$name)" ] || fail "the folders differ: $(ls cut-$name)"
    [ "$(field id out | tail -1)" = "$id" ] || fail "$name: another adapter after the kill"
    same whole-$name/adapter_model.safetensors cut-$name/adapter_model.safetensors
done
[ -f whole-ppo/model.safetensors ] || fail "no value head beside the policy"
run 0 "$agon" train dpo --online --model "$tiny" --output cut-dpo --reward-model judge $options
says out '"already_done":true'
run 4 "$agon" train dpo --online --model "$tiny" --output cut-dpo --reward-model judge $options --seed 9
says err 'holds a training with seed'; one_sentence

# ---- --resume only goes on
run 3 "$agon" train dpo --online --model "$tiny" --output none --reward-model judge $options --resume
says err 'none has no finished round to go on from'; one_sentence
count
[ -z "$(ls none)" ] || fail "--resume without anything to go on with left $(ls none)"
run 5 "$agon" train dpo --online --model "$tiny" --output begun --judge false $options
run 3 "$agon" train dpo --online --model "$tiny" --output begun --judge false $options --resume
says err 'begun has no finished round to go on from'; one_sentence

# ---- --overwrite: refused before anything is lost; else nothing of the training before is left, whenever it is stopped
cp -r whole-ppo over
run 4 "$agon" train ppo --online --model "$tiny" --output over --reward-model judge $options --overwrite --top-k 3
says err 'which top-k changes'; one_sentence
count
diff -r whole-ppo over || fail "a refused --overwrite changed the folder"
run 5 "$agon" train grpo --online --model "$tiny" --output over --judge false $options --overwrite
count
[ "$(ls over)" = online.json ] || fail "a run that was stopped in its first round left $(ls over | tr '\n' ' ')"
run 3 "$agon" generate --model "$tiny" --adapter over --max-tokens 2 say
run 0 "$agon" train grpo --online --model "$tiny" --output over --reward-model judge $options --overwrite
sed "s/over/whole-grpo/" over/online.json >record
same record whole-grpo/online.json
same whole-grpo/adapter_model.safetensors over/adapter_model.safetensors
[ ! -e over/model.safetensors ] || fail "the value head of the training before is left"

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
run 2 "$agon" train grpo --online --model "$tiny" --output wrong --lora 4 --data pairs.jsonl --cells arithmetic
[ ! -f wrong/online.json ] || fail "options that cannot be trained keep their folder"

# ---- the user's own prompts: verified by their answers, or rewarded from elsewhere
how="--lora 4 --rounds 4 --prompts 3 --samples 4 --max-tokens 8 --batch 4 --lr 1e-3 --no-end-penalty 0 --json"
for i in 1 2 3 4; do
    printf '{"prompt":"say %s","answer":"%s","completion":"the number %s"}\n' $i $i $i
    printf '{"prompt":[{"role":"user","content":"say it: %s"}],"completion":[{"role":"assistant","content":"it is %s"}]}\n' $i $i
done >prompts.jsonl
grep answer prompts.jsonl >answers.jsonl
run 0 "$agon" train grpo --online --model "$tiny" --output own $how --data answers.jsonl
says out '"round":4,.*"verified":0\.0'
says own/online.json '"data": "[0-9a-f]{64}"'
run 4 "$agon" train grpo --online --model "$tiny" --output own2 $how --data prompts.jsonl
says err 'prompts.jsonl:2: nothing says whether an answer is right; give the row an "answer"'; one_sentence
run 0 "$agon" train grpo --online --model "$tiny" --output own3 $how --data prompts.jsonl --reward-model judge
id=$(field id out | tail -1)
"$agon" train grpo --online --model "$tiny" --output own4 $how --data prompts.jsonl --reward-model judge >out 2>err &
pid=$!
while kill -0 $pid 2>/dev/null && ! grep -q '"round": 2' own4/online.json 2>/dev/null; do :; done
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
run 0 "$agon" train grpo --online --model "$tiny" --output own4 $how --data prompts.jsonl --reward-model judge
[ "$(field id out | tail -1)" = "$id" ] || fail "own prompts: another adapter after the kill"
run 0 "$agon" train spin --online --model "$tiny" --output own5 $how --data prompts.jsonl
run 4 "$agon" train grpo --online --model "$tiny" --output own3 $how --data answers.jsonl --reward-model judge
says err 'holds a training with data'; one_sentence
printf '{"prompt":"say 1","answer":1}\n' >shown.jsonl
printf '{"prompt":"say 1","answer":1}\n\n{"prompt":""}\n' >bad.jsonl
run 4 "$agon" train grpo --online --model "$tiny" --output wrong $how --data bad.jsonl
says err 'bad.jsonl:3: prompt is empty'; one_sentence
run 4 "$agon" train spin --online --model "$tiny" --output wrong $how --data shown.jsonl
says err 'shown.jsonl:1: a demonstration is asked for: give the row a "completion"'; one_sentence

# ---- a demonstration above each sample that fails: all four of each prompt at a reward no sample reaches, none at one that all reach
for pass in 1000 -1000; do
    run 0 "$agon" train dpo --online --model "$tiny" --output shown$pass $how --data prompts.jsonl --reward-model judge --demonstrations --pass-reward $pass
    says shown$pass/online.json '"pass_reward": '
done
says shown1000/online.json '"rows": 1[0-2]'
says shown-1000/online.json '"rows": 0'
run 4 "$agon" train dpo --online --model "$tiny" --output shown1000 $how --data prompts.jsonl --reward-model judge --demonstrations --pass-reward 1
says err 'holds a training with pass_reward'; one_sentence
run 4 "$agon" train dpo --online --model "$tiny" --output shown1000 $how --data prompts.jsonl --reward-model judge
says err 'holds a training with pass_reward'; one_sentence
run 2 "$agon" train dpo --model "$tiny" --output wrong --lora 4 --data pairs.jsonl --demonstrations
run 2 "$agon" train dpo --online --model "$tiny" --output wrong $how --data prompts.jsonl --reward-model judge --pass-reward 3
run 0 "$agon" train spin --online --model "$tiny" --output shown2 $how --cells arithmetic --demonstrations
says out '"verified"'
run 4 "$agon" train grpo --online --model "$tiny" --output wrong $how --cells arithmetic --demonstrations
says err 'grpo takes no pairs'; one_sentence
run 4 "$agon" train dpo --online --model "$tiny" --output wrong $how --data shown.jsonl --demonstrations
says err 'shown.jsonl:1: a demonstration is asked for'; one_sentence
run 3 "$agon" train grpo --online --model "$tiny" --output wrong $how --data none.jsonl
one_sentence

# ---- rejection sampling
for name in rso-sigmoid rso-hinge; do
    run 0 "$agon" train $name --online --model "$tiny" --output $name $(without --samples "$how") --data prompts.jsonl --reward-model judge --samples 6 --accept 4
    awk -F'"rows":' '/"round"/ {split($2, x, ","); if (x[1] > 3) more = 1} END {exit !more}' out || fail "not more than one pair a prompt"
done
# One likeliest token makes all samples alike, and nothing can be picked among them; ratios need the whole distribution.
run 0 "$agon" train rso-sigmoid --online --model "$tiny" --output topped $how --data prompts.jsonl --reward-model judge --temperature 0.7 --top-k 40
run 4 "$agon" train rso-sigmoid --online --model "$tiny" --output topped $how --data prompts.jsonl --reward-model judge --temperature 0.7
says err 'top_k'; one_sentence
run 0 "$agon" train rso-sigmoid --online --model "$tiny" --output greedy $how --data prompts.jsonl --reward-model judge --top-k 1
says out '"distinct":0\.25'
run 4 "$agon" train grpo --online --model "$tiny" --output wrong $how --data prompts.jsonl --reward-model judge --top-k 40
says err 'which top-k changes'; one_sentence
run 4 "$agon" train grpo --online --model "$tiny" --output wrong $how --data prompts.jsonl --reward-model judge --accept 2
says err 'grpo does not pick pairs'; one_sentence
run 4 "$agon" train dpo --online --model "$tiny" --output wrong $how --data prompts.jsonl --reward-model judge --accept 5
says err '5 of 4 samples'; one_sentence

# ---- reward models together. The third likes what the others do not, and is made to say it loudly: by the mean of the three that sample is
# the best, by the least of them it is not.
sed 's/"no no"/"a b"/' pairs.jsonl >pairs2.jsonl
sed 's/"chosen":"[^"]*","rejected":"no no"/"chosen":"no no","rejected":"a b"/' pairs.jsonl >pairs3.jsonl
run 0 "$agon" train bt --model "$tiny" --data pairs2.jsonl --output judge2 --lora 4 --lr 1e-2 --steps 20 --seed 2
run 0 "$agon" train bt --model "$tiny" --data pairs3.jsonl --output judge3 --lora 4 --lr 1e-2 --steps 20 --seed 3
says judge/reward_scale.json '"mean":-?[0-9.e-]+,"std":[0-9.e-]+,"n":12'
end=$(printf '<|im_end|>')
printf '{"prompt":"say 3","completion":"the number 3%s"}\n{"prompt":"say 3","completion":"no no%s"}\n' "$end" "$end" >ask.jsonl
run 0 "$agon" score --reward --model "$tiny" --adapter judge3 <ask.jsonl
printf '{"mean":%s,"std":0.001}' "$(head -1 out)" >judge3/reward_scale.json
together="--model $tiny --adapter judge --adapter judge2 --adapter judge3"
run 0 "$agon" score --reward $together --json <ask.jsonl
says out '^\{"reward":-?[0-9.e+-]+,"members":\[[^,]*,[^,]*,[^,]*\],"disagreement":[0-9.e+-]+\}$'
sed 's/.*"members":\[//; s/\],"disagreement":/,/; s/}$//' out | awk -F, '{m = ($1 + $2 + $3) / 3; v = (($1 - m)^2 + ($2 - m)^2 + ($3 - m)^2) / 3
    exit !($4 * $4 > v * 0.999999 && $4 * $4 < v * 1.000001)}' || fail "the disagreement is not the members' standard deviation"
awk -F'[:,]' 'NR==1 {a=$2} NR==2 {exit !($2 > a)}' out || fail "the mean does not fall for the loud member"
run 0 "$agon" score --reward $together --ensemble wco <ask.jsonl
awk 'NR==1 {a=$1} NR==2 {exit !($1 < a)}' out || fail "the least of the members falls for the loud one"
run 0 "$agon" score --reward $together --ensemble lcb --ensemble-strength 10 <ask.jsonl
awk 'NR==1 {a=$1} NR==2 {exit !($1 < a)}' out || fail "the lower bound falls for the loud member"
run 4 "$agon" score --reward $together --ensemble worst <ask.jsonl
says err 'mean, wco'; one_sentence
run 2 "$agon" score $together <ask.jsonl
run 0 "$agon" train grpo --online --model "$tiny" --output several $options --reward-model judge --reward-model judge2 --ensemble uwo
says out '"round":6,.*"verified":0\.0,"disagreement":[0-9.e-]+,"error_correlation":-?[0-9.e-]+'
id=$(field id out | tail -1)
run 0 "$agon" train grpo --online --model "$tiny" --output several2 $options --reward-model judge --reward-model judge2 --ensemble wco
[ "$(field id out | tail -1)" != "$id" ] || fail "the rule makes no difference"
run 4 "$agon" train grpo --online --model "$tiny" --output several $options --reward-model judge --reward-model judge2
says err 'holds a training with ensemble'; one_sentence
run 4 "$agon" train grpo --online --model "$tiny" --output wrong $options --reward-model judge --reward-model whole-grpo
says err 'whole-grpo has no reward head'; one_sentence
# A rule without an ensemble, and a head that was trained at the ends of steps.
for rule in mean lcb; do
    run 4 "$agon" train grpo --online --model "$tiny" --output wrong $options --reward-model judge --ensemble $rule
    says err 'for several reward models'; one_sentence
done
run 4 "$agon" train grpo --online --model "$tiny" --output wrong $options --ensemble mean
says err 'for several reward models'; one_sentence
run 4 "$agon" train grpo --online --model "$tiny" --output wrong $options --reward-model judge --reward-model judge2 --ensemble-strength 2
says err 'read by mean has no strength'; one_sentence
run 4 "$agon" score --reward $together --ensemble wco --ensemble-strength 2 <ask.jsonl
says err 'read by wco has no strength'; one_sentence
run 4 "$agon" train grpo --online --model "$tiny" --output wrong $options --reward-model judge --ensemble-strength 2
says err 'for several reward models'; one_sentence
printf '{"prompt":"say 1","completions":["the","number"],"labels":[true,false]}\n' >steps.jsonl
run 0 "$agon" train prm --model "$tiny" --data steps.jsonl --output steps --lora 4 --steps 1
run 4 "$agon" train grpo --online --model "$tiny" --output wrong $options --reward-model steps
says err 'steps was trained at the ends of steps'; one_sentence
rm judge2/reward_scale.json
run 4 "$agon" train grpo --online --model "$tiny" --output wrong $options --reward-model judge --reward-model judge2
says err 'judge2 has no reward_scale.json'; one_sentence
run 4 "$agon" score --reward $together <ask.jsonl
says err 'reward model 2 has no scale'; one_sentence
printf '{"mean":0,"std":0}' >judge2/reward_scale.json
run 4 "$agon" score --reward $together <ask.jsonl
says err 'std above 0'; one_sentence

# ---- the learning rate over the rounds, AdamW's constants, and options that would say nothing
run 0 "$agon" train grpo --online --model "$tiny" --output falling $options --reward-model judge --schedule linear
falling=$(field id out | tail -1)
run 0 "$agon" train grpo --online --model "$tiny" --output constant $options --reward-model judge
[ "$(field id out | tail -1)" != "$falling" ] || fail "the schedule over the rounds makes no difference"
run 4 "$agon" train grpo --online --model "$tiny" --output falling $options --reward-model judge
says err 'holds a training with schedule'; one_sentence
run 0 "$agon" train grpo --online --model "$tiny" --output adam $options --reward-model judge --eps 1e-3
[ "$(field id out | tail -1)" != "$(sed -n 's/.*"id":"\([0-9a-f]*\)".*/\1/p' constant/online.json | tail -1)" ] || fail "eps makes no difference"
run 4 "$agon" train grpo --online --model "$tiny" --output wrong $options --kl-horizon 100
says err 'begins above 0'; one_sentence
run 4 "$agon" train dpo-soft --online --model "$tiny" --output wrong $options
says err 'dpo-soft needs P\(chosen is better\)'; one_sentence
for option in "--steps 3" "--warmup 0.1" "--max-length 9" --skip-bad "--checkpoint-every 2" "--preview 1" --dry-run; do
    run 2 "$agon" train grpo --online --model "$tiny" --output wrong $options $option
    says err "${option%% *} does not go with it"
done
for option in "--rounds 3" "--judge x" "--reward-model judge" "--kl-horizon 4" "--cells a" "--pass-reward 0.5"; do
    run 2 "$agon" train dpo --model "$tiny" --data pairs.jsonl --output wrong --lora 4 $option
    says err "${option%% *} goes with --online"
done
done_testing
