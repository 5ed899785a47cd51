#!/bin/sh
# review: driven by keys, by one command, beside a runner; the answers are in the inbox.
. "$(dirname "$0")/common"
unset VISUAL EDITOR AGON_REVIEWER

# A runner holds the workspace all the time.
mkfifo pipe
"$AGON_HELPERS/make_workspace" a.agon reviews hold <pipe >held &
exec 3>pipe
until [ -s held ]; do sleep 0.1; done

run 0 "$agon" review --json
has out '"kind":"verdict"'
has out '"kind":"pair"'
has out '"kind":"demonstration"'
has out '"spans":[[0,12]]'
first=$(sed 's/^\[{"id":"\([0-9a-f]*\)".*/\1/' out)

# What would be written goes with accept.
asked=$(tr '{' '\n' <out | sed -n 's/^"id":"\([0-9a-f]*\)","kind":"demonstration".*/\1/p')
[ -n "$asked" ] || fail "no demonstration is asked for"
for verdict in reject skip; do
    run 4 "$agon" review --answer "$asked" $verdict --text 'the sum is 67'
done
has err "goes with accept, not with skip"

# The cited span is marked, control characters are visible, the critique stands beside it or below.
printf 'q' | run 0 env COLUMNS=60 "$agon" review
has out '[42 + 25 = 78], so the answer is 78.\x1b[2J'
[ "$(awk 'length > 60' out | wc -l)" = 0 ] || fail "lines are wider than the terminal"
printf 'q' | run 0 env COLUMNS=120 "$agon" review
says out '42 \+ 25 = 78\], so.*It says "42 \+ 25 = 78"'

# Under the critique: which of its claims hold; and of the run, how many.
has out 'holds: 42 + 25 = 67. (arithmetic)'
run 0 "$agon" review --json
has out '"claims":[{"claim":"It says \"42 + 25 = 78\"","holds":true,"checks":{"quote":true}},{"claim":"42 + 25 = 67."'
run 0 env COLUMNS=120 "$agon" status --run questions
has out '100.0 % [2.5, 100.0] of 2 claims that can be checked hold, 0 cannot be (1 critique)'

# A reader that waits ends when it is told to; a key that is waited for leaves the terminal as it was.
run 124 timeout -k 5 1 "$agon" log --follow
mkfifo keys
exec 4<>keys # no end of input
run 124 timeout -k 5 3 "$agon" chat --model "$tiny" --chat-template chatml <&4
if command -v script >/dev/null 2>&1; then
    cat >killed.sh <<'END'
stty -a >before
{ tries=0; until stty -a | grep -q ' -echo ' || [ $((tries += 1)) = 100 ]; do sleep 0.1; done; kill $(cat pid); sleep 0.5; kill $(cat pid); } 2>/dev/null </dev/tty &
sh -c 'echo $$ >pid; exec "$AGON" review'
stty -a >after
END
    AGON=$agon timeout -k 5 60 script -qc 'sh killed.sh' /dev/null <&4 >/dev/null || true
    cmp -s before after || fail "a killed review leaves the terminal in another mode: $(diff before after)"
fi
exec 4>&-

# b does nothing for a verdict; edit, then B of the pair, then a demonstration in words.
printf 'bebwthe sum is 67\n' | run 0 env EDITOR='sed -i s/78/67/g' "$agon" review --reviewer anna
has out "3 answered, 0 still open"
[ "$("$agon" review --json)" = "[]" ] || fail "answered items are still open"
run 0 "$agon" review --answer "$first" accept # once more: allowed until the run collects it
exec 3>&-
wait

run 0 "$AGON_HELPERS/make_workspace" a.agon inbox
has out '"verdict":"reject"'
has out '42 + 25 = 67, so the answer is 67.'
has out '"verdict":"B"'
has out '"text":"the sum is 67"'
has out '"reviewer":"anna"'
has out '"reviewer":"reviewer-'
[ "$(grep -c '"seconds":0.0,' out)" = 1 ] || fail "the time of answers given on the screen is recorded"

run 4 "$agon" review --answer "$first" B # of a verdict
run 3 "$agon" review --answer 00000000 accept
run 2 "$agon" review --answer "$first"
run 4 "$agon" review --answer "$first" accept --text ''
has err "the text of the answer is empty"
for name in "$(printf 'anna\033[2J')" "$(printf '%065d' 1)"; do
    run 4 "$agon" review --answer "$first" accept --reviewer "$name"
    has err "a reviewer's name has at most 64 bytes"
done
run 0 "$agon" review --answer "$first" reject --text mended --json
[ "$(cat out)" = "{\"review\":\"$first\",\"verdict\":\"reject\",\"text\":\"mended\"}" ] || fail "--answer --json says something else"

# Answers from a file: all lines are read before one is recorded, a bad one is named, what is recorded twice is one answer.
inbox() { "$AGON_HELPERS/make_workspace" a.agon inbox | grep -o '"verdict":' | wc -l; }
before=$(inbox)
printf '{"id":"%s","verdict":"accept","note":"from the tool","seconds":12.5,"worker":7}\n\n{"id":"%s","verdikt":"accept"}\n' "$first" "$first" >answers.jsonl
run 4 "$agon" review --workspace a.agon --import answers.jsonl
has err "input line 3"
[ "$(inbox)" = "$before" ] || fail "an answer was recorded though a later line is bad"
printf '{"id":"%s","verdict":"accept"}\n{"id":"00000000","verdict":"accept"}\n' "$first" | run 3 "$agon" review --workspace a.agon --import -
has err "input line 2"
has err "the 1 answers before it are recorded"
printf '{"id":"%s","verdict":"reject","text":"sixty-seven","reviewer":"berta"}\n{"id":"%s","verdict":"accept"}\n' "$first" "$first" >answers.jsonl
run 0 "$agon" review --workspace a.agon --import answers.jsonl --reviewer carla --json
[ "$(cat out)" = '{"recorded":2}' ] || fail "--import --json says something else"
[ "$(inbox)" = $((before + 3)) ] || fail "the inbox has $(inbox) answers, and had $before"
run 0 "$AGON_HELPERS/make_workspace" a.agon inbox
has out '"reviewer":"berta"'
has out '"reviewer":"carla"'
has out '"text":"sixty-seven"'
run 2 "$agon" review --workspace a.agon --import answers.jsonl --answer "$first" accept
run 3 "$agon" review --workspace a.agon --import nowhere.jsonl

# A held-out answer is judged, and nothing is written in its place.
run 0 "$AGON_HELPERS/make_workspace" b.agon held-out
item=$("$agon" review --workspace b.agon --json | sed 's/^\[{"id":"\([0-9a-f]*\)".*/\1/')
run 4 "$agon" review --workspace b.agon --answer "$item" reject --text mended
has err "a held-out answer is judged, not mended"
printf 'eq' | run 0 env EDITOR='touch edited; true' COLUMNS=60 "$agon" review --workspace b.agon
has out "[a]ccept  [r]eject  [s]kip"
[ ! -e edited ] || fail "an editor opens for a held-out answer"
run 0 "$agon" review --workspace b.agon --answer "$item" reject
done_testing
