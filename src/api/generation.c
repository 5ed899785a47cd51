/* agon.h, generation: requests to the continuous batch and completions back.
 *
 * The seed of a sample is derived from (request's seed, SHA-256 of the prompt's tokens, sample number), so a row
 * of a file gets the same answers alone, among others, or in another order. */
#include "api/models.h"
#include "api/options.h"
#include "api/requests.h"
#include "base/fp_environment.h"
#include "base/hash.h"
#include "base/random.h"
#include "generate/generate.h"
#include <stdlib.h>
#include <string.h>

enum { MOST_SAMPLES = 1 << 30 }; /* of one call; `out` has room for all */

agon_sampling agon_sampling_default(void) {
    return (agon_sampling){.struct_size = sizeof(agon_sampling),
                           .temperature = 1,
                           .top_p = 1,
                           .repetition_penalty = 1,
                           .max_tokens = 256};
}

agon_generate_options agon_generate_options_default(void) {
    return (agon_generate_options){.struct_size = sizeof(agon_generate_options)};
}

agon_generate_request agon_chat_request(const char *text, size_t n_samples, uint64_t seed, const agon_adapter *adapter,
                                        const agon_sampling *sampling) {
    return (agon_generate_request){
        .n_samples = n_samples, .seed = seed, .adapter = adapter, .sampling = sampling, .text = text, .chat = true};
}

void agon_completion_free(agon_completion *c) {
    if (!c)
        return;
    free(c->tokens);
    free(c->log_probs);
    free(c->text);
    *c = (agon_completion){0};
}

void agon_completions_free(agon_completion *c, size_t n) {
    for (size_t i = 0; c && i < n; i++)
        agon_completion_free(&c[i]);
}

agon_status request_prompt(agon_ctx *ctx, const agon_tokenizer *t, const agon_generate_request *r, int32_t **made, const int32_t **ids,
                           size_t *n) {
    agon_status s = OPTIONS_GIVEN(ctx, {"the tokens of the prompt", r, r->n_prompt}); /* of their number: a text may stand for them */
    *made = NULL;
    *n = r->n_prompt;
    if (s)
        return s;
    if (!r->prompt && !r->text && r->n_prompt)
        return ctx_fail(ctx, AGON_EINVAL, "there is neither a prompt nor a text");
    if (!r->prompt && r->text && r->chat)
        s = agon_chat_tokenize(ctx, t, &(agon_message){"user", r->text}, 1, true, made, n, NULL);
    else if (!r->prompt && r->text)
        s = agon_tokenize(ctx, t, r->text, strlen(r->text), true, true, made, n);
    *ids = *made ? *made : r->prompt;
    return s;
}

typedef struct generation {
    agon_ctx *ctx;
    const agon_model *m;
    agon_generate_options options;
    generate_request *requests;
    int32_t **texts;   /* [n] tokens of prompts that were given as text, else NULL */
    uint64_t *seeds;   /* of all samples */
    size_t *first_out; /* [n] of each request */
    completion *made;  /* emptied into `out` as samples complete */
    agon_completion *out;
} generation;

static void move_completion(generation *g, size_t i) {
    completion *from = &g->made[i];
    g->out[i] = (agon_completion){.tokens = from->tokens,
                                  .log_probs = from->log_probs,
                                  .n_tokens = from->n_tokens,
                                  .text = from->text,
                                  .n_text = from->n_text,
                                  .stopped = from->finish == FINISH_STOP};
    *from = (completion){0};
}

static int on_token(void *arg, size_t request, size_t sample, int32_t token, const char *bytes, size_t n) {
    generation *g = arg;
    if (ctx_check_interrupt(g->ctx))
        return 1;
    if (!g->options.on_token)
        return 0;
    return g->options.on_token(g->options.arg, request, sample, token, bytes, n);
}

static void on_done(void *arg, size_t request, size_t sample) {
    generation *g = arg;
    move_completion(g, g->first_out[request] + sample);
    if (g->options.on_done)
        g->options.on_done(g->options.arg, request, sample);
}

static void on_mask(void *arg, size_t request, size_t sample, const int32_t *tokens, size_t n_tokens,
                    uint8_t *may_follow, size_t n_vocabulary) {
    generation *g = arg;
    g->options.mask(g->options.arg, request, sample, tokens, n_tokens, may_follow, n_vocabulary);
}

