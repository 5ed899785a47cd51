/* The table of control arms, as agon run, status and unseal print it. */
#ifndef CLI_ARMS_TABLE_H
#define CLI_ARMS_TABLE_H

#include "cli/cli.h"
#include "cli/terminal.h"

/* Rows {"arm", "before", "after", "gain", "ci95", "difference"?: of the first row less this one, ...}. */
void print_arms(const terminal *t, FILE *to, const json_t *rows);
/* [{"arm", "why"}] */
void print_arms_left_out(const terminal *t, FILE *to, const json_t *left_out);

#endif
