#!/bin/sh
# status, log, show, why and verify on a finished run: forms, exit codes, also while a runner holds the workspace.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() { echo "FAILED: $*"; exit 1; }
has() { case "$1" in *"$2"*) ;; *) fail "no '$2' in: $1" ;; esac; }
code_of() { set +e; "$@" >out 2>err; code=$?; set -e; }

code_of "$AGON" status
[ $code = 3 ] || fail "no workspace here must exit 3, not $code"
has "$(cat err)" "no *.agon folder here"
"$AGON_HELPERS/make_workspace" one.agon >/dev/null

out=$("$AGON" status --json)
has "$out" '"run":"main","state":"done","iteration":1,"stage":"'
has "$out" '"versions":[{"id":"'
has "$out" '"held_out":{"after":0.5,"before":0.25,"ci95":[0.1'
has "$out" '"labels":{"verifier":5,"critic":2,"human":0,"simulated":0}'
has "$out" '"tokens":{"learner.out":28}'
version=$(echo "$out" | sed 's/.*"versions":\[{"id":"\([0-9a-f]*\)".*/\1/')
has "$("$AGON" status)" "25.0 % ->  50.0 %"

has "$("$AGON" log --n 1 --json)" '"message":"done"'
[ "$("$AGON" log --json | wc -l)" -gt 1 ] || fail "log --json gives a line an event"
"$AGON" log --follow >/dev/null # a finished run: it ends

has "$("$AGON" show "$version")" "model_version $version"
story=$("$AGON" why "$version")
has "$story" "trained on: example"
has "$story" "labelled by: label"
has "$story" "response of: query"
has "$("$AGON" why "$version" --json)" '"because":"labelled by"'
code_of "$AGON" show zzzzzz
[ $code = 3 ] || fail "an unknown id must exit 3, not $code"
code_of "$AGON" why ab
[ $code = 4 ] || fail "too short an id must exit 4, not $code"

has "$("$AGON" verify --sample 0)" "all is as recorded"

# Readers work beside a runner.
mkfifo pipe
"$AGON_HELPERS/make_workspace" one.agon hold <pipe >held &
exec 3>pipe
until [ -s held ]; do sleep 0.1; done
has "$("$AGON" status --json)" '"run":"main"'
has "$("$AGON" verify --sample 0 --json)" '"ok":true'
exec 3>&-
wait

# A workspace of a newer agon is not a damaged one; what is no folder is said to be none, by those who read and those who run.
cp -r one.agon newer.agon
printf '\000\000\003\347' | dd of=newer.agon/agon.db bs=1 seek=60 conv=notrunc 2>/dev/null
for command in status verify; do
    code_of "$AGON" $command --workspace newer.agon
    [ $code = 4 ] || fail "$command of a newer agon's workspace must exit 4, not $code"
    has "$(cat err)" "schema version 999 is newer than this agon's"
    [ ! -s out ] || fail "$command of a newer agon's workspace reports: $(cat out)"
done
rm -r newer.agon
echo text >file.agon
ln -s nowhere link.agon
printf 'name: x\n' >x.yaml
for name in file link; do
    for command in status "run x.yaml"; do
        code_of "$AGON" $command --workspace $name.agon
        [ $code = 4 ] || fail "$command on $name.agon must exit 4, not $code"
        has "$(cat err)" "a workspace is a folder"
    done
done
rm file.agon link.agon x.yaml

# Damage is found, in the database and in an object.
object=$(find one.agon/objects -type f | head -n 1)
cp "$object" kept
chmod u+w "$object"
printf 'X' | dd of="$object" bs=1 seek=3 conv=notrunc 2>/dev/null
code_of "$AGON" verify --sample 0
[ $code = 7 ] || fail "a changed object must exit 7, not $code"
cp kept "$object"
"$AGON" verify --sample 0 >/dev/null || fail "restored, it must verify"
at=$(grep -abo 'says [0-9]' one.agon/agon.db | head -n 1 | cut -d: -f1)
printf 'X' | dd of=one.agon/agon.db bs=1 seek=$((at + 1)) conv=notrunc 2>/dev/null
code_of "$AGON" verify --sample 0
[ $code = 7 ] || fail "a changed database must exit 7, not $code"
has "$(cat out)" "DAMAGED"

# Two workspaces: one must be named.
mkdir two.agon
code_of "$AGON" status
[ $code = 4 ] || fail "two workspaces must exit 4, not $code"
has "$(cat err)" "there are 2 workspaces here"

# A reader who may not write there reads all the same; a reviewer is told what is missing.
if [ "$(id -u)" != 0 ]; then
    as_reader() { "$@"; }
elif command -v setpriv >/dev/null && setpriv --reuid=65534 --regid=65534 --clear-groups "$AGON" --version >/dev/null 2>&1; then
    as_reader() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
else
    echo "skipped: no other user to read as"
    exit 0
fi
chmod 755 "$work"
mkdir 'odd ?#%41'
"$AGON_HELPERS/make_workspace" 'odd ?#%41/two.agon' >/dev/null
chmod -R a+rX,a-w odd*
for c in status log 'verify --sample 0'; do
    # shellcheck disable=SC2086
    as_reader "$AGON" $c --workspace 'odd ?#%41/two.agon' >out 2>err || fail "$c without permission to write: $(cat err)"
    [ -s out ] || fail "$c says nothing"
done
as_reader "$AGON" why "$version" --workspace "$PWD/odd ?#%41/two.agon" >out 2>err || fail "why without permission to write: $(cat err)"
code_of as_reader "$AGON" review --workspace 'odd ?#%41/two.agon' --answer 0000 accept
[ $code = 5 ] || fail "a reviewer who may not write must exit 5, not $code"
has "$(cat err)" "may not be written to by this user"
chmod -R u+w odd*
