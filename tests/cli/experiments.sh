#!/bin/sh
# Experiments: each runs from its file, a killed one ends at the same figures, wrong options are said in one sentence.
. "$(dirname "$0")/common"

cat >w2s.yaml <<'END'
experiment: weak-to-strong
families: [agreement, sorting]
generative: [reversal]
ladder: [{width: 8, layers: 1}, {width: 16, layers: 1}]
corpus_items: 640
train_items: 64
validation_items: 30
test_items: 50
epochs: 1
draws: 100
full: {seeds: 2}
END
cat >noise.yaml <<'END'
experiment: preference-noise
ladder: [{width: 16, layers: 1}]
corpus_items: 640
pairs: 64
test_items: 50
rates: [0, 0.3]
epochs: 1
draws: 100
END
cat >tokens.yaml <<'END'
experiment: token-noise
ladder: [{width: 16, layers: 1}]
corpus_items: 640
items: 64
test_items: 50
rates: [0.3]
epochs: 2
seeds: 2
END
cat >subgroup.yaml <<'END'
experiment: preference-noise
ladder: [{width: 16, layers: 1}]
corpus_items: 640
pairs: 64
test_items: 50
rates: [0, 0.2]
noise: subgroup
subgroup: 1
assumed: [0.5, 1, 2]
epochs: 1
draws: 100
END
cat >cleaning.yaml <<'END'
experiment: noise-cleaning
families: [agreement, compare]
ladder: [{width: 16, layers: 1}]
corpus_items: 640
items: 120
folds: 2
epochs: 1
END
cat >exo.yaml <<'END'
experiment: exo-dpo
ladder: [{width: 16, layers: 1}]
corpus_items: 640
prompts: 32
betas: [0.3, 3]
epochs: 1
test_items: 50
samples: 2
ideal_samples: 4
draws: 100
END
cat >panacea.yaml <<'END'
experiment: panacea-front
ladder: [{width: 16, layers: 1}]
contexts: 4
letters: 3
corpus_steps: 20
rank: 2
steps: 30
batch: 8
vectors: 2
END

cat >forms.yaml <<END
experiment: critique-forms
model: $tiny
cells: [arithmetic]
queries: 12
test_queries: 8
max_tokens: 6
tokens: 60
rank: 2
draws: 100
reward_drafts: 6
reward_epochs: 1
END
cat >spans.yaml <<'END'
experiment: span-rewards
ladder: [{width: 16, layers: 1}]
corpus_items: 640
rounds: 3
prompts: 4
samples: 2
rank: 2
test_items: 20
END
cat >pairs.yaml <<'END'
experiment: refine-pairs
ladder: [{width: 16, layers: 1}]
family: addition
planted: 0.2
corpus_items: 12800
drafts: 1500
pairs: 20
test_items: 20
END
cat >sums.yaml <<'END'
experiment: amplification
ladder: [{width: 32, layers: 3}]
lr: 0.003
rounds: 1
taught: 12800
questions: 12800
epochs: 1
test_items: 100
END
cat >trust.yaml <<'END'
experiment: trust-or-escalate
samples: 1000
steps: 100
test_items: 100
separations: [6, 0]
END
cat >red.yaml <<END
experiment: red-team
model: $tiny
cells: [arithmetic/one_digit_sum, arithmetic/two_digit_sum, word_problem]
rounds: 3
queries: 2
rewordings: 2
test_queries: 8
max_tokens: 4
attack_tokens: 4
rank: 2
draws: 100
END
for i in $(seq 128); do echo "{\"query\":\"say something, number $i\",\"verifier\":\"no_letter\",\"arguments\":{\"letter\":\"h\"}}"; done >gap.jsonl
cat >gap.yaml <<END
experiment: verification-gap
model: $tiny
data: gap.jsonl
queries: 64
samples: 8
seeds: 2
temperature: 1
max_tokens: 24
draws: 100
verifiers: [{name: itself}, {name: words, prompt: "{>query}: {>answer}. Right?"}]
END
cat >debate.yaml <<END
experiment: debate
model: $tiny
items: 24
rounds: 2
words: 6
draws: 100
END
cat >lm.yaml <<END
experiment: weak-to-strong
strong: language-model
model: $tiny
families: [agreement, compare]
generative: []
ladder: [{width: 8, layers: 1}, {width: 16, layers: 1}]
corpus_items: 640
train_items: 32
validation_items: 30
test_items: 50
epochs: 1
batch: 32
rank: 2
draws: 100
leave_out: [random-25, hard, confident-75]
full: {seeds: 3}
END

