/* Scales of reward heads: see reward_scale.h. */
#include "model/reward_scale.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 1 << 16 };

reward_scale reward_scale_fit(const double *rewards, size_t n) {
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        mean += rewards[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (rewards[i] - mean) * (rewards[i] - mean);
    double std = sqrt(squares / (double)n);
    return (reward_scale){.mean = mean, .std = std > 0 ? std : 1, .n = n};
}

agon_status reward_scale_text(agon_ctx *ctx, const reward_scale *s, char **out) {
    json_t *j = json_pack("{s:f,s:f,s:I}", "mean", s->mean, "std", s->std, "n", (json_int_t)s->n);
    if (j && s->at_steps)
        json_object_set_new(j, "at_steps", json_true());
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    if (!text)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory writing the scale of a reward head");
    *out = text;
    return AGON_OK;
}

static agon_status from_json(agon_ctx *ctx, const char *where, const json_t *j, reward_scale *out) {
    reward_scale scale = {0};
    int64_t n = 0;
    agon_status s = json_get_real(ctx, where, j, "mean", true, &scale.mean);
    if (!s)
        s = json_get_real(ctx, where, j, "std", true, &scale.std);
    if (!s)
        s = json_get_int(ctx, where, j, "n", false, &n);
    if (!s)
        s = json_get_bool(ctx, where, j, "at_steps", false, &scale.at_steps);
    if (s)
        return s == AGON_EINVAL ? AGON_EFORMAT : s;
    if (!(isfinite(scale.mean) && isfinite(scale.std) && scale.std > 0))
        return ctx_fail(ctx, AGON_EFORMAT, "%s: mean and std must be finite, std above 0", where);
    scale.n = n > 0 ? (size_t)n : 0;
    *out = scale;
    return AGON_OK;
}

agon_status reward_scale_parse(agon_ctx *ctx, const char *where, const char *text, reward_scale *out) {
    json_t *j = json_loadb(text, strnlen(text, LONGEST), 0, NULL);
    agon_status s = json_is_object(j) ? from_json(ctx, where, j, out)
                                      : ctx_fail(ctx, AGON_EFORMAT, "%s: the scale of the reward head must be a JSON object", where);
    json_decref(j);
    return s;
}

agon_status reward_scale_read(agon_ctx *ctx, const char *folder, reward_scale *out) {
    buffer b = {0};
    json_t *j = NULL;
    reward_scale scale = {0};
    buffer_printf(&b, "%s/" REWARD_SCALE_FILE, folder);
    char *path = buffer_take(&b);
    agon_status s = path ? AGON_OK : ctx_no_memory(ctx);
    if (!s && file_exists(path)) {
        s = json_read_file(ctx, path, &j);
        if (!s)
            s = json_is_object(j) ? from_json(ctx, path, j, &scale) : ctx_fail(ctx, AGON_EFORMAT, "%s: must be a JSON object", path);
        json_decref(j);
    }
    free(path);
    if (!s)
        *out = scale;
    return s;
}
