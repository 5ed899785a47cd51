/* JSON (jansson) with agon's errors: what is wrong, in which file and line. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/hash.h"
#include "agon.h"
#include <jansson.h>

/* Parses one JSON text (duplicate keys, NULs and trailing bytes refused; at most 64 MiB). `where` names it in the
 * error. *out new: json_decref. AGON_EFORMAT. */
AGON_MUST_CHECK agon_status json_parse(agon_ctx *ctx, const char *where, const char *text, size_t n,
                                       json_t **out);
AGON_MUST_CHECK agon_status json_read_file(agon_ctx *ctx, const char *path, json_t **out);

/* Canonical form: sorted keys, no spaces, UTF-8, reals with 17 digits. New string, NULL on memory. */
char *json_canonical(const json_t *value);

/* `value` (taken; may be NULL) as compact text in *out, new. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status json_give_take(agon_ctx *ctx, json_t *value, char **out);

bool json_absent(const json_t *value); /* a member that is not there, or null */
json_t *real_or_null(double x);        /* NAN and infinities become null */
json_t *json_text(const char *text);   /* null for NULL */
json_t *json_hash(const hash256 *h);   /* in hexadecimal digits */

/* Members of `object` by type. Missing: *out is left as it is and AGON_OK, unless `required`. Wrong type: AGON_EINVAL
 * naming `where` and the key. Strings are borrowed from the object. */
AGON_MUST_CHECK agon_status json_get_text(agon_ctx *ctx, const char *where, const json_t *object,
                                          const char *key, bool required, const char **out);
AGON_MUST_CHECK agon_status json_get_int(agon_ctx *ctx, const char *where, const json_t *object,
                                         const char *key, bool required, int64_t *out);
AGON_MUST_CHECK agon_status json_get_real(agon_ctx *ctx, const char *where, const json_t *object,
                                          const char *key, bool required, double *out);
AGON_MUST_CHECK agon_status json_get_bool(agon_ctx *ctx, const char *where, const json_t *object,
                                          const char *key, bool required, bool *out);

/* Calls `row` for every non-empty line of a JSONL file (each a JSON object), with "file:line" as
 * `where`; stops at its first non-zero status. Files may be gzip-free UTF-8 up to 4 GiB, lines up to 64 MiB. */
typedef agon_status (*json_row)(void *arg, const char *where, json_t *object);
AGON_MUST_CHECK agon_status jsonl_read(agon_ctx *ctx, const char *path, json_row row, void *arg);
/* The same; a line that is no JSON object goes to `bad` with the status and the recorded sentence, and reading goes on
 * when it returns AGON_OK. */
typedef agon_status (*json_bad_line)(void *arg, agon_status status);
AGON_MUST_CHECK agon_status jsonl_read_lenient(agon_ctx *ctx, const char *path, json_row row, json_bad_line bad,
                                               void *arg);

#endif
