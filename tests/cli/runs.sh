#!/bin/sh
# run, init and unseal: what they refuse, with which exit code, and that nothing is left behind.
set -eu
. "$AGON_SOURCE/tests/cli/sealed_run"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() { echo "FAILED: $*"; exit 1; }
has() { case "$1" in *"$2"*) ;; *) fail "no '$2' in: $1" ;; esac; }
expect() { # code, words of the sentence, command
    want=$1 words=$2
    shift 2
    set +e
    "$@" >out 2>err
    code=$?
    set -e
    [ $code = "$want" ] || fail "$*: exit $code, not $want: $(cat err)"
    has "$(cat err)" "$words"
}

expect 2 "name a run file" "$AGON" run
expect 3 "none.yaml" "$AGON" run none.yaml
echo 'sed: 1' >wrong.yaml
expect 4 "wrong.yaml:1: unknown key 'sed'; did you mean 'seed'?" "$AGON" run wrong.yaml
[ ! -e wrong.agon ] || fail "a run file that cannot be read makes no workspace"
expect 4 "wrong.yaml:1" "$AGON" run wrong.yaml --json
has "$(cat out)" '"event":"error","status":"EINVAL"'

# What a run cannot begin with leaves no workspace behind: a model that is not there or no model, a role without its options.
mkdir mine
echo 'seed: 1' >absent.yaml
expect 3 "none.gguf" env AGON_MODEL="$work/none.gguf" "$AGON" run absent.yaml
expect 3 "none.gguf" env AGON_MODEL="$work/none.gguf" "$AGON" run absent.yaml --workspace mine
expect 4 "absent.yaml" env AGON_MODEL="$work/absent.yaml" "$AGON" run absent.yaml
printf 'model: "%s"\ncritic:\n  backend: remote\n' "$AGON_SOURCE/tests/golden/tiny-text.gguf" >remote.yaml
expect 4 "critic: backend remote needs url" "$AGON" run remote.yaml
printf 'model: "%s"\ntasks: {file: nowhere.jsonl}\n' "$AGON_SOURCE/tests/golden/tiny-text.gguf" >rowless.yaml
expect 3 "nowhere.jsonl" "$AGON" run rowless.yaml
[ ! -e rowless.agon ] || fail "a workspace was left behind where the queries are missing"
rm absent.yaml remote.yaml rowless.yaml
[ ! -e absent.agon ] && [ ! -e remote.agon ] || fail "an empty workspace was left behind"
[ -d mine ] && [ -z "$(ls -A mine)" ] || fail "a folder of the user's is gone, or holds what nobody asked for"

# A second runner, by the default workspace of the run file.
mkfifo pipe
"$AGON_HELPERS/make_workspace" small.agon hold <pipe >held &
exec 3>pipe
until [ -s held ]; do sleep 0.1; done
echo 'seed: 1' >small.yaml
expect 6 "is running here" "$AGON" run small.yaml
expect 6 "is running here" "$AGON" run small.yaml --json
has "$(cat out)" '"status":"EBUSY"'
exec 3>&-
wait

# Somebody's folder is not made into a workspace.
mkdir other
echo x >other/mine
expect 4 "other holds other things ('mine')" "$AGON" run small.yaml --workspace other
[ "$(ls -A other)" = mine ] || fail "something was put into somebody's folder"

printf '%s\n' '{"query":"What is 2 + 2?","answer":"4"}' '{"quer":"x"}' '{"query":"y","verifier":"no_such"}' >bad.jsonl
expect 4 "2 of 3 rows cannot be used" "$AGON" init bad.jsonl
has "$(cat err)" "bad.jsonl:2: unknown key 'quer'"
has "$(cat err)" "bad.jsonl:3"
printf '%s\n' '{"query":"a"}' '{"query":' 'not JSON' '{"query":"b","verifier":"no_such"}' '[1]' >broken.jsonl
expect 4 "4 of 5 rows cannot be used" "$AGON" init broken.jsonl
for line in 2 3 4 5; do has "$(cat err)" "broken.jsonl:$line:"; done
: >empty.jsonl
expect 4 "there are no rows" "$AGON" init empty.jsonl
printf 'model: "%s"\ntasks: {file: empty.jsonl}\n' "$AGON_SOURCE/tests/golden/tiny-text.gguf" >rowless.yaml
expect 4 "empty.jsonl: there are no rows" "$AGON" run rowless.yaml
[ ! -e rowless.agon ] || fail "a workspace was left behind where there are no queries"
rm rowless.yaml
expect 3 "none.jsonl" "$AGON" init none.jsonl
[ "$(ls ./*.yaml | wc -l)" = 2 ] || fail "a refused init writes nothing"
echo '{"query":"What is 2 + 2?","answer":"4"}' >small.jsonl
expect 4 "exists already" "$AGON" init small.jsonl
[ "$(cat small.yaml)" = 'seed: 1' ] || fail "an existing file was changed"

