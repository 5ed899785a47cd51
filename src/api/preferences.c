/* agon.h, several dimensions: adapters at a preference vector, and soups of adapters. */
#include "api/models.h"
#include "api/options.h"
#include "api/result_files.h"
#include "base/available.h"
#include "base/file.h"
#include "base/fp_environment.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

size_t agon_adapter_n_dimensions(const agon_adapter *a) {
    FP_ENVIRONMENT();
    return a ? adapter_n_dimensions(a->a) : 0;
}

const char *agon_adapter_dimension(const agon_adapter *a, size_t i) {
    return a ? adapter_dimension(a->a, i) : NULL;
}

agon_status agon_adapter_at(agon_ctx *ctx, const agon_adapter *a, const double *preference, size_t n, agon_adapter **out) {
    FP_ENVIRONMENT();
    agon_status s = OPTIONS_GIVEN(ctx, {"the adapter", a, 1}, {"the preference vector", preference, n}, {"the place for the adapter", out, 1});
    if (s)
        return s;
    agon_adapter *made = calloc(1, sizeof *made);
    if (!made)
        return ctx_no_memory(ctx);
    /* Values in f32, B beside U, and both packs: rows of a file may ask for any number of vectors. */
    s = memory_check(ctx, adapter_bytes(a->a), "an adapter at this preference vector",
                                 "ask for fewer different vectors at once");
    if (!s)
        s = adapter_clone(ctx, a->a, &made->a);
    if (!s)
        s = adapter_set_preference(ctx, made->a, preference, n);
    if (s)
        agon_adapter_free(made);
    else
        *out = made;
    return s;
}

static agon_status mix(agon_ctx *ctx, const agon_model *m, const agon_adapter *const *adapters, const double *weights, size_t n,
                       adapter **out) {
    const adapter **members = calloc(n + 1, sizeof(adapter *));
    if (!members)
        return ctx_no_memory(ctx);
    for (size_t i = 0; i < n; i++)
        members[i] = adapters[i]->a;
    agon_status s = adapter_soup(ctx, m->m, members, weights, n, out);
    free(members);
    return s;
}

static void remove_written(const char *path) {
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return;
    result_files_remove(folder);
    close(folder);
    rmdir(path);
}

agon_status agon_soup(agon_ctx *ctx, const agon_model *m, const agon_adapter *const *adapters, const double *weights, size_t n,
                      const char *output, char **json) {
    FP_ENVIRONMENT();
    char base[PATH_MAX];
    adapter *soup = NULL;
    agon_status s = OPTIONS_GIVEN(ctx, {"the model", m, 1}, {"the array of adapters", adapters, n}, {"the array of weights", weights, n},
                                  {"the output folder", output, 1}, {"the place for the answer", json, 1});
    for (size_t i = 0; i < n && !s; i++)
        if (!adapters[i])
            s = ctx_fail(ctx, AGON_EINVAL, "soup: adapter %zu of %zu is NULL; each must be given", i + 1, n);
    if (s)
        return s;
    result_folder_sweep(output);
    if (folder_exists(output) || file_exists(output))
        return ctx_fail(ctx, AGON_EINVAL, "soup: %s exists already; give another output folder", output);
    s = mix(ctx, m, adapters, weights, n, &soup);
    if (!s && (s = adapter_export_peft(ctx, soup, weights_place(model_weights(m->m), base), output)))
        remove_written(output); /* which was not there before: the same call may come again */
    if (!s) {
        hash256 id = adapter_hash(soup);
        s = json_give_take(ctx, json_pack("{s:o,s:I,s:o}", "path", utf8_json(output), "rank", (json_int_t)adapter_rank(soup), "id",
                                          json_hash(&id)), json);
    }
    adapter_free(soup);
    return s;
}
