/* Tables with commas, as RFC 4180 has them: fields may stand in quotes, where a quote is written twice and a line's end is a character. */
#ifndef BASE_CSV_H
#define BASE_CSV_H

#include "base/json.h"

/* Calls `row` for each record after the first, as a JSON object of texts whose members the first record names, with "file:line" as `where`; stops
 * at its first non-zero status. A byte order mark and empty lines are passed over. AGON_ENOTFOUND, AGON_EIO; AGON_EFORMAT: invalid UTF-8, a NUL, a
 * quote that does not end, text after a closing quote, a record with other than the first one's number of fields, a name twice. Files up to
 * 64 MiB. */
AGON_MUST_CHECK agon_status csv_read(agon_ctx *ctx, const char *path, json_row row, void *arg);

#endif
