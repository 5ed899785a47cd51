/* The scale of a reward head: mean and standard deviation of its rewards over what it was trained on, in reward_scale.json beside it. A reward's
 * own scale means nothing, so the members of an ensemble are compared on these (training.md 2). */
#include "api/models.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SCALE_RESPONSES = 256 }; /* the standard error of both is then 6% of the deviation */
static const char NAME[] = "reward_scale.json";

static char *path_of(const char *folder) {
    buffer b = {0};
    buffer_printf(&b, "%s/%s", folder, NAME);
    return buffer_take(&b);
}

/* Responses of rows spread evenly over the data, at most SCALE_RESPONSES. */
static size_t pick(const model *m, const train_row *rows, size_t n_rows, agon_score_request *out) {
    size_t most = model_get_config(m)->max_context, each = n_rows ? rows[0].n_responses : 1, n = 0;
    size_t picks = SCALE_RESPONSES / (each ? each : 1);
    picks = picks < 1 ? 1 : picks > n_rows ? n_rows : picks;
    for (size_t i = 0; i < picks; i++) {
        const train_row *row = &rows[i * n_rows / picks];
        for (size_t k = 0; k < row->n_responses && n < SCALE_RESPONSES; k++)
            if (row->n_prompt + row->responses[k].n <= most)
                out[n++] = (agon_score_request){row->prompt, row->n_prompt, row->responses[k].tokens, row->responses[k].n};
    }
    return n;
}

agon_status reward_scale_write(agon_ctx *ctx, const agon_model *m, adapter *a, const train_row *rows, size_t n_rows, const char *folder) {
    agon_score_request *requests = memory_new(SCALE_RESPONSES, sizeof *requests);
    agon_reward_result *results = memory_new(SCALE_RESPONSES, sizeof *results);
    double rewards[SCALE_RESPONSES];
    const agon_adapter handle = {.a = a};
    char *path = path_of(folder), *text = NULL;
    size_t n = requests && results && path ? pick(m->m, rows, n_rows, requests) : 0;
    agon_status s = requests && results && path ? agon_reward(ctx, m, a ? &handle : NULL, requests, n, results)
                                                : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && !s; i++) {
        rewards[i] = results[i].reward;
        agon_reward_result_free(&results[i]);
    }
    if (!s && n > 0) {
        reward_scale scale = reward_scale_fit(rewards, n);
        json_t *j = json_pack("{s:f,s:f,s:I}", "mean", scale.mean, "std", scale.std, "n", (json_int_t)n);
        text = j ? json_dumps(j, JSON_COMPACT) : NULL;
        json_decref(j);
        s = text ? file_write(ctx, path, text, strlen(text)) : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    }
    free(requests);
    free(results);
    free(path);
    free(text);
    return s;
}

agon_status reward_scale_read(agon_ctx *ctx, const char *folder, reward_scale *out) {
    json_t *j = NULL;
    char *path = path_of(folder);
    reward_scale scale = {0};
    if (!path)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    agon_status s = AGON_OK;
    if (file_exists(path)) {
        s = json_read_file(ctx, path, &j);
        if (!s)
            s = json_get_real(ctx, path, j, "mean", true, &scale.mean);
        if (!s)
            s = json_get_real(ctx, path, j, "std", true, &scale.std);
        if (!s && !(isfinite(scale.mean) && isfinite(scale.std) && scale.std > 0))
            s = ctx_fail(ctx, AGON_EFORMAT, "%s: mean and std must be finite, std above 0", path);
        json_decref(j);
    }
    free(path);
    if (!s)
        *out = scale;
    return s;
}
