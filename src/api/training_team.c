/* See training_team.h. */
#include "api/training_team.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include <stdlib.h>

/* The rows of each name together, in the order of the file. */
static agon_status share_rows(agon_ctx *ctx, training_team *t) {
    size_t n_rows, at = 0;
    const train_row *rows = dataset_rows(t->d->d, &n_rows);
    if (!(t->rows = memory_new(n_rows, sizeof *t->rows)))
        return ctx_no_memory(ctx);
    for (size_t i = 0; i < t->n; i++) {
        t->members[i].rows = t->rows + at;
        for (size_t k = 0; k < n_rows; k++)
            if (rows[k].adapter == i)
                t->rows[at++] = rows[k];
        t->members[i].n_rows = (size_t)(t->rows + at - t->members[i].rows);
    }
    return AGON_OK;
}

agon_status training_team_open(agon_ctx *ctx, agon_model *m, const agon_dataset *d, const adapter_options *shape, const train_options *o,
                               training_team *out) {
    training_team *t = out;
    *t = (training_team){.d = d, .n = d->n_adapters};
    t->members = memory_new(t->n, sizeof *t->members);
    t->tallies = memory_new(t->n, sizeof *t->tallies);
    agon_status s = t->members && t->tallies ? share_rows(ctx, t) : ctx_no_memory(ctx);
    for (size_t i = 0; i < t->n && !s; i++) {
        t->members[i].tally = &t->tallies[i];
        s = adapter_new(ctx, m->m, shape, &t->members[i].adapter);
        if (!s)
            s = train_add_head(ctx, m->m, t->members[i].adapter, d->objective, o->objective_options, o->seed);
    }
    return s;
}

void training_team_free(training_team *t) {
    for (size_t i = 0; t->members && i < t->n; i++)
        adapter_free(t->members[i].adapter);
    free(t->members);
    free(t->tallies);
    free(t->rows);
}

agon_status training_team_write(agon_ctx *ctx, const training_team *t, const char *base, const char *output) {
    agon_status s = AGON_OK;
    for (size_t i = 0; i < t->n && !s; i++) {
        const train_member *x = &t->members[i];
        char *folder = path_join(output, t->d->adapters[i]);
        s = folder ? adapter_export_peft(ctx, x->adapter, base, folder) : ctx_no_memory(ctx);
        free(folder);
    }
    return s;
}

json_t *selection_json(const selection_tally *n, selection_level level) {
    static const char *const ranked[] = {"rows", "tokens", "spans"};
    return json_pack("{s:I,s:I,s:I}", ranked[level], (json_int_t)n->seen, "kept", (json_int_t)n->kept, "disagreed", (json_int_t)n->disagreed);
}

static json_t *member_json(const training_team *t, size_t i, const char *output, const train_options *o) {
    const train_member *x = &t->members[i];
    char *folder = path_join(output, t->d->adapters[i]);
    hash256 id = adapter_hash(x->adapter);
    json_t *j = json_pack("{s:s,s:o,s:I,s:I,s:o}", "name", t->d->adapters[i], "output", utf8_json(folder), "rows", (json_int_t)x->n_rows, "steps",
                          (json_int_t)train_n_steps(o, x->n_rows), "id", json_hash(&id));
    if (j && o->selection.tau > 0)
        json_object_set_new(j, "selection", selection_json(x->tally, o->selection.level));
    free(folder);
    return j;
}

json_t *training_team_json(const training_team *t, const char *output, const train_options *o) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < t->n; i++)
        json_array_append_new(list, member_json(t, i, output, o));
    return list;
}
