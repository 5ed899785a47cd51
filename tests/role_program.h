/* Roles and judges played by a program over pipes, in shell. */
#ifndef TESTS_ROLE_PROGRAM_H
#define TESTS_ROLE_PROGRAM_H

/* $id of the JSON line in $line. */
#define ID "id=$(printf '%s\\n' \"$line\" | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/');"
/* The answer to it: its id and these members, in the quotes of a shell's double-quoted word: SAY("\\\"verdict\\\":\\\"pass\\\""). */
#define SAY(members) "echo \"{\\\"id\\\":\\\"$id\\\"," members "}\";"
/* Does so with each line; ends with the input. */
#define EACH_LINE(body) "while read -r line; do " ID body "done\n"

#endif
