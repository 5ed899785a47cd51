/* JSON lines with the hash of what was read. */
#ifndef BASE_JSON_LINES_H
#define BASE_JSON_LINES_H

#include "base/json.h"

/* json_parse of a line, which `where` names already. */
AGON_MUST_CHECK agon_status json_parse_line(agon_ctx *ctx, const char *where, const char *line, size_t n, json_t **out);

/* jsonl_read_lenient (json.h; `bad` may be NULL), and *hash of all bytes that were read. Like those two it reads in one pass, so that a pipe will do, and
 * waits for what somebody is to write to it. AGON_EINTERRUPTED after agon_interrupt, between lines and while waiting. */
AGON_MUST_CHECK agon_status jsonl_read_hashed(agon_ctx *ctx, const char *path, json_row row, json_bad_line bad, void *arg, hash256 *hash);

#endif
