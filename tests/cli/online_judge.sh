#!/bin/sh
# Online training with a judge: a program or a language model; its rewards are kept, so that a killed run goes on to the same bits.
. "$(dirname "$0")/common"
how="--lora 4 --rounds 5 --prompts 3 --samples 4 --max-tokens 8 --batch 4 --lr 1e-3 --epochs 60 --no-end-penalty 0 --json"
for i in 1 2 3 4 5; do
    printf '{"prompt":"say %s","hint":"h%s"}\n' $i $i
    printf '{"prompt":[{"role":"user","content":"say it: %s"}],"hint":"m%s"}\n' $i $i
done >prompts.jsonl

# A judge that never says the same twice: the n-th question it is ever asked is worth a number of n, less the line's length.
cat >judge <<'END'
n=$(cat "$1" 2>/dev/null || echo 0)
while read -r line; do
    n=$((n + 1))
    echo $n >"$1"
    printf '%s\n' "$line" >>"$1.log"
    id=$(printf '%s\n' "$line" | sed 's/.*"id":"\([^"]*\)".*/\1/')
    echo "{\"id\":\"$id\",\"reward\":$((n * 7919 % 101 - ${#line})).25}"
done
END
for name in grpo dpo kto; do
    run 0 "$agon" train $name --online --model "$tiny" --data prompts.jsonl --output whole-$name $how --judge "exec sh $PWD/judge $PWD/asked-$name"
    says out '"round":5,.*"unjudged":0\.0'
    id=$(field id out | tail -1)
    [ "$(cat asked-$name)" = 60 ] || fail "$name: the judge was asked $(cat asked-$name) times, not 60"
    [ ! -f whole-$name/rewards.json ] || fail "rewards are left when it is done"
    # Killed while it trains on what the judge said of the third round.
    "$agon" train $name --online --model "$tiny" --data prompts.jsonl --output cut-$name $how --judge "exec sh $PWD/judge $PWD/again-$name" >out 2>err &
    pid=$!
    while kill -0 $pid 2>/dev/null && ! grep -q '"round":3' cut-$name/rewards.json 2>/dev/null; do :; done
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ "$(cat again-$name)" = 36 ] || fail "$name was not killed in its third round"
    # The command line is part of what the training is; the same judge counts on.
    run 0 "$agon" train $name --online --model "$tiny" --data prompts.jsonl --output cut-$name $how --judge "exec sh $PWD/judge $PWD/again-$name"
    says out '"resumed_after":2'
    [ "$(cat again-$name)" = 60 ] || fail "$name: the judge was asked $(cat again-$name) times, not 60"
    [ "$(field id out | tail -1)" = "$id" ] || fail "$name: another adapter after the kill"
    same whole-$name/adapter_model.safetensors cut-$name/adapter_model.safetensors
done
# Each of the ten prompts once before any again, with its other members.
for i in 1 2 3 4 5; do
    for kind in h m; do
        [ "$(head -40 asked-grpo.log | grep -c "\"hint\":\"$kind$i\"")" = 4 ] || fail "prompt $kind$i was not asked once in the first ten"
    done
done
run 4 "$agon" train grpo --online --model "$tiny" --data prompts.jsonl --output whole-grpo $how --judge "exec sh other"
says err 'holds a training with judge'; one_sentence

# ---- averaged over repeats
run 0 "$agon" train dpo --online --model "$tiny" --data prompts.jsonl --output repeats $(without --rounds "$how") --rounds 1 --judge-repeats 3 \
    --judge "exec sh $PWD/judge $PWD/asked-repeats"
[ "$(cat asked-repeats)" = 36 ] || fail "the judge was asked $(cat asked-repeats) times, not 36"
says asked-repeats.log '"id":"round 1, prompt 2, sample 3, repeat 3"'

