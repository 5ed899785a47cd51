# Completion of agon for bash (zsh: bashcompinit first): what `agon --help` and `agon help COMMAND` name, else files.
_agon() {
    local agon=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} words=
    if [ "$COMP_CWORD" = 1 ] || { [ "$COMP_CWORD" = 2 ] && [ "${COMP_WORDS[1]}" = help ]; }; then
        words=$("$agon" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  *[a-z].*/\1/p')
    elif [[ $word == -* ]]; then
        words=$("$agon" help "${COMP_WORDS[1]}" 2>/dev/null | grep -o -e '--[a-z0-9][a-z0-9-]*')
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o default -F _agon agon
