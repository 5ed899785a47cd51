/* Finding recipes by name. */
#include "base/ctx.h"
#include "recipe/recipe_private.h"
#include <string.h>

#define RECIPE_ADDRESS(name) &recipe_##name,
static const recipe *const table[] = {RECIPES(RECIPE_ADDRESS)};

agon_status recipe_find(agon_ctx *ctx, const char *name, const recipe **out) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i]->name, name) == 0) {
            *out = table[i];
            return AGON_OK;
        }
    return ctx_fail(ctx, AGON_ENOTFOUND, "there is no recipe '%s'", name);
}
