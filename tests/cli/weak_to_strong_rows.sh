#!/bin/sh
# Weak-to-strong with two models and a labelled file of the user's: parts and labels, a killed one ends at the same figures, bad rows by line.
. "$(dirname "$0")/common"

# Which of two words is in the text is its class; 120 texts, of which one stands twice.
awk 'BEGIN { for (i = 0; i < 120; i++) printf "{\"text\":\"%s stone %d\",\"label\":\"%s\"}\n", i % 2 ? "bright" : "dark", i * 7 % 120, i % 2 ? "good" : "bad" }' | sed 1p >my.jsonl
# The strong model is a Hugging Face folder: the tiny one, a little further.
printf '{"text":"a bright stone and a dark stone"}\n' >prose.jsonl
run 0 "$agon" train sft --model "$tiny" --data prose.jsonl --output strong --steps 2 --batch 1 --lr 1e-3
cat >my.yaml <<END
experiment: weak-to-strong-rows
data: my.jsonl
weak: $tiny
strong: strong
rank: 4
weak_lr: 0.01
strong_lr: 0.02
weak_epochs: 3
strong_epochs: 8
draws: 100
leave_out: [confident-25, confident-75, random-25]
full: {seeds: 2}
END

# ---- said before anything runs; nothing is left
run 0 "$agon" weak-to-strong my.yaml --output plan --plan --json
says err '120 rows of 2 classes: 48 train the supervisor, 48 are labelled by it, 24 test; left out: 1 repeated, 0 too long, 0 of larger classes'
says err 'about [0-9.]+ minutes on'
[ ! -e plan ] || fail "a plan made its folder"

# ---- whole, and killed
run 0 "$agon" weak-to-strong my.yaml --output whole --full
says out '^which class\?'
says out '^ +student +right +gap recovered \[95%\]$'
for what in naive naive-weak hard aux-linear aux-released confident-50 random-50 matched-flips shuffled untrained weak-2 weak-3 weak-long ensemble-majority ensemble-mean naive-long; do
    says whole/result.json "\"condition\": \"$what\""
done
says whole/curves.svg '<svg'
says whole/result.json '"strong": "[0-9a-f]{64}"'
"$agon" weak-to-strong my.yaml --output cut --full --json >out 2>err &
pid=$!
while kill -0 $pid 2>/dev/null && [ "$(ls cut/stages 2>/dev/null | wc -l)" -lt 8 ]; do :; done
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
[ ! -f cut/result.json ] || fail "had ended before the kill"
run 0 "$agon" weak-to-strong my.yaml --output cut --full --json
same whole/result.json cut/result.json
same whole/rows.jsonl cut/rows.jsonl

# ---- fewer seeds, other conditions, more draws: nothing is trained again; a condition more is trained beside the others
sed 's/^leave_out.*/leave_out: [hard, shuffled, confident-25, confident-50, confident-75, random-25, ensemble-mean, naive-long]/; s/^draws.*/draws: 200/' my.yaml >less.yaml
n_stages=$(ls cut/stages | wc -l)
run 0 "$agon" weak-to-strong less.yaml --output cut --json
count
! grep -q 'right of the test' err || fail "trained again: $(grep 'right of the test' err)"
sed 's/random-25/aux-linear/' less.yaml >other.yaml
run 0 "$agon" weak-to-strong other.yaml --output cut --json
[ "$(grep -c 'right of the test' err)" = 1 ] || fail "random-25 alone is new"
[ "$(ls cut/stages | wc -l)" = $((n_stages + 1)) ] || fail "$(ls cut/stages | wc -l) stages, not one more than $n_stages"
run 0 "$agon" weak-to-strong my.yaml --output cut --full --json
same whole/result.json cut/result.json

