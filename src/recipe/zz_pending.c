/* Stands in until the recipes themselves are here (the linker takes the first definition it meets): says so. */
#include "base/ctx.h"
#include "recipe/recipe.h"

static agon_status not_here(agon_ctx *ctx) {
    return ctx_fail(ctx, AGON_EUNSUPPORTED, "recipes are not in this build");
}

__attribute__((weak)) agon_status recipe_run(agon_ctx *ctx, store *s, const run_config *config, recipe_observer observer,
                                             void *arg, json_t **summary) {
    (void)s, (void)config, (void)observer, (void)arg, (void)summary;
    return not_here(ctx);
}

__attribute__((weak)) agon_status recipe_cost(agon_ctx *ctx, const run_config *config, double tokens_per_second,
                                              json_t **cost) {
    (void)config, (void)tokens_per_second, (void)cost;
    return not_here(ctx);
}

__attribute__((weak)) agon_status recipe_reexecute(agon_ctx *ctx, store *s, const char *run, size_t n, uint64_t seed,
                                                   json_t **report) {
    (void)s, (void)run, (void)n, (void)seed, (void)report;
    return not_here(ctx);
}

__attribute__((weak)) agon_status recipe_unseal(agon_ctx *ctx, store *s, const char *run, json_t **report) {
    (void)s, (void)run, (void)report;
    return not_here(ctx);
}
