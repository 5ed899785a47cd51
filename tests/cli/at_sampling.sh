#!/bin/sh
# Policy gradients on a file of rows: ratios to the policy that sampled, which is the first one, or what the rows say.
. "$(dirname "$0")/common"

for i in 1 2 3 4 5 6 7 8; do
    printf '{"prompt":"say %s","completions":["the %s","on","a b"],"rewards":[1,0,0.%s]}\n' $i $i $i >>groups.jsonl
    printf '{"prompt":"say %s","completion":"the %s","reward":0.%s}\n' $i $i $i >>singles.jsonl
done
trained() { # trained OBJECTIVE DATA NAME OPTIONS...: leaves the id
    objective=$1 data=$2 output=$3
    shift 3
    run 0 "$agon" train "$objective" --model "$tiny" --data "$data" --output "$output" --lora 4 --lr 1e-3 --batch 4 --seed 5 --json "$@"
    id=$(field id out)
}

run 0 "$agon" train --help
says out 'ppo, grpo, gspo, rloo and reinforce\+\+ may have "log_probs"'

# ---- a clip range has its effect, and a sequence's ratio is not a token's
for pair in grpo:groups gspo:groups rloo:groups reinforce++:groups ppo:singles; do
    name=${pair%:*} data=${pair#*:}.jsonl
    trained $name $data $name-wide --steps 20 --set clip=0.2
    wide=$id
    says out '"step":1,.*"max_ratio":1\.0[,}]'
    sed -n '/"step":20,/p' out | grep -q '"max_ratio":1\.0[,}]' && fail "$name: the last ratios are all 1"
    trained $name $data $name-narrow --steps 20 --set clip=0.0001
    [ "$id" != "$wide" ] || fail "$name: the clip range has no effect"
    [ $name != grpo ] || grpo=$wide
    [ $name != gspo ] || [ "$wide" != "$grpo" ] || fail "gspo trains what grpo does"
done

# ---- several epochs move away from the first policy, and the divergence says so
trained ppo singles.jsonl epochs --epochs 4
sed -n '/"step":8,/p' out | grep -q '"approximate_kl":0\.0[,}]' && fail "no divergence after four epochs"

# ---- what a row says is taken, and what it cannot say is refused by line
sed 's/}$/,"log_probs":[[-1],[-1],[-1]]}/' groups.jsonl >short.jsonl
(sed -n 1p groups.jsonl; sed -n 2p short.jsonl) >wrong.jsonl
run 4 "$agon" train grpo --model "$tiny" --data wrong.jsonl --output wrong --lora 4
says err 'wrong.jsonl:2: log_probs\[0\] has 1 numbers, and the completion with its end token has [0-9]+ tokens'; one_sentence
n=$(sed -n 's/.* has \([0-9]*\) tokens.*/\1/p' err)
list=$(awk "BEGIN { for (i = 1; i <= $n; i++) printf \"%s-%d\", (i > 1 ? \",\" : \"\"), i }")
sed "s/\"completions\":\[\([^,]*\),[^]]*\],\"rewards\":[^}]*/\"completion\":\1,\"reward\":1,\"log_probs\":[$list]/" groups.jsonl >said.jsonl
trained ppo said.jsonl said --steps 4
said=$id
sed 's/,"log_probs":\[[^]]*\]//' said.jsonl >unsaid.jsonl
trained ppo unsaid.jsonl unsaid --steps 4
[ "$id" != "$said" ] || fail "log_probs of the rows are not read"
sed 's/\[-1,/[1,/' said.jsonl >above.jsonl
run 4 "$agon" train ppo --model "$tiny" --data above.jsonl --output wrong --lora 4
says err 'above.jsonl:1: log_probs\[0\] is 1; a log-probability is 0 at the most'; one_sentence
run 0 "$agon" data check said.jsonl --objective sft --model "$tiny" --json
says out '"log_probs":8'

# ---- killed and run again: the ratios are still those to the first policy. 500 lines of steps are more than two pipes hold.
for how in "--lora 4" ""; do
    rm -rf whole cut pipe
    options="--model $tiny --data groups.jsonl $how --batch 4 --lr 1e-3 --steps 500 --seed 5 --checkpoint-every 10 --json"
    run 0 "$agon" train grpo --output whole $options
    id=$(field id out)
    mkfifo pipe
    "$agon" train grpo --output cut $options >pipe 2>err &
    trainer=$!
    while read -r line; do
        case $line in *'"step":12,'*) break ;; esac
    done <pipe
    kill -9 $trainer
    wait $trainer 2>/dev/null
    [ ! -f cut/config.json ] && [ ! -f cut/adapter_config.json ] || fail "the training had ended before the kill"
    run 0 "$agon" train grpo --output cut $options
    says out '"resumed_after":[1-9]'
    [ "$(field id out)" = "$id" ] || fail "the id after the kill is $(field id out), not $id"
done

done_testing