# ---- the parts: every text in one part of a seed, classes even, the test the same under both seeds, the supervisor's labels where it was not trained
count
sed 's/.*"seed":\([0-9]*\),"line":\([0-9]*\),"part":"\([a-z]*\)","label":"\([a-z]*\)".*/\1 \2 \3 \4/' whole/rows.jsonl >parts
[ "$(cut -d' ' -f1,2 parts | sort -u | wc -l)" = 240 ] && [ "$(wc -l <parts)" = 240 ] || fail "a row is in two parts, or in none"
[ "$(grep -c '^1 .* test good' parts)" = 12 ] && [ "$(grep -c '^2 .* student bad' parts)" = 24 ] || fail "the classes are not even in every part"
grep '^1 .*test' parts | cut -d' ' -f2 | sort >a
grep '^2 .*test' parts | cut -d' ' -f2 | sort >b
same a b
grep '^1 .*supervisor' parts | cut -d' ' -f2 | sort >a
grep '^2 .*supervisor' parts | cut -d' ' -f2 | sort >b
differ a b
[ "$(grep -c '"part":"student".*"weak":{"bad":[0-9.e-]*,"good":[0-9.e-]*},"weak-2":{.*},"weak-long":{[^}]*}}' whole/rows.jsonl)" = 96 ] || fail "not every row of the student's part has the weak labels"
! grep '"part":"supervisor"' whole/rows.jsonl | grep -q weak || fail "the supervisor labelled what it was trained on"
# rows.jsonl and result.json say the same of the ceiling.
mean=$(grep '"part":"test"' whole/rows.jsonl | awk '{ match($0, /"label":"[a-z]*"/); l = substr($0, RSTART + 9, RLENGTH - 9); match($0, /"ceiling":"[a-z]*"/)
    right += l == substr($0, RSTART + 11, RLENGTH - 11) } END { printf "%.4f", right / NR }')
says whole/result.json "\"ceiling\": $(echo "$mean" | sed 's/0*$//; s/\.$/.0/')"
awk "BEGIN { exit !($mean > 0.85) }" || fail "the ceiling did not learn which word it is: $mean"

# ---- a student learns what the supervisor says, not what is true: one that was hardly trained teaches nothing
sed 's/^weak_lr.*/weak_lr: 0.000000001/; s/^leave_out.*/leave_out: [confident-25, confident-50, confident-75, random-25, random-50, naive-weak, aux-linear, aux-released, untrained, shuffled, ensemble-majority, ensemble-mean, naive-long]/' my.yaml >poor.yaml
run 0 "$agon" weak-to-strong poor.yaml --output poor --json
for what in weak ceiling; do sed -n "s/.*\"$what\":\([01]\.[0-9]*\).*/\1/p" out >$what; done
naive=$(grep -o '"accuracy":[01]\.[0-9]*,"by_seed":\[[^]]*\],"condition":"naive"' out | sed 's/"accuracy":\([0-9.]*\).*/\1/')
awk "BEGIN { exit !($(cat ceiling) > 0.85 && $naive < 0.75) }" || fail "ceiling $(cat ceiling), naive $naive"

# ---- a panel of labellers that know a part of it: of its labels as many are right as rows.jsonl says of its members', by majority, by mean, and by the one
# that was trained as long
sed 's/^weak_lr.*/weak_lr: 0.001/; s/^weak_epochs.*/weak_epochs: 1/; s/^leave_out.*/leave_out: [hard, naive-weak, aux-linear, aux-released, matched-flips, shuffled, untrained, random-25, random-50, confident-25, confident-50, confident-75]/' my.yaml >panel.yaml
run 0 "$agon" weak-to-strong panel.yaml --output panel --json
tr -d ' \n' <panel/result.json >flat
awk 'function p(who, class) { match($0, "\"" who "\":{[^}]*}"); t = substr($0, RSTART, RLENGTH); sub(".*\"" class "\":", "", t); return t + 0 }
    /"seed":1,.*"part":"student"/ { n++; l = /"label":"good"/; v = 0; m = 0
        for (i = 1; i <= 3; i++) { w = i == 1 ? "weak" : "weak-" i; v += p(w, "good") > p(w, "bad"); m += p(w, "good") - p(w, "bad") }
        a += (v > 1) == l; b += (m > 0) == l; c += (p("weak-long", "good") > p("weak-long", "bad")) == l; d += p("weak", "good") != p("weak-2", "good"); e += p("weak-2", "good") != p("weak-3", "good") }
    END { printf "%.10g %.10g %.10g %d %d\n", a / n, b / n, c / n, (d > 0), (e > 0) }' panel/rows.jsonl >labels
