/* agon.h, labels of files of rows: fused from votes, made wrong on purpose, cleaned. */
#include "api/dataset.h"
#include "api/options.h"
#include "base/fp_environment.h"
#include "base/json.h"
#include "recipe/clean_rows.h"
#include "recipe/fuse_rows.h"
#include "train/noise_rows.h"
#include <math.h>
#include <stdlib.h>

static agon_status take_objective(agon_ctx *ctx, const char *name, const objective **out) {
    return name ? objective_named(ctx, name, out) : ctx_fail(ctx, AGON_EINVAL, "say what the rows are for: an objective, such as sft or dpo");
}

agon_fuse_options agon_fuse_options_default(void) {
    return (agon_fuse_options){.struct_size = sizeof(agon_fuse_options), .least_votes = 1};
}

agon_status agon_data_fuse(agon_ctx *ctx, const char *from, const char *to, const agon_fuse_options *given, char **json) {
    FP_ENVIRONMENT();
    agon_fuse_options o = agon_fuse_options_default();
    json_t *report = NULL;
    agon_status s = options_take(ctx, "agon_fuse_options", given, sizeof o, &o);
    const fuse_options inner = {.gold = o.gold, .together = o.together, .n_together = o.n_together, .least_votes = o.least_votes, .hard = o.hard};
    if (!s)
        s = OPTIONS_GIVEN(ctx, {"the file to read", from, 1}, {"the file to write", to, 1}, {"the place for the answer", json, 1});
    if (!s)
        s = options_texts(ctx, "together", o.together, o.n_together);
    if (!s)
        s = fuse_file(ctx, from, to, &inner, &report);
    return s ? s : json_give_take(ctx, report, json);
}

agon_noise_options agon_noise_options_default(void) {
    return (agon_noise_options){.struct_size = sizeof(agon_noise_options), .rate = 0.2, .level = "response"};
}

agon_status agon_data_noise(agon_ctx *ctx, const char *from, const char *to, const agon_noise_options *given, char **json) {
    FP_ENVIRONMENT();
    agon_noise_options o = agon_noise_options_default();
    json_t *report = NULL;
    agon_status s = options_take(ctx, "agon_noise_options", given, sizeof o, &o);
    noise_options inner = {.rate = o.rate, .seed = o.seed, .t = o.tokenizer ? o.tokenizer->t : NULL};
    if (!s)
        s = OPTIONS_GIVEN(ctx, {"the file to read", from, 1}, {"the file to write", to, 1}, {"the place for the answer", json, 1});
    if (!s)
        s = take_objective(ctx, o.objective, &inner.objective);
    if (!s)
        s = noise_level_find(ctx, o.level ? o.level : "", &inner.level);
    if (!s)
        s = noise_file(ctx, from, to, &inner, &report);
    return s ? s : json_give_take(ctx, report, json);
}

agon_clean_options agon_clean_options_default(void) {
    return (agon_clean_options){.struct_size = sizeof(agon_clean_options), .folds = 4, .lora_rank = 8, .epochs = 1, .batch_rows = 8,
                                .learning_rate = 5e-4, .drop_rate = -1};
}

agon_status agon_data_clean(agon_ctx *ctx, agon_model *m, const char *from, const char *to, const agon_clean_options *given, char **json) {
    FP_ENVIRONMENT();
    agon_clean_options o = agon_clean_options_default();
    json_t *report = NULL;
    agon_status s = options_take(ctx, "agon_clean_options", given, sizeof o, &o);
    clean_options inner = {.folds = o.folds, .rank = o.lora_rank, .epochs = o.epochs, .batch_rows = o.batch_rows, .max_length = o.max_length, .lr = o.learning_rate,
                           .seed = o.seed, .drop_rate = o.drop_rate < 0 ? NAN : o.drop_rate, .soft = o.soft, .truth = o.truth,
                           .on_line = o.on_line, .arg = o.arg};
    if (!s)
        s = OPTIONS_GIVEN(ctx, {"the model", m, 1}, {"the file to read", from, 1}, {"the file to write", to, 1}, {"the place for the answer", json, 1});
    if (!s)
        s = take_objective(ctx, o.objective, &inner.objective);
    if (!s)
        s = clean_file(ctx, m->m, from, to, &inner, &report);
    return s ? s : json_give_take(ctx, report, json);
}