# ---- how long it takes is said before anything runs, and more for --full
run 0 "$agon" weak-to-strong w2s.yaml --output plan --plan --json
says out '"minutes_expected"'
says err 'about [0-9.]+ minutes on [0-9]+ idle cores'
[ ! -e plan ] || fail "a plan made its folder"

# ---- every experiment, whole and killed
for name in w2s lm noise tokens subgroup cleaning exo panacea forms spans pairs sums trust red gap debate; do
    run 0 "$agon" experiment $name.yaml --output whole-$name --json
    says out '"experiment":'
    [ -f whole-$name/result.json ] || fail "no result"
    says err 'seed 1 '
    if grep -q 'seed 0 ' err; then fail "$name calls its first seed 0, not what the file says"; fi
    # Killed once half of the stages are there, whatever they are.
    n=$(ls whole-$name/stages | wc -l)
    "$agon" experiment $name.yaml --output cut-$name --json >out 2>err &
    pid=$!
    while kill -0 $pid 2>/dev/null && [ "$(ls cut-$name/stages 2>/dev/null | wc -l)" -lt $((n / 2)) ]; do :; done
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ ! -f cut-$name/result.json ] || fail "$name had ended before the kill"
    run 0 "$agon" experiment $name.yaml --output cut-$name --json
    same whole-$name/result.json cut-$name/result.json
done
# One seed says nothing of another; two have an interval that does, and no such sentence.
for name in w2s noise exo forms; do says whole-$name/result.json '"between_seeds": "one seed: '; done
if grep -q between_seeds whole-tokens/result.json; then fail "two seeds are called one"; fi
[ -f whole-w2s/curves.svg ] && [ -f whole-noise/curves.svg ] && [ -f whole-tokens/curves.svg ] && [ -f whole-exo/front.svg ] && [ -f whole-panacea/front.svg ] || fail "no curves"

# ---- what is in a result: every condition of every task, the controls, an interval
for what in naive aux-linear aux-released confident-25 confident-50 confident-75 matched-flips shuffled bootstrap ensemble ensemble-majority ensemble-mean generalist naive-generalist \
    scrambled-errors; do
    says whole-w2s/result.json "\"condition\": \"$what\""
done
says whole-w2s/result.json '"log_odds_votes"'
# Each weak labeller teaches a student of its own: no two of these learnt the same labels, on any task, and the generalist learnt longer than the supervisor.
tr -d ' \n' <whole-w2s/result.json | grep -o '"calibration_error":[0-9.e-]*,"condition":"\(naive\|ensemble\|ensemble-majority\|ensemble-mean\|naive-generalist\)"' |
    cut -d, -f1 | sort -u >students
count
[ "$(wc -l <students)" = 10 ] || fail "students of different labellers are one: $(cat students)"
accuracy() { tr -d ' \n' <whole-w2s/result.json | grep -o "\"$1_label_accuracy\":[0-9.]*" | cut -d: -f2; }
[ "$(accuracy generalist)" != "$(accuracy weak)" ] || fail "the generalist learnt no longer than the supervisor: $(accuracy weak)"
# Every one with its share of the gap and an interval: two numbers, or null where there is no gap.
tr -d ' \n' <whole-w2s/result.json >flat
for what in ensemble-majority ensemble-mean naive-generalist; do
    says flat "\"condition\":\"$what\",\"early_stop\":\{\"truth\":\{[^}]*\},\"weak_validation\":\{[^}]*\}\},\"interval\":\[-[0-9.]+,[0-9.]+\],\"pgr\":-?[0-9.]+,"
done
# A language model as the strong student: what is left out is not there, and other labels make another student.
for what in naive aux-linear aux-released confident-25 confident-50 random-50 matched-flips shuffled bootstrap ensemble naive-middle; do
    says whole-lm/result.json "\"condition\": \"$what\""