count
read -r majority mean long second third <labels
[ "$second$third" = 11 ] || fail "the members of the panel are one labeller"
says flat "\"panel_label_accuracy\":\{\"ensemble-majority\":$majority[0-9.]*,\"ensemble-mean\":$mean[0-9.]*,\"naive-long\":$long[0-9.]*\}"
for what in ensemble-majority ensemble-mean naive-long; do says flat "\"condition\":\"$what\",\"early_stop\":null,\"interval\":\[-?[0-9.]+,-?[0-9.]+\],\"pgr\":-?[0-9.]+,"; done
# Students of different labellers are different: naive, majority, mean, the long one.
grep -o '"calibration_error":[0-9.e-]*,"condition":"\(naive\|ensemble-majority\|ensemble-mean\|naive-long\)"' flat | cut -d, -f1 | sort -u >students
count
[ "$(wc -l <students)" = 4 ] || fail "students of different labellers are one: $(cat students)"

# ---- three classes, whole numbers, in the words and the order that are asked for; the confidence loss is of two classes
awk 'BEGIN { for (i = 0; i < 130; i++) printf "{\"prompt\":\"%s stone %d\",\"label\":%d}\n", substr("bright dark   old", 1 + i % 3 * 7, 6), i, i % 3 }' >three.jsonl
{ sed 's/^data.*/data: three.jsonl/; s/^strong_epochs.*/strong_epochs: 1/; s/^leave_out.*/leave_out: [confident-25, confident-75, naive-long]/' my.yaml
  printf 'classes: [2, 0, 1]\nwords: [" two", " zero", " one"]\ntemplate: "Say: {text} is"\n'; } >three.yaml
run 0 "$agon" weak-to-strong three.yaml --output three --json
says out '"classes":\["2","0","1"\]'
says three/rows.jsonl '"weak":\{"2":[0-9.e-]+,"0":[0-9.e-]+,"1":[0-9.e-]+\}'
# A labeller whose students are left out is not trained.
count
! grep -q '"weak-long"' three/result.json three/rows.jsonl || fail "a labeller was trained for nobody"
says three/result.json '"condition": "weak-3"'
count
! grep -q '"aux-' three/result.json || fail "three classes under a loss of two"
says three/result.json '"condition": "matched-flips"'

# ---- a long file's name hides no condition from another
long=$(printf '%0220d' 0).jsonl
cp three.jsonl "$long"
sed "s/^data.*/data: $long/; s/^leave_out.*/leave_out: [confident-25, confident-50, confident-75, random-25, random-50, hard, naive-weak, matched-flips, ensemble-majority, ensemble-mean, naive-long]/" three.yaml >long.yaml
run 0 "$agon" weak-to-strong long.yaml --output long --json
[ "$(ls long/stages | wc -l)" = 5 ] || fail "$(ls long/stages | wc -l) stages of 5 conditions"

# ---- classes are evened out, what is too long for a model is left out, both are counted
awk 'BEGIN { for (i = 0; i < 60; i++) printf "{\"text\":\"a bright stone %d\",\"label\":true}\n", i }' >more.jsonl
sed 's/"good"/true/; s/"bad"/false/' my.jsonl >>more.jsonl
printf '{"text":"%s","label":false}\n' "$(yes 'a dark stone' | head -60 | tr '\n' ' ')" >>more.jsonl
{ sed 's/^data.*/data: more.jsonl/' my.yaml; echo 'max_tokens: 60'; } >more.yaml
run 0 "$agon" weak-to-strong more.yaml --output plan --plan --json
says err '120 rows of 2 classes: .* left out: 1 repeated, 1 too long, 60 of larger classes'
{ cat more.yaml; echo 'balance: false'; } >uneven.yaml
run 0 "$agon" weak-to-strong uneven.yaml --output plan --plan --json
says err '180 rows of 2 classes: 72 train the supervisor, 72 are labelled by it, 36 test'

