#!/bin/sh
# Control arms of a tiny run: its log is followed to their end, and the table that is printed says what their figures say.
. "$(dirname "$0")/common"

# Forty queries whose answer is one word, which the expert writes: a tiny model learns it, but not from wrong answers.
n=0
while [ $n -lt 40 ]; do
    echo "{\"query\": \"Which word is number $((7 * n + 3))?\", \"answer\": \"the\"}"
    n=$((n + 1))
done >own.jsonl
cat >own.yaml <<Y
model: "$tiny"
seed: 3
tasks: {file: own.jsonl}
learner: {samples: 2, max_tokens: 6}
critic: {examples: 0}
refine: {queries: 0, learnability: 0}
human: {labels: 80, audits: 2, demonstrations: 30}
build: {documents: 1, real_share: 0.2}
train: {rank: 4, epochs: 8, batch: 4, lr: 0.02}
gate: {perplexity_margin: 1, monitor_prompts: 2}
evaluate: {general: 0, documents: 2, gsm8k: 0, arms: true}
Y

# ---- the log goes on over the end of the loop to the end of its arms
COLUMNS=400 "$agon" run own.yaml --quiet >run.out 2>run.err &
runner=$!
until "$agon" status --workspace own.agon >/dev/null 2>&1; do
    kill -0 $runner 2>/dev/null || fail "the run has ended: $(cat run.err)"
    sleep 0.1
done
run 0 "$agon" log --workspace own.agon --n 0 --follow
wait $runner || fail "the run failed: $(cat run.err)"
says out '  all iterations ran$'
for arm in random_labels real_only shuffled; do
    says out "  arm $arm: [0-9]+ examples, [0-9]+ loss tokens$"
    says out "  arm $arm: [0-9.]+% of 9 held-out tasks; the loop's version [-+][0-9.]+ points \[[-+][0-9.]+, [-+][0-9.]+\]$"
done
tail -1 out | grep -q '  control arms trained$' || fail "the log was not followed to the arms' end"

# ---- the figures, and the table of them that both commands print
run 0 "$agon" status --workspace own.agon --json
says out '"arms":\{"run":"run\.1\.arms","state":"done","iteration":1,"stage":"control arms trained","rows":\[\{'
sed 's/.*"rows":\[//; s/{"after"/\n&/g' out | grep '"arm"' >rows
grep -o '"arm":"[a-z_]*"' rows | tr '\n' ' ' >names
grep -qx '"arm":"loop" "arm":"random_labels" "arm":"real_only" "arm":"shuffled" ' names || fail "the arms are $(cat names)"
says rows '^\{"after":1.0,"arm":"loop","before":0.0,.*"labels_right":1.0,'
says rows '^\{"after":0.0,"arm":"random_labels","before":0.0,.*"difference":\{"ci95":\[[0-9.]+,[0-9.]+\],"gain":1.0,"p":[0-9.]+\},.*"labels_right":0.0,'
sed 's/"difference":{"ci95":\[\([^],]*\),\([^],]*\)\],"gain":\([^,]*\),"p":\([^}]*\)}/"d":\3,"dl":\1,"dh":\2,"p":\4/; s/"ci95":\[\([^],]*\),\([^],]*\)\]/"l":\1,"h":\2/; s/[{}"]//g' rows >flat
awk -F, '
    function percent(x) { return sprintf("%.1f %%", 100 * x) }
    { for (k in v) delete v[k]; for (i = 1; i <= NF; i++) { n = index($i, ":"); v[substr($i, 1, n - 1)] = substr($i, n + 1) } 
      gains = gains sprintf("  %-18s%8s %8s  %+6.1f [%+.1f, %+.1f]\n", v["arm"], percent(v["before"]), percent(v["after"]), 100 * v["gain"], 100 * v["l"], 100 * v["h"])
      over = "d" in v ? sprintf("%+6.1f [%+5.1f, %+5.1f] %9.2g", 100 * v["d"], 100 * v["dl"], 100 * v["dh"], v["p"]) : sprintf("%32s", "")
      rest = rest sprintf("  %-18s%s %9d %12s\n", v["arm"], over, v["loss_tokens"], percent(v["labels_right"])) }
    END { printf "arms at equal tokens\n  %-18s  before    after    gain\n%s  %-18s %-22s %9s %9s %12s\n%s", "arm", gains, "", "loop less arm, points", "p", "tokens", "right labels", rest }' flat >wanted
run 0 "$agon" status --workspace own.agon
says out '^control arms: done$'
says out '^  gain on the items that decided: it overstates, most where p is near alpha$'
sed -n '/^arms at equal tokens$/,$p' out >printed
same wanted printed
sed -n "/^arms at equal tokens$/,\$p" run.out | head -"$(wc -l <wanted)" >of_run
same wanted of_run

# ---- the end of a run tells in words what its figures say
run 0 "$agon" run own.yaml --json
grep '"event":"summary"' out >summary
says run.out '^run: done, [0-9]+ (s|min [0-9]+ s) in this call; version [0-9a-f]{12} promoted$'
examples=$(grep -o '"examples":{[^}]*}' summary)
for kind in n real new replayed; do
    eval "$kind=$(echo "$examples" | grep -o "\"$kind\":[0-9]*" | cut -d: -f2)"
done
[ "$n" = $((real + new + replayed)) ] && [ "$real" -gt 0 ] || fail "the examples are $examples"
version="Version [0-9a-f]{12} was trained on $n examples \($real that no version of it wrote, $new of its own, $replayed of earlier iterations\)"
says run.out "^$version and is right on 100.0 % of 9 held-out tasks, the base on 0.0 %: \+100.0 points \[[-+.0-9]+, \+100.0\]\. The gate promoted it: gain shown, nothing lost, books in order\.$"
says run.out '^  gain on the items that decided: it overstates, most where p is near alpha$'
says run.out '^gate: promoted$'
says run.out '^  G1 gain +holds: \+100.0 points \[.*\] on 9 tasks; chance alone does that with p = 0.002, and less than 0.03 is asked at attempt 1$'
says run.out '^  G2 losses +holds: 1 of 1 suites not inferior, above$'
says run.out '^  G3 safety +not evaluated$'
says run.out '^  G4 collapse +holds: green: sampled answers to [0-9]+ open questions are as various as before$'
says run.out '^  G5 approval +not evaluated: the run has no model critic$'
says run.out '^  G7 books +holds: journal intact, contamination none, budget kept$'
says run.out '^  labels +32 of 80 used$'
says run.out '^  audits +1 of 2 verifier labels agreed: at least 1.3 % are right$'
says run.out '^  written +30 answers; the examples have 30 of them, 5.9 % of the tokens$'
says run.out "^    $agon why [0-9a-f]{12} --workspace .*own.agon$"
done_testing
