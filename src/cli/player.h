/* Who plays a role from elsewhere, in words. */
#ifndef CLI_PLAYER_H
#define CLI_PLAYER_H

#include "cli/terminal.h"
#include <jansson.h>

/* " (remote http://localhost:8000/v1, judge)": `player` has "backend", and "url" and "name", "command" or "script". */
void print_player(const terminal *t, FILE *to, const json_t *player);

#endif
