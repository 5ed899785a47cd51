#!/bin/sh
# review: driven by keys, by one command, beside a runner; the answers are in the inbox.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() { echo "FAILED: $*"; exit 1; }
has() { case "$1" in *"$2"*) ;; *) fail "no '$2' in: $1" ;; esac; }
unset VISUAL EDITOR AGON_REVIEWER || true

# A runner holds the workspace all the time.
mkfifo pipe
"$AGON_HELPERS/make_workspace" a.agon reviews hold <pipe >held &
exec 3>pipe
until [ -s held ]; do sleep 0.1; done

list=$("$AGON" review --json)
has "$list" '"kind":"verdict"'
has "$list" '"kind":"pair"'
has "$list" '"kind":"demonstration"'
has "$list" '"spans":[[0,12]]'
first=$(echo "$list" | sed 's/^\[{"id":"\([0-9a-f]*\)".*/\1/')

# What would be written goes with accept.
asked=$(echo "$list" | tr '{' '\n' | sed -n 's/^"id":"\([0-9a-f]*\)","kind":"demonstration".*/\1/p')
[ -n "$asked" ] || fail "no demonstration in $list"
for verdict in reject skip; do
    set +e
    "$AGON" review --answer "$asked" $verdict --text 'the sum is 67' 2>err
    [ $? = 4 ] || fail "a text beside $verdict"
    set -e
done
has "$(cat err)" "goes with accept, not with skip"

# The cited span is marked, control characters are visible, the critique stands beside it or below.
screen=$(printf 'q' | COLUMNS=60 "$AGON" review)
has "$screen" '[42 + 25 = 78], so the answer is 78.\x1b[2J'
wide=$(printf 'q' | COLUMNS=120 "$AGON" review | grep '42 + 25 = 78\], so')
has "$wide" 'It says "42 + 25 = 78"'
long=$(printf 'q' | COLUMNS=60 "$AGON" review | awk 'length > 60' | wc -l)
[ "$long" = 0 ] || fail "$long lines are wider than the terminal"

# A reader that waits ends when it is told to; a key that is waited for leaves the terminal as it was.
code=0
timeout -k 5 1 "$AGON" log --follow >followed || code=$?
[ $code = 124 ] || fail "log --follow: exit code $code, not 124, after SIGTERM"
mkfifo keys
exec 4<>keys # no end of input
code=0
timeout -k 5 3 "$AGON" chat --model "$AGON_SOURCE/tests/golden/tiny-text.gguf" --chat-template chatml <&4 >said || code=$?
[ $code = 124 ] || fail "chat: exit code $code, not 124, after SIGTERM"
if command -v script >/dev/null 2>&1; then
    cat >killed.sh <<'END'
stty -a >before
{ tries=0; until stty -a | grep -q ' -echo ' || [ $((tries += 1)) = 100 ]; do sleep 0.1; done; kill $(cat pid); sleep 0.5; kill $(cat pid); } 2>/dev/null </dev/tty &
sh -c 'echo $$ >pid; exec "$AGON" review'
stty -a >after
END
    AGON=$AGON timeout -k 5 60 script -qc 'sh killed.sh' /dev/null <&4 >/dev/null || true
    cmp -s before after || fail "a killed review leaves the terminal in another mode: $(diff before after)"
fi
exec 4>&-

# b does nothing for a verdict; edit, then B of the pair, then a demonstration in words.
out=$(printf 'bebwthe sum is 67\n' | EDITOR='sed -i s/78/67/g' "$AGON" review --reviewer anna)
has "$out" "3 answered, 0 still open"
[ "$("$AGON" review --json)" = "[]" ] || fail "answered items are still open"
"$AGON" review --answer "$first" accept >/dev/null # once more: allowed until the run collects it
exec 3>&-
wait

inbox=$("$AGON_HELPERS/make_workspace" a.agon inbox)
has "$inbox" '"verdict":"reject"'
has "$inbox" '42 + 25 = 67, so the answer is 67.'
has "$inbox" '"verdict":"B"'
has "$inbox" '"text":"the sum is 67"'
has "$inbox" '"reviewer":"anna"'
has "$inbox" '"reviewer":"reviewer-'
[ "$(echo "$inbox" | grep -c '"seconds":0.0,')" = 1 ] || fail "the time of answers given on the screen is recorded: $inbox"

set +e
"$AGON" review --answer "$first" B 2>err
[ $? = 4 ] || fail "B does not answer a verdict"
"$AGON" review --answer 00000000 accept 2>err
[ $? = 3 ] || fail "an unknown item"
"$AGON" review --answer "$first" 2>err
[ $? = 2 ] || fail "an answer needs a verdict"
"$AGON" review --answer "$first" accept --text '' >out 2>err
[ $? = 4 ] || fail "an empty text is no answer"
has "$(cat err)" "the text of the answer is empty"
for name in "$(printf 'anna\033[2J')" "$(printf '%065d' 1)"; do
    "$AGON" review --answer "$first" accept --reviewer "$name" >out 2>err
    [ $? = 4 ] || fail "a name with control characters, or a long one, is recorded"
    has "$(cat err)" "a reviewer's name has at most 64 bytes"
done
out=$("$AGON" review --answer "$first" reject --text mended --json) || fail "an answer with --json"
[ "$out" = "{\"review\":\"$first\",\"verdict\":\"reject\",\"text\":\"mended\"}" ] || fail "--answer --json says: $out"

# A held-out answer is judged, and nothing is written in its place.
"$AGON_HELPERS/make_workspace" b.agon held-out >/dev/null
item=$("$AGON" review --workspace b.agon --json | sed 's/^\[{"id":"\([0-9a-f]*\)".*/\1/')
"$AGON" review --workspace b.agon --answer "$item" reject --text mended 2>err
[ $? = 4 ] || fail "a text for a held-out answer"
has "$(cat err)" "a held-out answer is judged, not mended"
screen=$(printf 'eq' | EDITOR='touch edited; true' COLUMNS=60 "$AGON" review --workspace b.agon)
has "$screen" "[a]ccept  [r]eject  [s]kip"
[ ! -e edited ] || fail "an editor opens for a held-out answer"
"$AGON" review --workspace b.agon --answer "$item" reject >/dev/null || fail "a verdict on a held-out answer"
