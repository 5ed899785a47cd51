#include "recipe/recipe_private.h"
#include "base/ctx.h"
agon_status sealed_recipe(cast *c, json_t **summary) { (void)summary; return ctx_fail(c->actors.ctx, AGON_EUNSUPPORTED, "not yet"); }
agon_status recipe_unseal(agon_ctx *ctx, store *s, const char *run, json_t **report) { (void)s;(void)run;(void)report; return ctx_fail(ctx, AGON_EUNSUPPORTED, "not yet"); }
