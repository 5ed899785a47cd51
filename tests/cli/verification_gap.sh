#!/bin/sh
# The generation-verification gap on rows of one's own: a verifier that is the truth has the truth's figures, its opposite none; the same model under another name says
# the same; what is asked later of the same answers finds them; programs and servers as verifiers; refusals.
. "$(dirname "$0")/common"

for i in $(seq 48); do echo "{\"query\":\"say something, number $i\",\"verifier\":\"no_letter\",\"arguments\":{\"letter\":\"h\"}}"; done >rows.jsonl
echo '{"query":"say something, number 3","verifier":"no_letter","arguments":{"letter":"h"}}' >>rows.jsonl # again
echo '{"query":"what nobody can judge"}' >>rows.jsonl
cat >gap.yaml <<END
experiment: verification-gap
model: $tiny
data: rows.jsonl
queries: 400
samples: 4
temperature: 1
max_tokens: 16
draws: 200
verifiers: [{name: itself}, {name: words, prompt: "{>query}: {>answer}. Right?"}, {name: named, model: $tiny}]
END
run 0 "$agon" experiment gap.yaml --output gap
has out "1 rows are left out"
says out '^48 queries from seed 1 on, 4 answers each: [3-8][0-9]\.[0-9]% right'
[ "$(wc -l <gap/answers.jsonl)" = 48 ] && [ "$(grep -c '"chooses":true' gap/answers.jsonl)" = 24 ] || fail "not half of 48 rows choose"
[ -f gap/curves.svg ] || fail "no curves"
# row NAME FOLDER: the figures of a verifier, without its name.
row() {
    tr -d ' \n' <"$2/result.json" | sed 's/.*"verifiers":\[\({"agreement.*\)/\1/; s/"verifier":"[a-z-]*"}/&\n/g' | grep "\"verifier\":\"$1\"}" | sed 's/^,//; s/"control":[a-z]*,//; s/"verifier":.*//'
}
for name in itself words named all random truth; do row $name gap >$name; [ -s $name ] || fail "no row of $name"; done
same itself named
differ itself words
says truth '"auroc":1.0,'
says truth '"agreement":1.0,'
says truth '"finding":"gain"'
says itself '"family":"no_letter"'

# ---- a program that knows the truth, which it reads in what the first run wrote: asked about the same answers
cat >judge <<'END'
while read -r line; do
    id=${line#*\"id\":\"} text=${line##*\"completion\":}
    echo x >>asked
    grep -qF "{\"text\":${text%\}\}},\"right\":true," answers && right=1 || right=0
    echo "{\"id\":\"${id%%\"*}\",\"reward\":$((right * $1)).5}"
done
END
cp gap/answers.jsonl answers
sed 's/^verifiers.*/verifiers: [{name: itself}, {name: program, command: "exec sh judge 1"}, {name: liar, command: "exec sh judge -1"}]/' gap.yaml >program.yaml
n=$(ls gap/stages | wc -l)
run 0 "$agon" experiment program.yaml --output gap
[ "$(ls gap/stages | wc -l)" = $((n + 6)) ] || fail "$(ls gap/stages | wc -l) stages, not $n and three each of two new verifiers"
[ "$(wc -l <asked)" -le 384 ] || fail "the programs were asked $(wc -l <asked) times about 192 answers"
row itself gap >again
same itself again
for name in program liar; do row $name gap >$name; done
# The threshold is 1.5 for the program and 1 for the truth; where nothing gains there is none.
sed 's/"threshold":[0-9.]*//' truth >a && sed 's/"threshold":[0-9.]*//' program >b
same a b
says liar '"auroc":0.0,'
says liar '"gap":0.0,"gap_interval":\[0.0,0.0\]'
says liar '"threshold":null'
# Nobody is asked twice.
rm asked
run 0 "$agon" experiment program.yaml --output gap
[ ! -f asked ] || fail "judged answers were judged again"

# ---- a program that fails half-way: what it said of whole parts is kept
cat >tired <<'END'
while read -r line; do
    id=${line#*\"id\":\"}
    echo x >>asked
    [ "$(wc -l <asked)" -lt 100 ] || [ -f rested ] || exit 1
    echo "{\"id\":\"${id%%\"*}\",\"verdict\":\"pass\"}"
done
END
sed 's/^verifiers.*/verifiers: [{name: tired, command: "exec sh tired"}]/' gap.yaml >tired.yaml
run 5 "$agon" experiment tired.yaml --output gap
says err 'verifier tired: .*run again to go on'
: >rested
: >asked
run 0 "$agon" experiment tired.yaml --output gap
[ "$(wc -l <asked)" -le 128 ] || fail "the first part of the judgements was asked for again ($(wc -l <asked))"

# ---- a server: votes in words, some of which are none
mkfifo pipe
"$AGON_HELPERS/judge_server" questions <pipe >url &
exec 3>pipe
until [ -s url ]; do sleep 0.05; done
server=$(cat url)
sed "s|^verifiers.*|verifiers: [{name: server, url: \"$server\", model: judge, key_env: JUDGE_KEY, votes: 2}]|" gap.yaml >server.yaml
run 0 env JUDGE_KEY=secret "$agon" experiment server.yaml --output gap
row server gap >server
says server '"no_verdict":0\.[0-9]*[1-9]'
says questions '"model":"judge"'
exec 3>&-

# ---- the files that are refused, each in one sentence
bad() { # bad CODE PATTERN EDIT
    sed "$3" gap.yaml >bad.yaml
    refused "$1" "$2" "$agon" experiment bad.yaml --output bad
}
bad 4 'verifiers has 0 entries' 's/^verifiers.*/verifiers: []/'
bad 4 "verifiers\[0\]: there is no key 'modell'; did you mean model" 's/^verifiers.*/verifiers: [{name: a, modell: b}]/'
bad 4 "verifiers\[1\]: the name 'a' is taken" 's/^verifiers.*/verifiers: [{name: a}, {name: a}]/'
bad 4 "the name 'truth' is taken" 's/^verifiers.*/verifiers: [{name: truth}]/'
bad 4 'a program .*or a model.*not both' 's/^verifiers.*/verifiers: [{name: a, command: x, model: y}]/'
bad 4 'needs the name of its model' 's/^verifiers.*/verifiers: [{name: a, url: "http:\/\/127.0.0.1:9\/v1"}]/'
bad 4 'votes is for a verifier behind a server' 's/^verifiers.*/verifiers: [{name: a, votes: 3}]/'
bad 4 'verifiers\[0\]: the prompt does not hold \{>answer\}' 's/^verifiers.*/verifiers: [{name: a, prompt: "{>query}?"}]/'
bad 4 'verifiers\[0\]: .*anwser' 's/^verifiers.*/verifiers: [{name: a, prompt: "{>answer} {>anwser}"}]/'
bad 3 'verifiers\[0\]: .*nothing.gguf' "s|^verifiers.*|verifiers: [{name: a, model: $work/nothing.gguf}]|"
bad 3 'nowhere.jsonl' 's/^data.*/data: nowhere.jsonl/'
tail -2 rows.jsonl >few.jsonl
bad 4 'few.jsonl has 1 different rows' 's/^data.*/data: few.jsonl/'
bad 4 'the cells have no 400 different tasks' 's/^data.*/cells: [arithmetic\/one_digit_sum]/'
done_testing
