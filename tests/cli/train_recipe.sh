#!/bin/sh
# The recipe `train`: any objective from a run file, killed and run again to the same version, traced, verified, exported.
. "$(dirname "$0")/common"

for i in $(seq 60); do
    printf '{"prompt":"say %s","chosen":"the number %s","rejected":"no no"}\n' $i $i
done >pairs.jsonl
run_file() { # NAME [EPOCHS]: 2,000 steps, so that there is time to kill
    cat <<YAML >"$1.yaml"
recipe: train
model: $tiny
evaluate: {general: 0, gsm8k: 0, documents: 0}
train:
  objective: bt
  data: $PWD/pairs.jsonl
  rank: 4
  lora_alpha: 8
  lr: 0.01
  batch: 3
  epochs: ${2:-100}
  checkpoint_every: 100
YAML
}

# ---- to the end: a version with a reward head, an example a row
run_file whole
run 0 "$agon" run whole.yaml --workspace whole.agon --json
says out '"event":"summary"'
version=$(sed -n 's/.*"version":{"id":"\([0-9a-f]*\)".*/\1/p' out | tail -1)
[ -n "$version" ] || fail "no version"
says out '"event":"progress",.*"stage":"train","done":2000,"total":2000,"unit":"steps","data":\{"loss":[0-9.e-]+,"grad_norm":[0-9.e-]+,"lr":[0-9.e-]+\}'
run 0 "$agon" verify --workspace whole.agon
run 0 "$agon" export --model "$tiny" --adapter "whole.agon:$version" --format peft --output reward
printf '{"prompt":"say 3","completion":"the number 3"}\n{"prompt":"say 3","completion":"no no"}\n' >ask.jsonl
run 0 "$agon" score --reward --model "$tiny" --adapter reward <ask.jsonl
awk 'NR==1 {a=$1} NR==2 {exit !(a > $1 + 0.5)}' out || fail "the chosen answer is not worth more"
mv out exported
run 0 "$agon" score --reward --model "$tiny" --adapter "whole.agon:$version" <ask.jsonl
same out exported
# ---- the scale of the head goes where the head goes: a version, an adapter, a whole model, and back
run 0 "$agon" score --reward --model "$tiny" --adapter "whole.agon:$version" --adapter reward --json <ask.jsonl
awk -F'[][,]' '{exit !($3 == $4 && $3 != "")}' out || fail "a version and its export are not on one scale"
says reward/reward_scale.json '^\{"mean":-?[0-9.e+-]+,"std":[0-9.e+-]+,"n":120\}$'
run 0 "$agon" export --model "$tiny" --adapter "whole.agon:$version" --format hf --dtype f32 --output merged
same merged/reward_scale.json reward/reward_scale.json
run 0 "$agon" export --model "$tiny" --adapter reward --format peft --output again
same again/reward_scale.json reward/reward_scale.json
run 0 env XDG_CACHE_HOME="$PWD/cache" "$agon" import merged --name judge
same cache/agon/models/judge/reward_scale.json reward/reward_scale.json
run 0 "$agon" export --model merged --format hf --dtype f32 --output again-hf
same again-hf/reward_scale.json reward/reward_scale.json
run 0 "$agon" why "$version" --workspace whole.agon
says out 'say 1|example'

# ---- the optimiser's keys reach the trainer: other bits
run_file decayed 2
run 0 "$agon" run decayed.yaml --workspace decayed.agon --json
plain=$(sed -n 's/.*"version":{"id":"\([0-9a-f]*\)".*/\1/p' out | tail -1)
for key in 'schedule: constant' 'clip_norm: 0.001' 'beta1: 0.5' 'beta2: 0.9' 'eps: 0.001' 'weight_decay: 1'; do
    name=decayed-${key%%:*}
    run_file "$name" 2
    echo "  $key" >>"$name.yaml"
    run 0 "$agon" run "$name.yaml" --workspace "$name.agon" --json
    says out '"version":\{"id":"[0-9a-f]'
    ! grep -q "\"version\":{\"id\":\"$plain" out || fail "$key changes nothing"
done