done
count
! grep -Eq '"condition": "(random-25|hard|confident-75)"' whole-lm/result.json || fail "a condition was not left out"
[ -f whole-lm/curves.svg ] || fail "no curves"
sed 's/^rank: 2/rank: 4/' lm.yaml >other.yaml
run 0 "$agon" experiment other.yaml --output rank --json
grep -v '"rank"' rank/result.json >a && grep -v '"rank"' whole-lm/result.json >b
differ a b
run 0 "$agon" weak-to-strong lm.yaml --output plan --plan --json
once=$(field minutes_expected out)
run 0 "$agon" weak-to-strong lm.yaml --output plan --plan --full --json
awk "BEGIN { exit !($(field minutes_expected out) > 1.5 * $once) }" || fail "three seeds take no longer than one"
says whole-noise/result.json '"method": "ours"'
for what in kept kept_over_dpo; do says whole-noise/result.json "\"$what\""; done
for what in plain smoothing gce symmetric forward weighted deletion small-loss-row small-loss-token small-loss-span; do
    [ "$(grep -c "\"method\": \"$what\"" whole-tokens/result.json)" = 3 ] || fail "$what is not there without noise, in tokens and in spans"
done
for what in right loss memorised found; do says whole-tokens/result.json "\"$what\": \{"; done
# A total rate of 0.2 where only about a third of the pairs is swapped; cdpo, rdpo and forward are told twice the rate.
grep -A 2 '"rate_in_subgroup"' whole-subgroup/result.json | grep -Eq ' 0\.[4-9][0-9]*' || fail "the subgroup's rate is not the total one over its share"
[ "$(grep -c '"assumed_rate": 0\.4' whole-subgroup/result.json)" = 3 ] || fail "not three methods were told twice the rate"
for what in subgroup others; do says whole-subgroup/result.json "\"$what\": \{"; done
for what in dpo exo-pref dpo-rw exo-rw; do says whole-exo/result.json "\"method\": \"$what\""; done
says whole-exo/result.json '"claim": "(reproduced|refuted|undecided)"'
says whole-exo/result.json '"best_there_is"'
# Every policy is a point: two betas and two rates of four methods in each panel, beside the two of the best there is.
points=$(grep -c 'r="3"' whole-exo/front.svg)
[ "$points" -ge 18 ] || fail "$points points, not all policies"
says whole-exo/front.svg '1 seed; bars: 95% over test sources'
tr -d ' \n' <whole-exo/result.json >flat
says flat '"reward_interval":\[-?[0-9.e-]+,-?[0-9.e-]+\]'
for what in score span span-reward retry masked full refined; do
    says whole-forms/result.json "\"form\": \"$what\""
done
# Models of random weights never pass: only the refined answers give something to learn.
grep -A 16 '"form": "refined"' whole-forms/result.json | grep -q '"pool": 12.0' || fail "no refined answers were trained on"
# A form without rows is not measured: it is no form that teaches nothing.
tr -d ' \n' <whole-forms/result.json >flat
says flat '"accuracy":null,"by_seed":\[null\],"form":"score","gain":null,"gain_interval":\[null,null\],"over_score":null'
says flat '"accuracy":[01]\.[0-9]+,"by_seed":\[[01]\.[0-9]+\],"form":"refined","gain":-?[0-9.]+,"gain_interval":\[-?[0-9.]+,-?[0-9.]+\],"over_score":null'
says flat '"notes":\["score:nothingtotrainonunder1of1seeds'
says whole-forms/result.json '"critique": "swapped"'
for what in sparse dense noisy total random shuffled; do says whole-spans/result.json "\"arm\": \"$what\""; done
for what in retry refined retry-right refined-right shuffled; do says whole-pairs/result.json "\"arm\": \"$what\""; done
for what in over_retry over_shuffled broken; do says whole-pairs/result.json "\"$what\": -?[0-9]"; done
says whole-spans/curves.svg ', 1 seed<'
[ -f whole-spans/curves.svg ] && [ -f whole-pairs/gains.svg ] || fail "no curves"
# In the first round all arms see the same samples: the controls take as much as the critic does, in other places; the sparse arm takes nothing.
sed 's/^rounds: 3/rounds: 1/' spans.yaml >other.yaml
run 0 "$agon" experiment other.yaml --output once --json
tr -d ' \n' <once/result.json | grep -o '"arm":"[a-z]*","critic_reward":{[^}]*}' | sed 's/"arm":"\([a-z]*\)".*"mean":\([-0-9.e]*\).*/\1 \2/' >sums
awk '{ x[$1] = $2 } END { e = 1e-9; d = x["dense"]
    exit !(x["sparse"] == 0 && d < -0.1 && x["noisy"] != d && (x["total"] - d) ^ 2 < e && (x["random"] - d) ^ 2 < e && (x["shuffled"] - d) ^ 2 < e) }' sums ||
    fail "the arms' sums: $(cat sums)"
