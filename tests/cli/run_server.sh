#!/bin/sh
# A run whose critic is a server: what is wrong with the way there is said and mended in the run file, and the run goes on; verify asks nobody.
. "$(dirname "$0")/common"

mkfifo pipe
"$AGON_HELPERS/judge_server" questions <pipe >url &
exec 3>pipe
until [ -s url ]; do sleep 0.05; done
file() { # URL
    cat >run.yaml <<Y
model: "$tiny"
seed: 3
tasks: {cells: [writing/lower_case, writing/max_words]}
attacker: {queries: 8, waves: 1, variations: 4}
learner: {samples: 1, max_tokens: 6}
critic: {backend: remote, url: "$1", name: judge-7, key_env: RUN_KEY${2-}}
refine: {queries: 0, learnability: 0}
human: {labels: 4, audits: 2, demonstrations: 2}
build: {documents: 1}
train: {rank: 2, epochs: 1}
evaluate: {tasks: 4, general: 0, documents: 2, gsm8k: 0}
gate: {monitor_prompts: 0}
Y
}
file "$(cat url)"
run 3 env -u RUN_KEY "$agon" run run.yaml --quiet
says err 'RUN_KEY, named by .key_env., is not set'; one_sentence
run 5 env RUN_KEY=wrong "$agon" run run.yaml --quiet
says err 'status 401: \{"error":\{"message":"no such key"'; one_sentence
file http://127.0.0.1:9/v1
run 5 env RUN_KEY=secret "$agon" run run.yaml --quiet
says err '127.0.0.1:9/v1: .*every request failed, run again to go on$'; one_sentence
file "$(cat url)" ", timeout: 20, per_minute: 100000"
run 0 env RUN_KEY=secret "$agon" run run.yaml --quiet
[ -s questions ] || fail "the server was not asked"
run 0 env -u RUN_KEY "$agon" verify --workspace run.agon
# What it said is its own word, not that of a version which was never asked.
run 0 "$agon" status --workspace run.agon
says out "^critic played elsewhere: [0-9a-f]{12} \(remote http://127.0.0.1:[0-9]+/v1, judge-7\)\$"
player=$(sed -n 's/^critic played elsewhere: \([0-9a-f]*\) .*/\1/p' out)
run 0 "$agon" log --workspace run.agon --n 0
has out "the critic is played elsewhere: remote $(cat url) judge-7; what it says comes from version $player"
run 0 "$agon" why "$player" --workspace run.agon
has out "role: external"
has out "name: judge-7"
if grep -rq secret run.agon/agon.db; then fail "the key is in the workspace"; fi
sed -i 's/judge-7/judge-8/' run.yaml
run 7 env RUN_KEY=secret "$agon" run run.yaml --quiet
says err "begun with another value of 'critic'"; one_sentence
exec 3>&-
done_testing