static agon_status take_sampling(agon_ctx *ctx, const agon_sampling *given, sampling *out) {
    agon_sampling o = agon_sampling_default();
    agon_status s = options_take(ctx, "agon_sampling", given, sizeof o, &o);
    if (!s)
        s = options_texts(ctx, "stop texts (stop)", o.stop, o.n_stop);
    if (!s)
        s = OPTIONS_GIVEN(ctx, {"logit_bias", o.logit_bias, o.n_logit_bias}, {"allowed", o.allowed, o.n_allowed});
    if (s)
        return s;
    *out = sampling_default();
    out->temperature = temperature_take(o.temperature);
    out->top_k = o.top_k;
    out->top_p = (float)o.top_p;
    out->min_p = (float)o.min_p;
    out->repetition_penalty = (float)o.repetition_penalty;
    out->frequency_penalty = (float)o.frequency_penalty;
    out->presence_penalty = (float)o.presence_penalty;
    out->max_tokens = o.max_tokens;
    out->stop = o.stop;
    out->n_stop = o.n_stop;
    out->ignore_stop_tokens = o.ignore_stop_tokens;
    out->biases = o.logit_bias;
    out->n_biases = o.n_logit_bias;
    out->allowed = o.allowed;
    out->n_allowed = o.n_allowed;
    return AGON_OK;
}

static agon_status take_request(generation *g, const agon_generate_request *r, size_t i, size_t first) {
    char name[HASH_HEX_SIZE];
    const int32_t *prompt;
    size_t n_prompt;
    agon_status s = request_prompt(g->ctx, &g->m->tokenizer, r, &g->texts[i], &prompt, &n_prompt);
    const size_t most = model_get_config(g->m->m)->max_context;
    if (!s && n_prompt > most) /* before the tokens are read */
        s = ctx_fail(g->ctx, AGON_EINVAL, "the prompt of %zu tokens is longer than the model's context of %zu; shorten it", n_prompt, most);
    if (s)
        return s;
    hash256 hash = hash_bytes(prompt, n_prompt * sizeof *prompt);
    hash_hex(&hash, name);
    for (size_t k = 0; k < r->n_samples; k++)
        g->seeds[first + k] = seed_derivef(r->seed, "generate|%s|%zu", name, k);
    g->first_out[i] = first;
    g->requests[i] = (generate_request){.prompt = prompt,
                                        .n_prompt = n_prompt,
                                        .n_samples = r->n_samples,
                                        .seeds = g->seeds + first,
                                        .adapter = r->adapter ? r->adapter->a : NULL};
    return take_sampling(g->ctx, r->sampling, &g->requests[i].sampling);
}

static agon_status make_room(generation *g, size_t n, size_t n_out) {
    g->requests = calloc(n + 1, sizeof *g->requests);
    g->first_out = calloc(n + 1, sizeof *g->first_out);
    g->texts = calloc(n + 1, sizeof *g->texts);
    g->seeds = calloc(n_out + 1, sizeof *g->seeds);
    g->made = calloc(n_out + 1, sizeof *g->made);
    if (!g->requests || !g->first_out || !g->texts || !g->seeds || !g->made)
        return ctx_fail(g->ctx, AGON_ENOMEM, "out of memory for %zu samples", n_out);
    return AGON_OK;
}

agon_status agon_generate(agon_ctx *ctx, const agon_model *m, const agon_generate_request *requests, size_t n,
                          const agon_generate_options *options, agon_completion *out) {
    FP_ENVIRONMENT();
    generation g = {.ctx = ctx, .m = m, .options = agon_generate_options_default(), .out = out};
    size_t n_out = 0;
    agon_status s = OPTIONS_GIVEN(ctx, {"the model", m, 1}, {"the array of requests", requests, n});
    if (s)
        return s;
    for (size_t i = 0; i < n; i++) {
        if (requests[i].n_samples > MOST_SAMPLES - n_out)
            return request_name(ctx, ctx_fail(ctx, AGON_EINVAL, "%zu samples are asked for; one call makes at most %d in all", requests[i].n_samples, MOST_SAMPLES), i, n);
        n_out += requests[i].n_samples;
    }
    s = OPTIONS_GIVEN(ctx, {"the array of completions", out, n_out});
    if (s)
        return s;
    if (n_out > 0)
        memset(out, 0, n_out * sizeof *out);
    s = options_take(ctx, "agon_generate_options", options, sizeof g.options, &g.options);
    if (!s)
        s = make_room(&g, n, n_out);
    for (size_t i = 0, first = 0; !s && i < n; first += requests[i++].n_samples)
        s = request_name(ctx, take_request(&g, &requests[i], i, first), i, n);
    const generate_options inner = {.max_batch = g.options.max_batch,
                                    .cache_limit_bytes = g.options.cache_limit_bytes,
                                    .on_token = on_token,
                                    .on_done = on_done,
                                    .mask = g.options.mask ? on_mask : NULL,
                                    .arg = &g,
                                    .keep_partial = true};
    if (!s)
        s = generate(ctx, m->m, g.requests, n, &inner, g.made);
    for (size_t i = 0; s == AGON_EINTERRUPTED && g.made && i < n_out; i++)
        if (g.made[i].tokens)
            move_completion(&g, i);
    if (s && s != AGON_EINTERRUPTED)
        agon_completions_free(out, n_out);
    for (size_t i = 0; g.texts && i < n; i++)
        free(g.texts[i]);
    free(g.texts);
    free(g.requests);
    free(g.first_out);
    free(g.seeds);
    free(g.made);
    return s;
}