# A plan for good rows: counts, what it costs, and a file that says so.
printf '%s\n' '{"query":"What is 2 + 2?","answer":"4"}' '{"query":"Say hello"}' '{"query":"Say hello"}' >good.jsonl
plan=$("$AGON" init good.jsonl --json)
has "$plan" '"output":"good.yaml","queries":{"n":3,"with_answer":1,"with_verifier":0,"unverifiable":2,"duplicates":1,"verifiers":{"number":1},"exact_by_default":0}'
has "$plan" '"equivalents":'
has "$plan" '"warnings":["of the held-out queries at most 0 can be verified (1 of the 2 in good.jsonl are held out'
has "$plan" '"labels":{"expert":102'
grep -q 'file: "good.jsonl"' good.yaml || fail "the run file does not name the queries"
grep -q 'queries: 3 ' good.yaml || fail "as many queries as there are rows"
awk 'BEGIN { for (i = 0; i < 700; i++) printf "{\"query\":\"How much is %d and 1?\",\"answer\":%d}\n", i, i + 1 }' >many.jsonl
plan=$("$AGON" init many.jsonl --json)
has "$plan" '"warnings":[]'
grep -q 'queries: 700 ' many.yaml || fail "a limit of queries that is none"
grep -q '^  backend: queue ' good.yaml || fail "where only people can judge, people are asked"
grep -q '^  gate_items: 1 ' good.yaml || fail "people are asked about what is held out"

# Who judges which rows, and what that means.
printf '%s\n' '{"query":"2 + 2?","answer":4}' '{"query":"Capital of France?","answer":"Paris"}' '{"query":"And of Spain?","answer":"Madrid","verifier":"exact"}' \
    '{"query":"Name a colour.","answer":"red","verifier":"contains"}' >judged.jsonl
plan=$("$AGON" init judged.jsonl)
has "$plan" "judged by: number 1, exact 2, contains 1"
echo "$plan" | grep -Eq '^tokens: .*trained [0-9]+.*; as much work as reading [0-9]+$' || fail "the tokens: $plan"
has "$plan" "exact is taken for 1 whose answer is a text"
grep -q '^  backend: simulated ' judged.yaml || fail "nobody is needed where all rows have a verifier"
case "$plan" in *"only people can judge 0"* | *"backend: queue"*) fail "no people are needed: $plan" ;; esac
has "$("$AGON" init good.jsonl --output again.yaml)" "only people can judge 2, so the file says human: {backend: queue}"

# ---- what nobody knows is no number: a sealed run's shares
sealed_run "$AGON_SOURCE/tests/golden/tiny-text.gguf" >sealed.yaml
"$AGON" run sealed.yaml --quiet >/dev/null 2>err || fail "a sealed run failed: $(cat err)"
"$AGON" status --workspace sealed.agon >out
grep -Eq '(promoted|rejected) +- -> +- \[[-+.0-9]+, [-+.0-9]+\], n 4$' out || fail "of a sealed run status says: $(cat out)"

# Ctrl-C on the real loop, where the model is there: exit 8, halted, and nothing of it lost.
model=${AGON_MODEL:-${XDG_CACHE_HOME:-$HOME/.cache}/agon/SmolLM2-135M-Instruct.Q4_1.gguf}
if [ ! -e "$model" ]; then
    echo "the part that needs the model's weights is skipped: they are not at the usual place"
    exit 0
fi
"$AGON" run "$AGON_SOURCE/examples/smoke.yaml" --json >events 2>err &
runner=$!
until grep -q '"event":"message","iteration":1' events; do
    kill -0 $runner 2>/dev/null || fail "the run ended by itself: $(cat err)"
    sleep 0.1
done
kill -INT $runner
set +e
wait $runner
code=$?
set -e
[ $code = 8 ] || fail "a stopped run must exit 8, not $code: $(cat err)"
has "$(cat err)" "Run the same command again to go on"
has "$(cat events)" '"event":"error","status":"EINTERRUPTED"'
has "$("$AGON" status --workspace smoke.agon --json)" '"state":"halted"'
"$AGON" verify --workspace smoke.agon --sample 0 >/dev/null || fail "a stopped run's journal is whole"
