/* What `agon experiment` and `agon weak-to-strong` share. */
#ifndef CLI_EXPERIMENTS_H
#define CLI_EXPERIMENTS_H

#include "cli/cli.h"

/* Runs argv's file; `expected` NULL: any experiment. `show` prints the result for people. */
int run_experiment_command(const command *self, int argc, char **argv, const char *expected, void (*show)(const json_t *result));

#endif