# ---- a language model: the policy's base, on generated tasks too
run 0 "$agon" train grpo --online --model "$tiny" --output by-model $how --judge-model "$tiny" --cells arithmetic
says out '"round":1,.*"reward":0\.[0-9]+,.*"verified":0\.0,"unjudged":0\.0'
says by-model/online.json '"judge": "[0-9a-f]{64}"'
says by-model/online.json '"judge_prompts": 2'
# Begun before its prompts had a second version, a training goes on with the first, which judges answers and prompts of several lines otherwise.
for q in a b c; do printf '{"prompt":"%s\\n\\n%s"}\n' $q $q; done >lines.jsonl
lines="train grpo --online --model $tiny --data lines.jsonl $(without --rounds "$how") --rounds 2 --judge-model $tiny"
run 0 "$agon" $lines --output lines
id=$(field id out | tail -1)
mkdir lines-old
sed '/"judge_prompts"/d; /"rounds": \[/,/^  \],/d; /"summary"/,/^  }/d; s/"done": true/"done": false, "rounds": []/; s/\("judge_repeats": 1\),/\1/' lines/online.json >lines-old/online.json
run 0 "$agon" $lines --output lines-old
old=$(field id out | tail -1)
[ "$old" != "$id" ] || fail "the older training was judged with the prompts of now"
if grep -q judge_prompts lines-old/online.json; then fail "the older training tells of prompts that it does not have"; fi
run 0 "$agon" $lines --output lines-old
says out "\"id\":$old,\"already_done\":true"

# ---- by principles: other rewards, which are in the record; another text is another training
printf 'Never name a number.\n\n' >constitution.txt
by="train grpo --online --model $tiny --data prompts.jsonl $(without --rounds "$how") --rounds 2 --judge-model $tiny --output by-principles"
run 0 "$agon" $by --judge-principles constitution.txt
says by-principles/online.json '"judge_principles": "Never name a number."'
says out '"round":1,.*"reward":0\.[0-9]+'
kept=$(field reward out | head -1)
run 0 "$agon" train grpo --online --model "$tiny" --data prompts.jsonl $(without --rounds "$how") --rounds 2 --judge-model "$tiny" --output by-nothing
[ "$(field reward out | head -1)" != "$kept" ] || fail "principles change no reward"
printf 'Be polite.' >constitution.txt
run 4 "$agon" $by --judge-principles constitution.txt
says err 'judge_principles'; one_sentence
run 2 "$agon" train grpo --online --model "$tiny" --data prompts.jsonl $how --judge cat --judge-principles constitution.txt --output never
says err -- '--judge-principles goes with --judge-model'; one_sentence
run 3 "$agon" $by --judge-principles nowhere.txt
says err 'nowhere.txt'; one_sentence
printf ' \n' >constitution.txt
run 4 "$agon" $by --judge-principles constitution.txt
says err 'neither blank nor longer'; one_sentence

