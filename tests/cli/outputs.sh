#!/bin/sh
# What a command writes never replaces what somebody may need, and output that could not be written is a failure.
. "$(dirname "$0")/common"

# ---- files of agon data: the input itself, a link, a dangling one, a pipe and a device stay what they are
printf '{"prompt":"a","completion":"b"}\n{"prompt":"c","completion":"d"}\n' >rows.jsonl
printf '{"context":"x","chosen_rewards":[1,0],"rejected_rewards":[0,1]}\n{"context":"x","chosen_rewards":[2,0],"rejected_rewards":[0,3]}\n' >pairs.jsonl
cp rows.jsonl kept.rows
cp pairs.jsonl kept.pairs
ln -s rows.jsonl link
ln -s nowhere dangling
mkfifo pipe
for to in rows.jsonl link dangling pipe /dev/full; do
    run 4 "$agon" data convert rows.jsonl --to $to
    says err 'is there already; move it away|is no regular file; name one'
    one_sentence
    run 4 "$agon" data contexts pairs.jsonl --to $to
    says err 'is there already; move it away|is no regular file; name one'
done
run 4 "$agon" data contexts pairs.jsonl --to pairs.jsonl
says err 'pairs.jsonl is there already'
same rows.jsonl kept.rows
same pairs.jsonl kept.pairs
count
[ -L link ] && [ -L dangling ] && [ ! -e nowhere ] && [ -p pipe ] && [ -c /dev/full ] || fail "something was replaced"
run 0 "$agon" data convert rows.jsonl --to new.jsonl
run 0 "$agon" data contexts pairs.jsonl --to new.json

# ---- what is printed: a full disk and a closed stdout are failures, a reader who leaves is none
unwritten() {
    count
    "$@" >/dev/full 2>err
    got=$?
    [ "$got" = 5 ] || fail "exit code $got, not 5, with a full disk: $*"
    says err 'the output could not be written whole'
    one_sentence
}
i=0
while [ $i -lt 400 ]; do
    printf '{"prompt":"row %s","completion":" and the rest"}\n' $i
    i=$((i + 1))
done >many.jsonl
unwritten "$agon" --help
unwritten "$agon" --version
unwritten "$agon" data stats rows.jsonl --objective sft --model "$tiny"
unwritten "$agon" score --model "$tiny" --json <many.jsonl
unwritten "$agon" generate --model "$tiny" --json --max-tokens 4 <many.jsonl
count
"$agon" --version >&- 2>err
[ $? = 5 ] || fail "a closed stdout is no failure"
count
{ "$agon" score --model "$tiny" --json <many.jsonl 2>err; echo $? >code; } | head -n 1 >first
[ "$(cat code)" = 0 ] && [ ! -s err ] || fail "a reader who left is said to be a failure"

done_testing
