/* agon: the superalignment loop as a C library.
 *
 * This header is the contract: what it does not mention is private. It compiles alone as C17 and
 * inside extern "C".
 *
 * Conventions
 *   status     every fallible function returns agon_status: 0 is success, negatives say why. The
 *              sentence for a person is in agon_error(ctx). `out` parameters are written only on
 *              success.
 *   ownership  new: the caller frees. borrowed: valid until the sentence in the comment says. taken:
 *              the callee frees, even on failure (functions whose name ends in _take).
 *   strings    UTF-8, NUL-terminated unless a length is beside them.
 *   log_prob   natural logarithm (nats).
 *   threads    one agon_ctx per thread; models are shared read-only between contexts.
 */
#ifndef AGON_H
#define AGON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AGON_VERSION "0.1.0"

#if defined(__GNUC__)
#define AGON_MUST_CHECK __attribute__((warn_unused_result))
#define AGON_API __attribute__((visibility("default")))
#else
#define AGON_MUST_CHECK
#define AGON_API
#endif

typedef enum agon_status {
    AGON_OK = 0,
    AGON_EINVAL = -1,   /* the caller's input is wrong: option, row, file content */
    AGON_ENOTFOUND = -2, /* a file, model, record or name does not exist */
    AGON_EFORMAT = -3,  /* a file is damaged, truncated or of an unknown format */
    AGON_EIO = -4,      /* the operating system refused: disk full, permission, network */
    AGON_ENOMEM = -5,   /* memory exhausted, or a prediction says it would be */
    AGON_ENUMERIC = -6, /* a value that must be finite is not */
    AGON_EBUSY = -7,    /* somebody else holds it (a second runner on a workspace) */
    AGON_EMISMATCH = -8, /* recorded and recomputed state disagree (journal, hash, numerics) */
    AGON_EUNSUPPORTED = -9, /* understood, but this build or model cannot do it */
    AGON_EREFUSED = -10, /* a rule forbids it (a sealed answer asked for training or a gate) */
    AGON_EINTERRUPTED = -11, /* stopped on request; run again to go on */
    AGON_EBUDGET = -12, /* a declared budget is used up */
    AGON_EREMOTE = -13, /* a remote or command backend failed after its retries */
} agon_status;

/* Short name of a status, e.g. "EINVAL". Static storage. */
AGON_API const char *agon_status_name(agon_status status);

/* The arithmetic contract, see docs/numerics.md. */
typedef enum agon_numerics {
    AGON_NUMERICS_PORTABLE = 0, /* equal bits on every CPU */
    AGON_NUMERICS_NATIVE = 1,   /* the CPU's fastest; still batch- and thread-invariant */
} agon_numerics;

typedef struct agon_ctx agon_ctx;

typedef struct agon_ctx_options {
    size_t struct_size;     /* sizeof(agon_ctx_options) */
    int n_threads;          /* 0: one per core the process may use */
    agon_numerics numerics; /* default portable */
    const char *cpu;        /* NULL: AGON_CPU from the environment, else the best present;
                               "portable", "avx2", "avx512" */
} agon_ctx_options;

AGON_API agon_ctx_options agon_ctx_options_default(void);

/* Makes a context: error message, worker threads, CPU path. *out is new; free with agon_ctx_free.
 * AGON_EINVAL: unknown or absent cpu path. AGON_ENOMEM. `options` may be NULL. On failure there is
 * no context to ask, so the reason is written to `reason` [reason_size] when it is not NULL. */
AGON_API AGON_MUST_CHECK agon_status agon_ctx_new(const agon_ctx_options *options, agon_ctx **out,
                                                  char *reason, size_t reason_size);
AGON_API void agon_ctx_free(agon_ctx *ctx);

/* The last failure's sentence, or "" after none. Borrowed until the next call with this ctx. */
AGON_API const char *agon_error(const agon_ctx *ctx);

/* Asks work under way with this context to stop at the next safe point with AGON_EINTERRUPTED.
 * Safe to call from a signal handler. */
AGON_API void agon_interrupt(agon_ctx *ctx);

#ifdef __cplusplus
}
#endif
#endif