# Intervals over seeds are drawn where there are some: at the start, one of each arm.
sed 's/^rounds: 3/rounds: 1\nseed: 11\nseeds: 2/' spans.yaml >other.yaml
run 0 "$agon" experiment other.yaml --output twice --json
says err '^seed 12 '
says twice/curves.svg ', 2 seeds; bars: 95% over seeds<'
[ "$(grep -Ec '<path d="M[0-9.]+ [0-9.]+V' twice/curves.svg)" -ge 12 ] || fail "no intervals are drawn"
# People teach sums of one digit. Of two digits the model alone knows nothing, cut in two nearly all, and it learns what it was told so.
for what in amplified own taught truth; do says whole-sums/result.json "\"arm\": \"$what\""; done
tr -d ' \n' <whole-sums/result.json | grep -o '"level":1,"right_by_round":\[{[^}]*},{[^}]*}\]' | sed 's/.*"mean":\([-0-9.e]*\).*/\1/' >right
awk '{ x[NR] = $1 } END { exit !(NR == 4 && x[1] > 0.5 && x[1] > x[2] + 0.3 && x[3] < 0.1 && x[4] > 0.5) }' right || fail "two digits right by amplified, own, taught, truth: $(tr '\n' ' ' <right)"
[ -f whole-sums/levels.svg ] || fail "no curves"
# A critic that knows is trusted and teaches, one that knows nothing is not: its arm is then the person's labels alone, to the last bit.
tr -d ' \n' <whole-trust/result.json | grep -o '"arm":"[a-z]*[ 0-9]*","gain":{[^}]*},"greedy_gain":{[^}]*},"seeds_above_alpha":[0-9]*,"seeds_that_took":[0-9]*' |
    sed 's/"arm":"\([a-z]*[0-9]*\)".*,"gain":{[^}]*"mean":\([-0-9.e]*\).*"seeds_that_took":\([0-9]*\)/\1 \2 \3/' >arms
awk '{ gain[$1] = $2; took[$1] = $3 } END { exit !(NR == 7 && took["trusted6"] == 1 && took["trusted0"] == 0 && gain["trusted0"] == gain["human"] &&
    gain["trusted6"] > gain["human"] + 0.02 && gain["trusted6"] > gain["unchecked0"] + 0.02 && took["unchecked0"] == 1) }' arms || fail "arms, gains, seeds that took: $(cat arms)"
# An attacker's training is one stage that is written after every round, so what the kill cut there went on from inside; the adapter is what a PEFT reader takes.
for what in plain templates untrained trained no-penalty; do
    says whole-red/result.json "\"arm\": \"$what\""
    [ "$(grep -c "\"arm\":\"$what\"" whole-red/attacks.jsonl)" = 8 ] || fail "not every attack by $what is written"
