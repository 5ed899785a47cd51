#!/bin/sh
# A trained attacker in a run of the loop: what red-team leaves is what attacker.adapter takes; the run records which it is, and what is not it is refused.
. "$(dirname "$0")/common"

cat >red.yaml <<EOF
experiment: red-team
model: $tiny
cells: [arithmetic/one_digit_sum, arithmetic/two_digit_sum, word_problem]
attacks: [paraphrase, distractor]
rounds: 2
queries: 2
rewordings: 2
test_queries: 4
max_tokens: 4
attack_tokens: 4
rank: 2
draws: 100
EOF
run 0 "$agon" experiment red.yaml --output red --json
sed 's/^rank.*/&\nseed: 2/' red.yaml >other.yaml
run 0 "$agon" experiment other.yaml --output other --json
differ red/attacker-1/adapter_model.safetensors other/attacker-2/adapter_model.safetensors
says red/attacker-1/attacker.json '"attack-paraphrase@[0-9]+"'
! grep -q rename red/attacker-1/attacker.json || fail "it was not trained to rename"
rm red/attacker-1/attacker.json # as an older agon left it
run 0 "$agon" experiment red.yaml --output red --json
says red/attacker-1/attacker.json '"attack-distractor@[0-9]+"'
# A tiny model's attempts all fail, which teaches nothing: an adapter that has learnt something stands in for it.
for i in 1 2 3 4 5 6 7 8; do printf '{"prompt":"say %d","completion":"the the the"}\n' $i; done >rows.jsonl
run 0 "$agon" train sft --model "$tiny" --data rows.jsonl --output taught --lora 2 --epochs 4 --lr 0.05 --seed 1
cp taught/adapter_* red/attacker-1

# run_file NAME ADAPTER: by default what follows is the run of "loop".
run_file() {
    cat >"$1" <<EOF
name: loop
model: $tiny
tasks: {cells: [arithmetic, word_problem]}
attacker: {queries: 12, variations: 12$2}
learner: {samples: 1, max_tokens: 4}
critic: {examples: 0}
human: {labels: 20, audits: 0, demonstrations: 4}
train: {rank: 2, epochs: 1, batch: 2}
build: {documents: 2, real_share: 0}
evaluate: {tasks: 6, general: 0, documents: 0}
gate: {monitor_prompts: 0}
EOF
}
run_file loop.yaml ', adapter: red/attacker-1'
run 0 "$agon" run loop.yaml --json
run 0 "$agon" verify --workspace loop.agon --sample 200
says out 'all is as recorded'
run 0 "$agon" status --workspace loop.agon --json
attacker=$(sed -n 's/.*"attacker":{[^}]*"version":"\([0-9a-f]\{64\}\)".*/\1/p' out)
[ -n "$attacker" ] || fail "status does not name the attacker"
run 0 "$agon" status --workspace loop.agon
says out "^trained attacker: $(echo "$attacker" | cut -c1-12) of red/attacker-1$"
run 0 "$agon" log --workspace loop.agon --n 0
says out "reworded by the trained attacker $(echo "$attacker" | cut -c1-12) of red/attacker-1"
run 0 "$agon" show "$attacker" --workspace loop.agon
says out attack-paraphrase@

# It is what writes: without it the same run asks for other rewordings.
run_file plain.yaml ''
run 0 "$agon" run plain.yaml --json
run 0 "$agon" status --workspace plain.agon --json
says out '"attacker":null'
tokens() { "$agon" status --workspace "$1" --json | sed -n 's/.*"tokens":{[^}]*"attacker":\([0-9]*\).*/\1/p'; }
[ "$(tokens loop.agon)" != "$(tokens plain.agon)" ] || fail "the trained attacker writes what the base writes"

# The same adapter elsewhere goes on; another, none, or one for a run that had none does not.
cp -r red/attacker-1 moved
run_file moved.yaml ', adapter: moved'
run 0 "$agon" run moved.yaml --workspace loop.agon --json
mkdir fewer && cp moved/* fewer && sed '/attack-distractor/d; s/\(paraphrase@[0-9]*"\),/\1/' moved/attacker.json >fewer/attacker.json
for change in ', adapter: other/attacker-2' ', adapter: fewer' ''; do
    run_file changed.yaml "$change"
    run 7 "$agon" run changed.yaml --workspace loop.agon
    one_sentence
    says err "changed.yaml: attacker.adapter: the run 'loop' was begun with the trained attacker"
done
run 7 "$agon" run loop.yaml --workspace plain.agon
one_sentence
says err "was begun with no trained attacker"
run 0 "$agon" verify --workspace loop.agon --sample 0

# bad CODE PATTERN: what bad.yaml asks is refused before there is a workspace.
bad() {
    run "$1" "$agon" run bad.yaml
    one_sentence
    says err "bad.yaml: attacker.adapter: .*$2"
    [ ! -e bad.agon ] || fail "a workspace was left behind"
}
run_file bad.yaml ', adapter: nowhere'
bad 3 'nowhere: there is no such folder'
cp -r moved bad && run_file bad.yaml ', adapter: bad'
rm bad/attacker.json
bad 4 'bad: it holds no trained attacker'
sed 's/"model": "..../"model": "zzzz/' moved/attacker.json >bad/attacker.json
bad 7 'trained on another model \(zzzz'
sed 's/attack-paraphrase@/attack-other@/' moved/attacker.json >bad/attacker.json
bad 7 "the prompt 'attack-other@[0-9]+', which this agon does not ask with"
echo '{"prompts": []}' >bad/attacker.json
bad 4 "must be an object with 'model'"
run_file bad.yaml ', adapter: moved, backend: command, command: cat'
bad 4 "needs 'backend: local'"
run_file bad.yaml ', adapter: moved' && sed -i 's/variations: 12/variations: 0/' bad.yaml
bad 4 "'variations' above 0"
done_testing