# ---- other labels are another experiment: nothing of the old one is taken over
sed 's/dark stone 14","label":"bad"/dark stone 14","label":"good"/' my.jsonl >other.jsonl
differ my.jsonl other.jsonl
cp other.jsonl my.jsonl
run 0 "$agon" weak-to-strong my.yaml --output whole --full --json
differ whole/result.json cut/result.json

# ---- what is wrong, in one sentence with file and line
bad_row() { # bad_row ROW PATTERN: as the second line
    { sed -n 1p my.jsonl; printf '%s\n' "$1"; sed 1d my.jsonl; } >bad.jsonl
    sed 's/^data.*/data: bad.jsonl/' my.yaml >bad.yaml
    run 4 "$agon" weak-to-strong bad.yaml --output bad
    says err "$2"; one_sentence
}
bad_row '{"text":"a"' 'bad.jsonl:2: '
bad_row '{"text":"a"}' 'bad.jsonl:2: label is missing'
bad_row '{"text":"a","label":0.5}' 'bad.jsonl:2: label must be a text of 1 to 100 bytes, a whole number, true or false'
bad_row "{\"text\":\"a\",\"label\":\"$(printf '%0101d' 1)\"}" 'bad.jsonl:2: label must be a text of 1 to 100'
bad_row '{"label":"good"}' 'bad.jsonl:2: text \(or prompt\) is missing'
bad_row '{"text":"a","prompt":"a","label":"good"}' 'bad.jsonl:2: has both text and prompt'
bad_row '{"text":" ","label":"good"}' 'bad.jsonl:2: text is empty'
bad_row '{"text":["a"],"label":"good"}' 'bad.jsonl:2: text must be a text'
bad_row '{"prompt":[],"label":"good"}' 'bad.jsonl:2: prompt must be a text or a list of messages'
bad_row '{"prompt":[{"role":"bot","content":"a"}],"label":"good"}' 'bad.jsonl:2: cannot be put to the weak model: .*has \(system, user'
bad_row '{"text":"bright stone 7","label":"bad"}' "bad.jsonl:4: the text of line 2 with another label \('bad' there, 'good' here\)"
bad_file() { # bad_file CODE EDIT PATTERN
    sed "$2" my.yaml >bad.yaml
    refused "$1" "$3" "$agon" weak-to-strong bad.yaml --output bad
}
bad_file 4 's/^data.*//' 'data is missing'
bad_file 3 's/^data.*/data: nothing.jsonl/' 'nothing.jsonl'
bad_file 4 's/^weak:.*//' 'weak is missing'
bad_file 3 's/^strong:.*/strong: nothing.gguf/' 'nothing.gguf'
bad_file 4 's/^rank.*/parts: [0.5, 0.5, 0.1]/' 'three shares that sum to 1'
bad_file 4 's/^rank.*/template: say/' 'must hold \{text\} once'
bad_file 4 's/^rank.*/classes: [good, baad]/' "my.jsonl:1: label 'bad' is none of the classes; did you mean 'baad'"
bad_file 4 's/^rank.*/words: [a, b]/' 'words has 2 texts and classes 0 names'
bad_file 4 's/^leave_out.*/leave_out: [ceiling]/' 'no condition'
bad_file 4 's/^rank.*/epochs: 3/' "no option 'epochs'"
bad_file 4 's/^rank.*/max_tokens: 8/' 'of all 121 rows 1 are repeated and 120 too long'
awk 'BEGIN { for (i = 0; i < 40; i++) printf "{\"text\":\"stone %d\",\"label\":%d}\n", i, i % 2 }' >few.jsonl
bad_file 4 's/^data.*/data: few.jsonl/' 'few.jsonl: 40 rows can be used .* parts of 16 \(supervisor\), 16 \(student\) and 8 \(test\); they must have 32, 32 and 20'
done_testing
