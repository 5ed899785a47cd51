/* What a suite's file gives to suite.c. */
#ifndef EVAL_SUITE_PRIVATE_H
#define EVAL_SUITE_PRIVATE_H

#include "base/buffer.h"
#include "base/json.h"
#include "eval/suite.h"

typedef struct suite_entry {
    char *id, *group, *query; /* new */
    size_t max_tokens;
    json_t *gold; /* new reference; whatever the judge needs */
} suite_entry;

typedef struct suite_def {
    const char *name, *summary;
    const char *file;
    bool external;        /* under AGON_DATA; else it comes with agon */
    bool csv;             /* a table with commas; else JSON lines */
    size_t default_limit; /* 0: all */
    /* One row of the file into *out (zeroed; left so, the row is of another suite); `number` counts rows of its file from 0. */
    agon_status (*read)(agon_ctx *ctx, const char *where, const json_t *row, size_t number, suite_entry *out);
    agon_status (*judge)(agon_ctx *ctx, const suite_entry *e, const char *response, bool *right, char **evidence);
} suite_def;

extern const suite_def suite_general, suite_gsm8k, suite_ifeval, suite_xstest_safe, suite_xstest_unsafe;

/* Fills the three strings; AGON_ENOMEM. */
AGON_MUST_CHECK agon_status suite_entry_set(agon_ctx *ctx, suite_entry *out, const char *group, const char *query,
                                            const char *id_format, ...) __attribute__((format(printf, 5, 6)));
/* " word word ": the first `most` words of text [n] behind what `out` holds: lower case, everything that is no letter, digit or byte of another
 * script one space. False on memory. */
bool suite_words(const char *text, size_t n, size_t most, buffer *out);
/* *evidence = printf(format, ...), new. */
AGON_MUST_CHECK agon_status suite_say(agon_ctx *ctx, char **evidence, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
