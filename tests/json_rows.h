/* Reading a JSONL file back, for tests of what writes one. */
#ifndef TESTS_JSON_ROWS_H
#define TESTS_JSON_ROWS_H

#include "base/json.h"
#include "test.h"

static agon_status json_rows_add(void *arg, const char *where, json_t *object) {
    (void)where;
    return json_array_append(arg, object) == 0 ? AGON_OK : AGON_ENOMEM;
}

/* All rows of the file, new; the test fails where it cannot be read. */
static json_t *json_rows(agon_ctx *ctx, const char *path) {
    json_t *rows = json_array();
    assert_ok(ctx, jsonl_read(ctx, path, json_rows_add, rows));
    return rows;
}

#endif