done
[ -f whole-red/curves.svg ] || fail "no curves"
same whole-red/attacks.jsonl cut-red/attacks.jsonl
same whole-red/attacker-1/adapter_model.safetensors cut-red/attacker-1/adapter_model.safetensors
tr -d ' \n' <whole-red/result.json >flat
says flat '"added":0\.0,"added_interval":\[0\.0,0\.0\],"arm":"plain"' # against itself
says flat '"of_all":\{"any":[01]\.[0-9]*,"any_interval":\[[^]]*\],"by_sample":[01]\.[0-9]*,"by_sample_interval":\[[^]]*\],"n":8\}'
printf '{"prompt":"the"}' | run 0 "$agon" generate --model "$tiny" --adapter whole-red/attacker-1 --max-tokens 2 --json
sed "s|^rank.*|learner_adapter: $work/whole-red/attacker-1|" red.yaml >other.yaml
run 0 "$agon" experiment other.yaml --output learner --json
[ "$(grep '"base"' learner/result.json)" != "$(grep '"base"' whole-red/result.json)" ] || fail "another learner has the same stages"
# Answers and judgements are the same after the kill; the controls stand beside the verifiers.
same whole-gap/answers.jsonl cut-gap/answers.jsonl
[ "$(wc -l <whole-gap/answers.jsonl)" = 128 ] || fail "not every query of both seeds is written"
for what in itself words random truth; do says whole-gap/result.json "\"verifier\": \"$what\""; done
# Debates: everything that was said is written; who judges anew, or more items, finds the speeches there are.
for what in naive consultancy debate expert; do says whole-debate/result.json "\"protocol\": \"$what\""; done
says whole-debate/result.json '"verdict": "likelihood"'
same whole-debate/debates.jsonl cut-debate/debates.jsonl
[ "$(wc -l <whole-debate/debates.jsonl)" = 24 ] || fail "not every debate is written"
[ "$(ls whole-debate/stages | wc -l)" = 6 ] || fail "not two stages for eight items"
cat >always_a.sh <<'END'
while read -r line; do printf '{"id":"%s","completions":["Because.\\nAnswer: A"]}\n' "$(printf '%s' "$line" | sed 's/.*"id":"\([^"]*\)".*/\1/')"; done
END
cat >never.sh <<'END'
while read -r line; do printf '{"id":"%s","completions":["It may be A, or B."]}\n' "$(printf '%s' "$line" | sed 's/.*"id":"\([^"]*\)".*/\1/')"; done
END
cp -r whole-debate judged
(cat debate.yaml; echo 'judge: {backend: command, command: sh always_a.sh}') >other.yaml
run 0 "$agon" experiment other.yaml --output judged --json
[ "$(ls judged/stages | wc -l)" = 9 ] || fail "another judge asks for other debates"
tr -d ' \n' <judged/result.json >flat
for what in naive consultancy debate expert; do says flat "\"accuracy\":0\.5,\"accuracy_interval\":\[0\.5,0\.5\],[^{]*\"calibration\":\{[^}]*\"of\":\"items\"\},[^{]*\"protocol\":\"$what\",\"says_a\":1\.0"; done
sed -i 's/^items.*/items: 28/' debate.yaml
run 0 "$agon" experiment debate.yaml --output judged --json
[ "$(ls judged/stages | wc -l)" = 11 ] || fail "more items begin anew"
(cat debate.yaml; echo 'judge: {backend: command, command: sh never.sh}') >other.yaml
refused 5 "64 of the judge's 64 verdicts under consultancy could not be read.*must be Answer: A or Answer: B; on g1 it ended 'It may be A, or B.'" "$agon" experiment other.yaml --output judged
# Rows of the user's; who has no passage has no expert.
printf '{"question": "Which is it?", "correct": "that", "wrong": "this"}\n%.0s' 1 2 3 4 >rows.jsonl
echo '{"answers": {"debater:line-1/debate/1/1": "<quote>nothing</quote>"}, "default": "so it is"}' >says.json
cat >other.yaml <<END
experiment: debate
data: rows.jsonl
rounds: 1
seeds: 2
debater: {backend: scripted, script: says.json}
judge: {backend: command, command: sh always_a.sh}
END
run 0 "$agon" experiment other.yaml --output rows --json
says err 'expert .*no item has a passage'
says err 'how long who does not compute here takes is not known'
tr -d ' \n' <rows/result.json >flat
says flat '"accuracy":null,"accuracy_interval":\[null,null\],"by_seed":\[null,null\],"calibration":null,"n_items":0,'
says flat '\{"protocol":"debate","side":"wrong","unverified":[0-9],'
says flat '"protocol":"debate","side":"right","unverified":2,"verified":0' # under both seeds
says whole-cleaning/result.json '"judge": "(class|likelihood)"'
says whole-cleaning/result.json '"planted": (true|false)'
for what in known panacea-linear panacea-tchebycheff panacea-linear-dpo soup modpo; do
    says whole-panacea/result.json "\"method\": \"$what\""
done
for left in whole-w2s/half.tmp-agonabcdef whole-w2s/stages/half.tmp-agonabcdef whole-w2s/notes.tmpabcdef; do : >$left; done
run 0 "$agon" weak-to-strong w2s.yaml --output whole-w2s
count
[ ! -f whole-w2s/half.tmp-agonabcdef ] && [ ! -f whole-w2s/stages/half.tmp-agonabcdef ] && [ -f whole-w2s/notes.tmpabcdef ] ||
    fail "not what killed writers left, and that alone, was taken away"
says out 'gap recovered.*by weak validation, by the truth'
tr -d ' \n' <whole-w2s/result.json >flat
says flat '"condition":"naive","early_stop":\{"truth":\{"accuracy":[01]\.[0-9]+,"interval":\[[^]]*\],"pgr":[^}]*\},"weak_validation":\{"accuracy":[01]\.[0-9]'
says flat '"condition":"specialist-0","early_stop":null'
run 0 "$agon" experiment --list
says out '^weak-to-strong '

# ---- other options are another experiment: nothing of the old one is taken over
sed 's/seed: 1//; s/draws: 100/draws: 100\nseed: 5/' w2s.yaml >other.yaml
run 0 "$agon" experiment other.yaml --output whole-w2s --json
differ whole-w2s/result.json cut-w2s/result.json

# ---- refused in one sentence
run 4 "$agon" experiment "$source/examples/quickstart.yaml" --output bad
says err 'quickstart.yaml is the file of a run; agon run takes it$'; one_sentence
echo 'experiment: weak-to-stong' >bad.yaml
run 4 "$agon" experiment bad.yaml --output bad
says err 'did you mean weak-to-strong'; one_sentence
echo 'experiment: noise-cleaning' >bad.yaml
run 4 "$agon" weak-to-strong bad.yaml --output bad
says err 'noise-cleaning, not weak-to-strong'; one_sentence
printf 'experiment: weak-to-strong\ntrain_item: 3\n' >bad.yaml
run 4 "$agon" weak-to-strong bad.yaml --output bad
says err 'did you mean train_items'; one_sentence
printf 'experiment: weak-to-strong\ngenerative: [compare]\n' >bad.yaml
run 4 "$agon" weak-to-strong bad.yaml --output bad
says err "no generative family"; one_sentence
printf 'experiment: weak-to-strong\ntrain_items: 20000\nfamilies: [addition]\n' >bad.yaml
run 4 "$agon" weak-to-strong bad.yaml --output bad --json
tail -1 err >last && mv last err
says err 'ask for fewer'; one_sentence
# A file with one line edited is refused in one sentence.
bad_file() { # bad_file CODE COMMAND FILE EDIT PATTERN
    sed "$4" "$3" >bad.yaml
    refused "$1" "$5" "$agon" "$2" bad.yaml --output bad
}
bad_file 4 experiment tokens.yaml 's/^rates.*/rates: [0, 0.3]/' 'rates\[0\] is 0; it must be from'
bad_file 4 experiment tokens.yaml 's/^seeds.*/family: compare/' 'no generative family'
bad_file 4 experiment subgroup.yaml 's/^epochs.*/methods: [rdpo, forwrd]/' 'methods\[1\] is no method; did you mean forward'
bad_file 4 experiment subgroup.yaml 's/^noise.*/noise: subgrup/' "noise is random or subgroup, not 'subgrup'"
bad_file 4 experiment subgroup.yaml 's/^assumed.*/assumed: [1, 3]/' 'assumed\[1\] times rates\[1\] is a rate of 0.6'
bad_file 4 experiment subgroup.yaml 's/^\(rates\|assumed\).*//; s/^epochs.*/rates: [0, 0.45]\nepochs: 1/' 'too few of seed 1.s pairs for a total rate of 0.45'
bad_file 4 experiment forms.yaml 's/^cells.*/cells: []/' 'cells is an empty list; name one or more'
bad_file 4 experiment cleaning.yaml 's/^families.*/families: []/' 'families has 0 names; give 1 to'
bad_file 4 experiment exo.yaml 's/betas.*/betas: [0]/' 'betas\[0\] is 0; it must be from'
bad_file 4 experiment exo.yaml 's/ideal_samples.*/candidates: 3/' 'candidates is 3; it must be even'
bad_file 4 experiment exo.yaml 's/^samples.*/blur: 2/' 'blur is 2; it must be from 0 to 1'
bad_file 4 experiment panacea.yaml 's/^rank.*/pair_lr: 0/' 'pair_lr is 0; it must be from'
bad_file 4 experiment spans.yaml 's/^rank.*/objective: grpo/' "objective is 'grpo'; ppo and reinforce"
bad_file 4 experiment spans.yaml 's/^rank.*/target: 0/' 'target is 0; it must be from'
bad_file 4 experiment spans.yaml 's/^rank.*/family: agreement/' 'no generative family'
bad_file 4 experiment pairs.yaml 's/^pairs.*/mended: 1/' 'mended is 1; it must be from'
bad_file 4 experiment debate.yaml 's/^rounds.*/verdict: words/' "verdict is 'words'; it must be auto"
bad_file 4 experiment debate.yaml 's/^rounds.*/judge: {backend: remot}/' "judge: backend is 'remot'; it must be local"
bad_file 4 experiment debate.yaml 's/^rounds.*/debater: {backend: remote, name: x}/' 'debater: backend remote needs url and name'
bad_file 4 experiment debate.yaml 's/^rounds.*/judge: {backend: command}/' 'judge: backend command needs command'
bad_file 4 experiment debate.yaml 's/^rounds.*/judge: {temperature: -1}/' 'judge: temperature is -1; it must be from 0'
bad_file 4 experiment debate.yaml 's/^rounds.*/judge: {modle: x}/' 'there is no option .modle.; did you mean model'
bad_file 4 experiment debate.yaml 's/^rounds.*/verdict: likelihood\njudge: {backend: command, command: cat}/' 'verdict: likelihood needs a judge that scores'
bad_file 3 experiment debate.yaml 's/^rounds.*/judge: {model: nowhere.gguf}/' 'judge: .*nowhere.gguf'
bad_file 3 experiment debate.yaml 's/^rounds.*/data: nowhere.jsonl/' 'nowhere.jsonl'
echo '{"question": "q", "correct": "a"}' >short.jsonl
bad_file 4 experiment debate.yaml 's/^rounds.*/data: short.jsonl/' 'short.jsonl:1: wrong is missing; a row is'
bad_file 4 experiment red.yaml 's/^rank.*/attacks: [distractor, tree]/' "attacks\[1\] is 'tree'; it must be paraphrase"
bad_file 4 experiment red.yaml 's/^rank.*/attacks: []/' 'attacks is an empty list'
bad_file 4 experiment red.yaml 's/^cells.*/cells: [arithmetik]/' 'cells: .*arithmetik'
bad_file 4 experiment red.yaml 's/^rank.*/batch: 3/' 'batch is 3; it must be from 1 to 2'
bad_file 4 experiment red.yaml 's/^rewordings.*/rewordings: 1/' 'rewordings is 1; it must be from 2'
bad_file 4 experiment red.yaml 's/^rank.*/similarity: 0/' 'similarity is 0; it must be from'
bad_file 4 experiment red.yaml 's/^test_queries.*/test_queries: 90/; s/^cells.*/cells: [arithmetic\/one_digit_sum]/' 'no 96 different tasks .*ask for fewer'
bad_file 3 experiment red.yaml 's/^rank.*/learner_adapter: nowhere/' 'learner_adapter: .*nowhere'
bad_file 4 experiment gap.yaml 's/^samples.*/samples: 1/' 'samples is 1; it must be from 2'
bad_file 4 experiment gap.yaml 's/^temperature.*/top_p: 0/' 'top_p is 0; it must be from'
bad_file 3 experiment gap.yaml 's/^seeds.*/learner_adapter: nowhere/' 'learner_adapter: .*nowhere'
sed 's/^drafts.*/drafts: 16\nseed: 11/; s/^corpus_items.*/corpus_items: 64/' pairs.yaml >bad.yaml
run 4 "$agon" experiment bad.yaml --output bad --json
tail -1 err >last && mv last err
says err 'seed 11: of 16 drafts none makes a pair by .*ask for more drafts'; one_sentence
bad_file 3 weak-to-strong lm.yaml "s|^model.*|model: $work/nothing.gguf|" 'nothing.gguf'
bad_file 3 weak-to-strong lm.yaml 's/^model.*/model: ""/' 'make model'
bad_file 4 weak-to-strong lm.yaml 's/^generative.*/generative: [sorting]/' 'learns .families. only'
bad_file 4 weak-to-strong lm.yaml 's/^strong.*/strong: lader/' "strong is ladder or language-model, not 'lader'"
bad_file 4 weak-to-strong lm.yaml 's/^rank.*/strong_batch: 33/' 'strong_batch is 33; it must be from 1 to the 32 rows'
bad_file 4 weak-to-strong lm.yaml 's/^leave_out.*/leave_out: [shufled]/' 'did you mean shuffled'
bad_file 4 weak-to-strong lm.yaml 's/^leave_out.*/leave_out: [ceiling, 3]/' 'ceiling. is no condition|no condition .ceiling'
run 3 "$agon" experiment nothing.yaml
one_sentence
done_testing
