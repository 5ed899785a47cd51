/* Commands that are declared but not in this build: they say so. A command's own file replaces its entry. */
#include "cli/cli.h"

static int not_here(int argc, char **argv) {
    (void)argc;
    fprintf(stderr, "agon %s: not in this build\n", argv[0]);
    return EXIT_OTHER;
}
#define PENDING(word) __attribute__((weak)) const command command_##word = {#word, "not in this build", #word, not_here}
PENDING(init);
PENDING(log);
PENDING(review);
PENDING(run);
PENDING(show);
PENDING(status);
PENDING(unseal);
PENDING(verify);
PENDING(why);