# ---- a language model behind a server: verdicts, some of them missing; killed and gone on with to the same bits
mkfifo pipe
"$AGON_HELPERS/judge_server" questions <pipe >url &
exec 3>pipe
until [ -s url ]; do sleep 0.05; done
export JUDGE_KEY=secret
server="--data prompts.jsonl --judge-url $(cat url) --judge-key-env JUDGE_KEY"
asked() { wc -l <questions; }
run 0 "$agon" train grpo --online --model "$tiny" --output by-server $how $server --judge-model judge-7
says out '"round":1,.*"reward":0\.[0-9]+,.*"unjudged":0\.[0-9]*[1-9]'
says by-server/online.json '"judge": "judge-7"'
says by-server/online.json '"judge_url": "http://127.0.0.1:'
count
if grep -q secret by-server/online.json; then fail "the key is in the record"; fi
[ "$(asked)" = 60 ] || fail "the server was asked $(asked) times, not 60"
says questions '"model":"judge-7"'
says questions 'say it: [1-5]'
if grep -q hint questions; then fail "a model is told what only a program should know"; fi
id=$(field id out | tail -1)
"$agon" train grpo --online --model "$tiny" --output by-server2 $how $server --judge-model judge-7 >out 2>err &
pid=$!
while kill -0 $pid 2>/dev/null && ! grep -q '"round":3' by-server2/rewards.json 2>/dev/null; do :; done
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
run 0 "$agon" train grpo --online --model "$tiny" --output by-server2 $how $server --judge-model judge-7
says out '"resumed_after":2'
[ "$(asked)" = 120 ] || fail "the server was asked $(asked) times in all, not 120: kept rewards were asked for again"
[ "$(field id out | tail -1)" = "$id" ] || fail "a server's verdicts: another adapter after the kill"
run 0 "$agon" train dpo --online --model "$tiny" --output by-votes $(without --rounds "$how") $server --rounds 1 --judge-model judge-7 --judge-repeats 3
[ "$(asked)" = 156 ] || fail "three votes a sample are $(asked) requests in all, not 156"
run 4 "$agon" train grpo --online --model "$tiny" --output by-server $how $server --judge-model judge-8
says err 'holds a training with judge'; one_sentence
run 5 "$agon" train grpo --online --model "$tiny" --output s1 $how $server --judge-model gone
says err 'round 1, prompt 0, sample 0: .*404.*run again'; one_sentence
run 5 env JUDGE_KEY=other "$agon" train grpo --online --model "$tiny" --output s2 $how $server --judge-model judge-7
says err 'round 1, prompt 0, sample 0: .*401.*run again'; one_sentence
run 3 env -u JUDGE_KEY "$agon" train grpo --online --model "$tiny" --output s3 $how $server --judge-model judge-7
says err 'JUDGE_KEY'; one_sentence
[ ! -f s1/state.bin ] && [ ! -f s1/rewards.json ] && [ ! -f s2/rewards.json ] || fail "something was kept of a round that was not judged"
exec 3>&-
wait

# ---- judges that do not judge: one sentence, nothing trained on, and the same command with a judge that does goes on
unjudged="$agon train grpo --online --model $tiny --data prompts.jsonl $how"
broken="$unjudged --judge-timeout 1"
run 5 $broken --output b1 --judge 'exit 3'
says err 'judge, round 1, prompt 0, sample 0: the command ended with code 3 before it answered; run again'; one_sentence
run 5 $broken --output b2 --judge 'while read -r line; do echo hello; done'
says err "such as 'hello'"; one_sentence
run 5 $broken --output b3 --judge 'while read -r line; do echo "{\"id\":\"round 1, prompt 0, sample 0\",\"reward\":NaN}"; done'
says err 'NaN'; one_sentence
run 5 $broken --output b4 --judge 'exec sleep 60'
says err 'gave no answer within 1 s'; one_sentence
run 5 $broken --output b5 --judge 'while read -r line; do echo "{\"id\":\"round 1, prompt 0, sample 0\",\"reward\":\"good\"}"; done'
says err 'has no "reward" that is a finite number'; one_sentence
[ ! -f b5/state.bin ] && [ ! -f b5/rewards.json ] || fail "something was kept of a round that was not judged"
for i in 1 2; do # also the second time, where a round that failed late once counted as done
    run 4 $(without --rounds "$broken") --output b7 --rounds 1 --judge 'while read -r line; do echo "{\"id\":\"round 1, prompt 0, sample 0\",\"reward\":1e308}"; done'
    says err 'judge, round 1, prompt 0, sample 0: the reward is 1e.308; it must be from -1e.06 to 1e.06'; one_sentence
    [ ! -f b7/state.bin ] && [ ! -f b7/adapter_config.json ] || fail "something was kept of a round without rewards"
done
run 4 $broken --output b6 --judge 'exit 3' --judge-model "$tiny"
says err 'a program or a model, not both'; one_sentence
run 4 $unjudged --output b6 --judge-model "$tiny" --judge-repeats 2
says err 'not drawn'; one_sentence
run 4 $broken --output b6 --judge-url http://127.0.0.1:9/v1
says err 'needs the name of its model'; one_sentence
run 3 $unjudged --output b6 --judge-model nowhere.gguf
one_sentence
run 4 $unjudged --output b6 --judge 'exit 3' --judge-timeout 0
says err 'must be above 0'; one_sentence
done_testing