# ---- two runs in one workspace: the same base and, from the same rows and seed, the same version
(echo 'name: second' && cat decayed.yaml) >second.yaml
run 0 "$agon" run decayed.yaml --workspace shared.agon --json
run 0 "$agon" run second.yaml --workspace shared.agon --json
run 0 "$agon" verify --workspace shared.agon
for name in run second; do
    run 0 "$agon" status --workspace shared.agon --run $name --json
    says out "\"id\":\"$plain\""
    says out '"status":"base"'
done

# ---- rows with large losses left out: another version; refused where a row has no loss of its own
run_file selected
echo '  small_loss: 0.4' >>selected.yaml
run 0 "$agon" run selected.yaml --workspace selected.agon --json
says out '"version":\{"id":"[0-9a-f]'
! grep -q "\"version\":{\"id\":\"$version" out || fail "small_loss changes nothing"
sed "s/objective: bt/objective: aux-confidence/; s/pairs.jsonl/labels.jsonl/; s/batch: 3/batch: 32/" selected.yaml >coupled.yaml
printf '{"prompt":"say 1","completion":"a","label":true}\n{"prompt":"say 2","completion":"b","label":false}\n' >labels.jsonl
run 4 "$agon" run coupled.yaml --workspace coupled.agon
says err 'aux-confidence has one loss over a whole step'

# ---- killed in the middle, and the file changed since: the same version
run_file cut
"$agon" run cut.yaml --workspace cut.agon --json >live 2>err &
runner=$!
until grep -q '"done":[1-9][0-9]' live || ! kill -0 $runner 2>/dev/null; do sleep 0.02; done
kill -9 $runner 2>/dev/null
wait $runner 2>/dev/null
if grep -q '"event":"summary"' live; then fail "it had ended before the kill"; fi
echo '{"prompt":"late","chosen":"a","rejected":"b"}' >>pairs.jsonl
run 0 "$agon" run cut.yaml --workspace cut.agon --json
says out "\"version\":\{\"id\":\"$version\""

# ---- rows that cannot be learnt from: refused by line, or left out by name
echo '{"prompt":"say 9","chosen":"same","rejected":"same"}' >>pairs.jsonl
run_file refuse 2
run 4 "$agon" run refuse.yaml --workspace refuse.agon
says err 'pairs.jsonl:62: .*same'
run_file skip 2
echo '  bad_rows: skip' >>skip.yaml
run 0 "$agon" run skip.yaml --workspace skip.agon --json
says out '"skipped":1,"skipped_rows":\[\{"fault":"equal","sentence":".*pairs.jsonl:62:'
run 4 "$agon" train bt --model "$tiny" --data pairs.jsonl --output refused --lora 4 --steps 1
run 0 "$agon" train bt --model "$tiny" --data pairs.jsonl --output kept --lora 4 --steps 1 --skip-bad
says err '1 rows are left out'
says err 'pairs.jsonl:62: '

# ---- a critique is read behind its answer once, however often the rows are read: the reward model of rows that have it there already
for i in $(seq 6); do
    printf '{"prompt":"say %s","chosen":"it is %s","rejected":"no no","chosen_critique":"right","rejected_critique":"wrong"}\n' $i $i >>critiques.jsonl
    printf '{"prompt":"say %s","chosen":"it is %s\\n\\nCritique: right","rejected":"no no\\n\\nCritique: wrong"}\n' $i $i >>joined.jsonl
done
for name in critiques joined; do
    run_file $name 3
    sed -i "s/pairs.jsonl/$name.jsonl/" $name.yaml
    run 0 "$agon" run $name.yaml --workspace $name.agon --json
    version=$(sed -n 's/.*"version":{"id":"\([0-9a-f]*\)".*/\1/p' out | tail -1)
    run 0 "$agon" score --reward --model "$tiny" --adapter "$name.agon:$version" <ask.jsonl
    mv out $name.scores
done
same critiques.scores joined.scores

# ---- what does not go together
sed 's/objective: bt/objective: btt/' whole.yaml >unknown.yaml
run 4 "$agon" run unknown.yaml --workspace unknown.agon
says err "no objective 'btt'"
grep -v 'data:' whole.yaml >nothing.yaml
run 4 "$agon" run nothing.yaml --workspace nothing.agon
says err 'go together'
done_testing
