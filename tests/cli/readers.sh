#!/bin/sh
# status, log, show, why and verify on a finished run: forms, exit codes, also while a runner holds the workspace.
. "$(dirname "$0")/common"

run 3 "$agon" status
has err "no *.agon folder here"
run 0 "$AGON_HELPERS/make_workspace" one.agon

run 0 "$agon" status --json
has out '"run":"main","state":"done","iteration":1,"stage":"'
has out '"versions":[{"id":"'
has out '"held_out":{"after":0.5,"before":0.25,"ci95":[0.1'
has out '"labels":{"verifier":5,"critic":2,"human":0,"simulated":0}'
has out '"tokens":{"learner.out":28}'
version=$(sed 's/.*"versions":\[{"id":"\([0-9a-f]*\)".*/\1/' out)
run 0 "$agon" status
has out "25.0 % ->  50.0 %"

run 0 "$agon" log --n 1 --json
has out '"message":"done"'
[ "$("$agon" log --json | wc -l)" -gt 1 ] || fail "log --json gives a line an event"
run 0 "$agon" log --follow # a finished run: it ends

run 0 "$agon" show "$version"
has out "model_version $version"
run 0 "$agon" why "$version"
has out "trained on: example"
has out "labelled by: label"
has out "response of: query"
run 0 "$agon" why "$version" --json
has out '"because":"labelled by"'
run 3 "$agon" show zzzzzz
run 4 "$agon" why ab

run 0 "$agon" verify --sample 0
has out "all is as recorded"

# Readers work beside a runner.
mkfifo pipe
"$AGON_HELPERS/make_workspace" one.agon hold <pipe >held &
exec 3>pipe
until [ -s held ]; do sleep 0.1; done
run 0 "$agon" status --json
has out '"run":"main"'
run 0 "$agon" verify --sample 0 --json
has out '"ok":true'
exec 3>&-
wait

# A workspace of a newer agon is not a damaged one; what is no folder is said to be none, by those who read and those who run.
cp -r one.agon newer.agon
printf '\000\000\003\347' | dd of=newer.agon/agon.db bs=1 seek=60 conv=notrunc 2>/dev/null
for command in status verify; do
    run 4 "$agon" $command --workspace newer.agon
    has err "schema version 999 is newer than this agon's"
    [ ! -s out ] || fail "$command reports of a newer agon's workspace"
done
rm -r newer.agon
echo text >file.agon
ln -s nowhere link.agon
printf 'name: x\n' >x.yaml
for name in file link; do
    for command in status "run x.yaml"; do
        run 4 "$agon" $command --workspace $name.agon
        has err "a workspace is a folder"
    done
done
rm file.agon link.agon x.yaml

# Damage is found, in the database and in an object.
object=$(find one.agon/objects -type f | head -n 1)
cp "$object" kept
chmod u+w "$object"
printf 'X' | dd of="$object" bs=1 seek=3 conv=notrunc 2>/dev/null
run 7 "$agon" verify --sample 0
cp kept "$object"
run 0 "$agon" verify --sample 0
at=$(grep -abo 'says [0-9]' one.agon/agon.db | head -n 1 | cut -d: -f1)
printf 'X' | dd of=one.agon/agon.db bs=1 seek=$((at + 1)) conv=notrunc 2>/dev/null
run 7 "$agon" verify --sample 0
has out "DAMAGED"

# Two workspaces: one must be named.
mkdir two.agon
run 4 "$agon" status
has err "there are 2 workspaces here"

# A reader who may not write there reads all the same; a reviewer is told what is missing.
if [ "$(id -u)" != 0 ]; then
    as_reader() { "$@"; }
elif command -v setpriv >/dev/null && setpriv --reuid=65534 --regid=65534 --clear-groups "$agon" --version >/dev/null 2>&1; then
    as_reader() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
else
    echo "the part that needs another user to read as is skipped"
    done_testing
    exit 0
fi
chmod 755 "$work"
mkdir 'odd ?#%41'
run 0 "$AGON_HELPERS/make_workspace" 'odd ?#%41/two.agon'
chmod -R a+rX,a-w odd*
for c in status log 'verify --sample 0'; do
    # shellcheck disable=SC2086
    run 0 as_reader "$agon" $c --workspace 'odd ?#%41/two.agon'
    [ -s out ] || fail "$c says nothing"
done
run 0 as_reader "$agon" why "$version" --workspace "$PWD/odd ?#%41/two.agon"
run 5 as_reader "$agon" review --workspace 'odd ?#%41/two.agon' --answer 0000 accept
has err "may not be written to by this user"
chmod -R u+w odd*
done_testing
