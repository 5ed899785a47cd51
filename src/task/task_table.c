/* The families, their cells in one numbering, and the seeds of their queries. */
#include "task/family.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/ctx.h"
#include "base/nearest.h"

#define FAMILY_ADDRESS(name) &family_##name,
static const task_family *const families[] = {TASK_FAMILIES(FAMILY_ADDRESS)};
enum { N_FAMILIES = sizeof families / sizeof *families };

const task_family *family_find(const char *name) {
    for (size_t i = 0; i < N_FAMILIES; i++)
        if (strcmp(families[i]->name, name) == 0)
            return families[i];
    return strcmp(family_user.name, name) == 0 ? &family_user : NULL;
}

const task_cell *family_cell(const task_family *f, const char *name) {
    for (size_t i = 0; i < f->n_cells; i++)
        if (strcmp(f->cells[i].name, name) == 0)
            return &f->cells[i];
    return NULL;
}

size_t task_n_families(void) {
    return N_FAMILIES;
}

const char *task_family_name(size_t i) {
    assert(i < N_FAMILIES);
    return families[i]->name;
}

size_t task_n_cells(void) {
    size_t n = 0;
    for (size_t i = 0; i < N_FAMILIES; i++)
        n += families[i]->n_cells;
    return n;
}

static const task_cell *locate(size_t i, const task_family **family) {
    for (size_t f = 0; f < N_FAMILIES; f++) {
        if (i < families[f]->n_cells) {
            *family = families[f];
            return &families[f]->cells[i];
        }
        i -= families[f]->n_cells;
    }
    assert(!"cell out of range");
    return NULL;
}

const task_cell *task_cell_at(size_t i) {
    const task_family *family;
    return locate(i, &family);
}

const char *task_cell_family(size_t i) {
    const task_family *family = NULL;
    locate(i, &family);
    return family->name;
}

void task_cell_name(size_t i, char out[CELL_NAME_SIZE]) {
    const task_family *family = NULL;
    const task_cell *cell = locate(i, &family);
    snprintf(out, CELL_NAME_SIZE, "%s/%s", family->name, cell->name);
}

bool task_cell_covered(size_t i, const char *name) {
    char full[CELL_NAME_SIZE];
    task_cell_name(i, full);
    return strcmp(name, full) == 0 || strcmp(name, task_cell_family(i)) == 0;
}

size_t task_cell_find(const char *family, const char *cell) {
    for (size_t i = 0; i < task_n_cells(); i++)
        if (strcmp(task_cell_family(i), family) == 0 && strcmp(task_cell_at(i)->name, cell) == 0)
            return i;
    return SIZE_MAX;
}

uint64_t task_seed(uint64_t run_seed, const char *space, size_t cell, uint64_t index) {
    const task_family *family = NULL;
    const task_cell *c = locate(cell, &family);
    /* By name: cells added to the table later leave the tasks of the others as they are. */
    return seed_derivef(run_seed, "task|%s|%s/%s|%llu", space, family->name, c->name,
                        (unsigned long long)index);
}

/* ---- selection --------------------------------------------------------------------------------------- */

static agon_status unknown_name(agon_ctx *ctx, const char *name) {
    size_t n_cells = task_n_cells(), n = 0;
    const char **known = calloc(n_cells + N_FAMILIES, sizeof *known);
    char(*full)[CELL_NAME_SIZE] = calloc(n_cells, sizeof *full);
    const char *nearest = NULL;
    if (known && full) {
        for (size_t f = 0; f < N_FAMILIES; f++)
            known[n++] = families[f]->name;
        for (size_t i = 0; i < n_cells; i++) {
            task_cell_name(i, full[i]);
            known[n++] = full[i];
        }
        nearest = nearest_word(name, known, n);
    }
    agon_status status =
        nearest ? ctx_fail(ctx, AGON_EINVAL, "there is no task '%.96s'; did you mean '%s'?", name, nearest)
                : ctx_fail(ctx, AGON_EINVAL,
                           "there is no task '%.96s'; tasks are named \"family\" or \"family/cell\", for "
                           "instance \"%s\"",
                           name, families[0]->name);
    free(full);
    free(known);
    return status;
}

agon_status task_select(agon_ctx *ctx, const json_t *names, size_t *indices, size_t *n) {
    size_t n_names = json_array_size(names), n_cells = task_n_cells(), count = 0;
    if (names && !json_is_null(names) && !json_is_array(names))
        return ctx_fail(ctx, AGON_EINVAL, "tasks must be a list of names");
    for (size_t k = 0; k < n_names; k++) {
        const char *name = json_string_value(json_array_get(names, k));
        if (!name)
            return ctx_fail(ctx, AGON_EINVAL, "tasks: entry %zu is not a name", k + 1);
        bool known = false;
        for (size_t i = 0; i < n_cells && !known; i++)
            known = task_cell_covered(i, name);
        if (!known)
            return unknown_name(ctx, name);
    }
    for (size_t i = 0; i < n_cells; i++) {
        bool chosen = n_names == 0 && task_cell_at(i)->by_default;
        for (size_t k = 0; k < n_names && !chosen; k++)
            chosen = task_cell_covered(i, json_string_value(json_array_get(names, k)));
        if (chosen)
            indices[count++] = i;
    }
    *n = count;
    return AGON_OK;
}
