#!/bin/sh
# The manual page and the completion know every command and option, as the command itself says them.
. "$(dirname "$0")/common"

manual=$AGON_HELPERS/agon.1
commands=$("$agon" --help | sed -n '/^usage/,/^agon COMMAND/s/^  \([a-z-]*\) .*/\1/p')
[ "$(echo "$commands" | wc -l)" -ge 24 ] || fail "the commands are $commands"
for command in $commands; do
    count
    grep -qx "\.SH agon $(echo "$command" | sed 's/-/\\\\-/g')" "$manual" || fail "the manual has no section of $command"
done
says "$manual" '^  \\-\\-workspace DIR '
if command -v groff >/dev/null; then
    run 0 groff -man -Tutf8 -ww "$manual"
    [ ! -s err ] || fail "troff complains"
    says out 'exit codes: 0 fine'
    says out '\{"query": "\.\.\.", "answer": "\.\.\."\}'
fi

# completes WORDS...: what the last one becomes.
completes() {
    bash -c '. "$0/scripts/completion.bash"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _agon; printf "%s\n" "${COMPREPLY[@]}"' "$source" "$agon" "$@" >out
}
if command -v bash >/dev/null; then
    completes ''
    for command in $commands; do
        count
        grep -qx -e "$command" out || fail "not completed: $command"
    done
    completes help ver
    [ "$(cat out)" = verify ] || fail "help ver becomes $(cat out)"
    completes train dpo --co-t
    [ "$(cat out)" = --co-teach ] || fail "--co-t becomes $(cat out)"
    completes run ''
    [ -z "$(cat out)" ] || fail "where a file is wanted it says $(cat out)"
fi
done_testing
