#!/bin/sh
# run, init and unseal: what they refuse, with which exit code, and that nothing is left behind.
. "$(dirname "$0")/common"
. "$source/tests/cli/sealed_run"
tells() { # tells CODE WORDS COMMAND...
    wanted=$1 words=$2
    shift 2
    run "$wanted" "$@"
    has err "$words"
}

tells 2 "name a run file" "$agon" run
tells 3 "none.yaml" "$agon" run none.yaml
echo 'sed: 1' >wrong.yaml
tells 4 "wrong.yaml:1: unknown key 'sed'; did you mean 'seed'?" "$agon" run wrong.yaml
[ ! -e wrong.agon ] || fail "a run file that cannot be read makes no workspace"
tells 4 "wrong.yaml:1" "$agon" run wrong.yaml --json
has out '"event":"error","status":"EINVAL"'
awk 'BEGIN { printf "tasks: "; for (i = 0; i < 400000; i++) printf "["; print "" }' >deep.yaml # minutes for who reads it whole
tells 4 "deep.yaml:1: values are nested deeper than 64 here" timeout 60 "$agon" run deep.yaml
rm deep.yaml

# What a run cannot begin with leaves no workspace behind: a model that is not there or no model, a role without its options.
mkdir mine
echo 'seed: 1' >absent.yaml
tells 3 "none.gguf" env AGON_MODEL="$work/none.gguf" "$agon" run absent.yaml
tells 3 "none.gguf" env AGON_MODEL="$work/none.gguf" "$agon" run absent.yaml --workspace mine
tells 4 "absent.yaml" env AGON_MODEL="$work/absent.yaml" "$agon" run absent.yaml
printf 'model: "%s"\ncritic:\n  backend: remote\n' "$tiny" >remote.yaml
tells 4 "critic: backend remote needs url" "$agon" run remote.yaml
printf 'model: "%s"\ncritic: {backend: remote, url: "https://localhost/v1", name: m, key_env: AGON_NO_SUCH_KEY}\n' "$tiny" >remote.yaml
tells 3 "the environment variable AGON_NO_SUCH_KEY, named by 'key_env', is not set" "$agon" run remote.yaml
printf 'model: "%s"\ntasks: {file: nowhere.jsonl}\n' "$tiny" >rowless.yaml
tells 3 "nowhere.jsonl" "$agon" run rowless.yaml
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
tells 6 "is running here" "$agon" run small.yaml
tells 6 "is running here" "$agon" run small.yaml --json
has out '"status":"EBUSY"'
exec 3>&-
wait

# Somebody's folder is not made into a workspace.
mkdir other
echo x >other/mine
tells 4 "other holds other things ('mine')" "$agon" run small.yaml --workspace other
[ "$(ls -A other)" = mine ] || fail "something was put into somebody's folder"

printf '%s\n' '{"query":"What is 2 + 2?","answer":"4"}' '{"quer":"x"}' '{"query":"y","verifier":"no_such"}' >bad.jsonl
tells 4 "2 of 3 rows cannot be used" "$agon" init bad.jsonl
has err "bad.jsonl:2: unknown key 'quer'"
says err "unknown verifier 'no_such'; there are number, exact, contains, program, "
has err "bad.jsonl:3"
printf '%s\n' '{"id":7,"query":"What is 2 + 2?","answer":"4","source":"mine"}' '{"query":"y","answer":"1","choices":["1","2"]}' >fields.jsonl
tells 4 "1 of 2 rows cannot be used" "$agon" init fields.jsonl
has err "fields.jsonl:2: 'choices' is not read here"
printf '%s\n' '{"query":"a"}' '{"query":' 'not JSON' '{"query":"b","verifier":"no_such"}' '[1]' >broken.jsonl
tells 4 "4 of 5 rows cannot be used" "$agon" init broken.jsonl
for line in 2 3 4 5; do has err "broken.jsonl:$line:"; done
: >empty.jsonl
tells 4 "there are no rows" "$agon" init empty.jsonl
printf 'model: "%s"\ntasks: {file: empty.jsonl}\n' "$tiny" >rowless.yaml
tells 4 "empty.jsonl: there are no rows" "$agon" run rowless.yaml
[ ! -e rowless.agon ] || fail "a workspace was left behind where there are no queries"
rm rowless.yaml
tells 3 "none.jsonl" "$agon" init none.jsonl
[ "$(ls ./*.yaml | wc -l)" = 2 ] || fail "a refused init writes nothing"
echo '{"query":"What is 2 + 2?","answer":"4"}' >small.jsonl
tells 4 "exists already" "$agon" init small.jsonl
[ "$(cat small.yaml)" = 'seed: 1' ] || fail "an existing file was changed"

