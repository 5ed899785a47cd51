/* chain_head FOLDER: each run of the workspace with the hash that its journal ends with, which stands for all of it. */
#include "base/json.h"
#include "store/store.h"
#include "test.h"

int main(int argc, char **argv) {
    agon_ctx *ctx = test_ctx(1, NULL);
    store *s = NULL;
    json_t *rows = NULL;
    if (argc != 2 || store_open(ctx, argv[1], STORE_READ, &s) != AGON_OK ||
        store_query_json(s, "SELECT run, max(seq) AS n, hash FROM step GROUP BY run ORDER BY run", NULL, &rows) != AGON_OK) {
        fprintf(stderr, "chain_head: %s\n", agon_error(ctx));
        return 1;
    }
    json_dumpf(rows, stdout, JSON_COMPACT);
    json_decref(rows);
    store_close(s);
    agon_ctx_free(ctx);
    return 0;
}
