/* The subcommands of agon data that change labels: fuse, noise, clean. */
#ifndef CLI_ROW_LABELS_H
#define CLI_ROW_LABELS_H

#include "cli/cli.h"

typedef struct label_arguments {
    const char *file, *to, *objective, *model, *chat_template;
    const char *gold, **together, *level, *drop, *truth;
    int64_t least_votes, seed, folds, lora, epochs, batch, max_length;
    double rate, lr; /* NAN: not given */
    bool hard, soft, json;
} label_arguments;
label_arguments label_arguments_default(void);

/* Each returns an exit code. */
int data_fuse(const label_arguments *a);
int data_noise(const label_arguments *a);
int data_clean(const label_arguments *a);

#endif