# A plan for good rows: counts, what it costs, and a file that says so.
printf '%s\n' '{"query":"What is 2 + 2?","answer":"4"}' '{"query":"Say hello"}' '{"query":"Say hello"}' >good.jsonl
run 0 "$agon" init good.jsonl --json
has out '"output":"good.yaml","queries":{"n":3,"with_answer":1,"with_verifier":0,"unverifiable":2,"duplicates":1,"joined":0,"joined_sets":0,"held_out":1,"held_out_sets":1,"verifiers":{"number":1},"exact_by_default":0}'
has out '"equivalents":'
has out '"warnings":["of the held-out queries at most 0 can be verified (1 of the 2 in good.jsonl are held out'
has out '"labels":{"expert":102'
grep -q 'file: "good.jsonl"' good.yaml || fail "the run file does not name the queries"
grep -q 'queries: 3 ' good.yaml || fail "as many queries as there are rows"
awk 'BEGIN { for (i = 0; i < 700; i++) printf "{\"query\":\"How much is %d and 1?\",\"answer\":%d}\n", i, i + 1 }' >many.jsonl
run 0 "$agon" init many.jsonl --json
has out '"warnings":[]'
has out '"joined":0,'
grep -q 'queries: 700 ' many.yaml || fail "a limit of queries that is none"
grep -q '^  backend: queue ' good.yaml || fail "where only people can judge, people are asked"
grep -q '^  gate_items: 1 ' good.yaml || fail "people are asked about what is held out"

# Twins, and rows of one group, are held out together or not at all.
printf '%s\n' '{"query":"What is the capital of France?","answer":"Paris"}' '{"query":"what is the capital of france","answer":"Paris"}' \
    '{"query":"Who came?","answer":"Ann","group":"story 1"}' '{"query":"Who left?","answer":"Bob","group":"story 1"}' '{"query":"Why?"}' >twins.jsonl
run 0 "$agon" init twins.jsonl
has out '4 ask nearly what another one asks, or share its "group": of each of the 2 sets of such all are held'
printf '{"query":"Why?","group":7}\n' >seven.jsonl
tells 4 "seven.jsonl:1: 'group'" "$agon" init seven.jsonl

# Who judges which rows, and what that means.
printf '%s\n' '{"query":"2 + 2?","answer":4}' '{"query":"Capital of France?","answer":"Paris"}' '{"query":"And of Spain?","answer":"Madrid","verifier":"exact"}' \
    '{"query":"Name a colour.","answer":"red","verifier":"contains"}' >judged.jsonl
run 0 "$agon" init judged.jsonl
has out "judged by: number 1, exact 2, contains 1"
says out '^tokens: .*trained [0-9]+.*; as much work as reading [0-9]+$'
has out "exact is taken for 1 whose answer is a text"
grep -q '^  backend: simulated ' judged.yaml || fail "nobody is needed where all rows have a verifier"
if grep -q 'only people can judge 0\|backend: queue' out; then fail "no people are needed"; fi
run 0 "$agon" init good.jsonl --output again.yaml
has out "only people can judge 2, so the file says human: {backend: queue}"

# ---- what nobody knows is no number: a sealed run's shares
sealed_run "$tiny" >sealed.yaml
run 0 "$agon" run sealed.yaml
says out 'time: less than a minute on [0-9]+ threads where nothing else runs'
for critic in reward gate; do # both are told of, and which is which
    says out "^  (arithmetic|writing) +$critic +[0-9]+ +([0-9.]+|-) +([0-9.]+|-)\$"
done
run 0 "$agon" run sealed.yaml # which is done already
count
if grep -q 'time: ' out; then fail "a run that had begun is foretold"; fi
run 0 "$agon" status --workspace sealed.agon
says out '(promoted|rejected) +estimated [-+.0-9]+ points \[[-+.0-9]+, [-+.0-9]+\], 4 labelled and 4 unlabelled$'

# Ctrl-C on the real loop, where the model is there: exit 8, halted, and nothing of it lost.
if [ ! -e "$real" ]; then
    echo "the part that needs the model's weights is skipped: they are not at the usual place"
    exit 0
fi
export AGON_MODEL="$real"
"$agon" run "$source/examples/smoke.yaml" --json >events 2>err &
runner=$!
until grep -q '"event":"message","iteration":1' events; do
    kill -0 $runner 2>/dev/null || fail "the run ended by itself: $(cat err)"
    sleep 0.1
done
kill -INT $runner
wait $runner
code=$?
[ $code = 8 ] || fail "a stopped run must exit 8, not $code"
has err "Run the same command again to go on"
has events '"event":"error","status":"EINTERRUPTED"'
run 0 "$agon" status --workspace smoke.agon --json
has out '"state":"halted"'
run 0 "$agon" verify --workspace smoke.agon --sample 0
done_testing
