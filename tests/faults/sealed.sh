#!/bin/sh
# The sealed recipe on a full or dying disk: it writes a second database, the ledger, before the journal.
. "$(dirname "$0")/common"
. "$source/tests/faults/workspace"
. "$source/tests/cli/sealed_run"

mkdir before
sealed_run "$tiny" >before/loop.yaml
# What differs from the open loop is above all how the second database comes into being.
all_cases() {
    cases open 20 EIO ENOSPC EMFILE
    cases write 8 ENOSPC:after SHORT:after EIO EDQUOT
    cases sync 5 EIO ENOSPC
    cases rename 2 EIO
    cases close 2 EIO
}
survives 0 0 w.agon "$agon" run loop.yaml --workspace w.agon --json
done_testing
