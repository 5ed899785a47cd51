#!/bin/sh
# A reviewer's answer is in the inbox or not; who is told that it is not can give it again, and the others stay open.
. "$(dirname "$0")/common"

mkdir before
"${AGON_HELPERS:-$source/build}/make_workspace" before/a.agon reviews >/dev/null || fail "no workspace"
item=$("$agon" review --workspace before/a.agon --json | sed 's/^\[{"id":"\([0-9a-f]*\)".*/\1/')

# The last answer of one reviewer counts: one that was said to have failed may stand there twice.
results() {
    "$agon" review --workspace a.agon --json
}
survives 8 8 a.agon "$agon" review --workspace a.agon --reviewer anna --answer "$item" accept --json
done_testing
