/* Continuous batching (Yu et al. 2022, Orca) over a key-value cache with shared prompts (Kwon et al. 2023).
 *
 * A request is admitted with as many of its samples as fit: its prompt gets cache rows once, and those of an admitted
 * prompt that begins alike are used again; each sample gets rows for all it may write, so nothing admitted ever has to be thrown out again. Each turn runs one
 * token of every sample that has one, and prompt tokens of newly admitted requests up to a budget, in
 * one model_decode; then every sample with a new hidden state draws its next token. A finished sample's
 * rows are free for the next one at once; a prompt's when its last sample is done.
 *
 * What a sample gets depends on its own chain only (model_decode's rows are independent), so admission
 * order, batch size and the other requests cannot change it. */
#include "generate/generate.h"
#include "base/available.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/pool.h"
#include "generate/sample.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_BATCH = 64,
    TURN_TOKENS = 512, /* prompt and answer tokens of one turn */
    LOGIT_ROWS = 64,   /* rows of logits in memory at a time */
    ALLOCATOR_BYTES = 4 << 20, /* threads' scratch memory that is touched for the first time, what malloc keeps between pieces */
};
static const size_t default_cache_bytes = (size_t)1 << 30;

typedef struct request_state {
    const generate_request *request;
    size_t max_new;     /* tokens a sample may have */
    size_t first_out;   /* its samples in the caller's array */
    size_t next_sample, n_done;
    size_t n_prefilled;
    int32_t *rows;      /* [n_prompt] cache rows; NULL: not admitted, or done */
    float *hidden;      /* [d_model] after the prompt; valid when n_prefilled == n_prompt */
} request_state;

typedef struct sample_state {
    request_state *owner;
    size_t index;
    int32_t *rows;      /* [n_prompt + max_new - 1] */
    int32_t *tokens;    /* [max_new] */
    float *log_probs;
    size_t n;
    buffer text;
    bool shown; /* a token of the text was there */
    const float *hidden; /* to draw the next token from; NULL: a token must be run first */
} sample_state;

typedef struct scheduler {
    agon_ctx *ctx;
    const model *m;
    const generate_options *options;
    completion *out;
    request_state *requests;
    size_t n_requests, next_request; /* next_request: first with samples to admit */
    sample_state **active;
    size_t n_active, max_batch;
    int32_t *free_rows;
    size_t n_free;
    uint32_t *uses; /* [cache rows] requests whose prompt a row belongs to */
    kv_cache *cache;
    workspace *work;
    /* one turn */
    decode_token *tokens; /* [TURN_TOKENS + max_batch] */
    size_t *heads;        /* [.. ] */
    void **head_owner;    /* sample_state or request_state of each head */
    bool *head_is_prompt;
    float *hidden;        /* [max_batch + TURN_TOKENS, d_model] */
    float *gathered, *logits; /* [LOGIT_ROWS, ..] */
    uint8_t *masks;       /* [LOGIT_ROWS, n_vocabulary]; NULL: options->mask is */
    char *scratch;        /* [n_threads] */
} scheduler;

void completion_free(completion *c) {
    if (!c)
        return;
    free(c->tokens);
    free(c->log_probs);
    free(c->text);
    *c = (completion){0};
}

static agon_status no_memory(scheduler *s) {
    return ctx_fail(s->ctx, AGON_ENOMEM, "out of memory generating %zu requests", s->n_requests);
}

/* Which of several requests a sentence is about, counted from 1; a lone one needs no number. */
static agon_status of_request(const scheduler *s, agon_status status, size_t request) {
    return status && s->n_requests > 1 ? ctx_prefix(s->ctx, status, "request %zu", request + 1) : status;
}

/* ---- samples ------------------------------------------------------------------------------------------ */

static size_t answer_rows(const request_state *r) {
    return r->max_new > 0 ? r->max_new - 1 : 0; /* the last token is never run */
}

static void sample_free(sample_state *x) {
    if (!x)
        return;
    free(x->rows);
    free(x->tokens);
    free(x->log_probs);
    buffer_free(&x->text);
    free(x);
}

static agon_status sample_new(scheduler *s, request_state *r, sample_state **out) {
    size_t n_prompt = r->request->n_prompt, n_rows = answer_rows(r);
    sample_state *x = calloc(1, sizeof *x);
    if (x) {
        buffer_init(&x->text, (size_t)1 << 28);
        x->owner = r;
        x->index = r->next_sample;
        x->rows = malloc((n_prompt + n_rows) * sizeof *x->rows);
        x->tokens = calloc(r->max_new, sizeof *x->tokens);
        x->log_probs = calloc(r->max_new, sizeof *x->log_probs);
    }
    if (!x || !x->rows || !x->tokens || !x->log_probs) {
        sample_free(x);
        return no_memory(s);
    }
    memcpy(x->rows, r->rows, n_prompt * sizeof *x->rows);
    for (size_t i = 0; i < n_rows; i++)
        x->rows[n_prompt + i] = s->free_rows[--s->n_free];
    if (r->n_prefilled == n_prompt)
        x->hidden = r->hidden;
    *out = x;
    return AGON_OK;
}

/* What the sample x (NULL: an empty one) has so far. */
static agon_status fill_completion(scheduler *s, request_state *r, size_t sample, sample_state *x, finish_reason finish) {
    completion *c = &s->out[r->first_out + sample];
    c->finish = finish;
    c->n_text = x ? x->text.size : 0;
    c->text = x ? buffer_take(&x->text) : calloc(1, 1);
    c->tokens = x ? x->tokens : calloc(1, sizeof *c->tokens);
    c->log_probs = x ? x->log_probs : calloc(1, sizeof *c->log_probs);
    if (x) {
        c->n_tokens = x->n;
        x->tokens = NULL;
        x->log_probs = NULL;
    }
    return c->text && c->tokens && c->log_probs ? AGON_OK : no_memory(s);
}

static agon_status write_completion(scheduler *s, request_state *r, size_t sample, sample_state *x,
                                    finish_reason finish) {
    agon_status status = fill_completion(s, r, sample, x, finish);
    if (status)
        return status;
    if (s->options->on_done)
        s->options->on_done(s->options->arg, (size_t)(r - s->requests), sample);
    return AGON_OK;
}

static void release_prompt(scheduler *s, request_state *r) {
    if (++r->n_done < r->request->n_samples || !r->rows)
        return;
    for (size_t i = r->request->n_prompt; i-- > 0;)
        if (--s->uses[r->rows[i]] == 0)
            s->free_rows[s->n_free++] = r->rows[i];
    free(r->rows);
    free(r->hidden);
    r->rows = NULL;
    r->hidden = NULL;
}

static agon_status finish_sample(scheduler *s, sample_state *x, finish_reason finish) {
    request_state *r = x->owner;
    size_t n_prompt = r->request->n_prompt;
    agon_status status = write_completion(s, r, x->index, x, finish);
    for (size_t i = answer_rows(r); i-- > 0;)
        s->free_rows[s->n_free++] = x->rows[n_prompt + i];
    release_prompt(s, r);
    sample_free(x);
    return status;
}

/* ---- admission ------------------------------------------------------------------------------------------ */

/* Tokens two prompts have in common from the start; the last is left out, since its hidden state is wanted. */
static size_t common_prefix(const generate_request *a, const generate_request *b) {
    size_t n = 0, most = (a->n_prompt < b->n_prompt ? a->n_prompt : b->n_prompt) - 1;
    while (n < most && a->prompt[n] == b->prompt[n])
        n++;
    return a->adapter == b->adapter ? n : 0;
}

/* The admitted request that begins most like r, such as one under the same instructions; *n tokens of it are the same. Its
 * prompt runs before r's in any turn, because it stands before it among the active. */
static const request_state *find_prefix(const scheduler *s, const request_state *r, size_t *n) {
    const request_state *best = NULL;
    *n = 0;
    for (size_t i = 0; i < s->n_active; i++) {
        size_t common = common_prefix(s->active[i]->owner->request, r->request);
        if (common > *n) {
            best = s->active[i]->owner;
            *n = common;
        }
    }
    return best;
}

static agon_status admit_prompt(scheduler *s, request_state *r, const request_state *like, size_t n_like) {
    size_t n = r->request->n_prompt;
    r->rows = malloc(n * sizeof *r->rows);
    r->hidden = memory_new(model_get_config(s->m)->d_model, sizeof *r->hidden);
    if (!r->rows || !r->hidden)
        return no_memory(s);
    for (size_t i = 0; i < n; i++) {
        r->rows[i] = i < n_like ? like->rows[i] : s->free_rows[--s->n_free];
        s->uses[r->rows[i]]++;
    }
    r->n_prefilled = n_like;
    return AGON_OK;
}

/* First come, first served: a large request is not overtaken, so it cannot wait for ever. */
static agon_status admit(scheduler *s) {
    agon_status status = AGON_OK;
    while (s->next_request < s->n_requests && s->n_active < s->max_batch && !status) {
        request_state *r = &s->requests[s->next_request];
        if (r->next_sample == r->request->n_samples) {
            s->next_request++;
            continue;
        }
        if (r->max_new == 0) {
            r->n_done++;
            status = write_completion(s, r, r->next_sample++, NULL, FINISH_LENGTH);
            continue;
        }
        size_t n_like = 0;
        const request_state *like = r->rows ? NULL : find_prefix(s, r, &n_like);
        size_t needed = answer_rows(r) + (r->rows ? 0 : r->request->n_prompt - n_like);
        if (needed > s->n_free)
            return AGON_OK;
        if (!r->rows)
            status = admit_prompt(s, r, like, n_like);
        if (!status)
            status = sample_new(s, r, &s->active[s->n_active]);
        if (!status) {
            r->next_sample++;
            s->n_active++;
        }
    }
    return status;
}

/* ---- one turn: run tokens ---------------------------------------------------------------------------------- */

typedef struct turn {
    size_t n_tokens, n_heads;
} turn;

static void add_head(scheduler *s, turn *t, void *owner, bool is_prompt) {
    s->heads[t->n_heads] = t->n_tokens - 1;
    s->head_owner[t->n_heads] = owner;
    s->head_is_prompt[t->n_heads++] = is_prompt;
}

static void add_answer_token(scheduler *s, turn *t, sample_state *x) {
    int32_t position = (int32_t)(x->owner->request->n_prompt + x->n - 1);
    s->tokens[t->n_tokens++] = (decode_token){x->tokens[x->n - 1], position, x->rows, x->owner->request->adapter};
    add_head(s, t, x, false);
}

static void add_prompt_tokens(scheduler *s, turn *t, request_state *r, size_t *budget) {
    const generate_request *q = r->request;
    for (; *budget > 0 && r->n_prefilled < q->n_prompt; --*budget, r->n_prefilled++)
        s->tokens[t->n_tokens++] =
            (decode_token){q->prompt[r->n_prefilled], (int32_t)r->n_prefilled, r->rows, q->adapter};
    if (r->n_prefilled == q->n_prompt)
        add_head(s, t, r, true);
}

/* Tokens with the same adapter stand together, so that its products see them as one block of rows. */
static void add_tokens_of(scheduler *s, turn *t, const adapter *a, size_t *budget) {
    for (size_t i = 0; i < s->n_active; i++)
        if (s->active[i]->owner->request->adapter == a && !s->active[i]->hidden && s->active[i]->n > 0)
            add_answer_token(s, t, s->active[i]);
    const request_state *last = NULL;
    for (size_t i = 0; i < s->n_active && *budget > 0; i++) {
        request_state *r = s->active[i]->owner;
        if (r != last && r->request->adapter == a && r->n_prefilled < r->request->n_prompt)
            add_prompt_tokens(s, t, r, budget);
        last = r;
    }
}

static bool seen_adapter(const scheduler *s, size_t i) {
    for (size_t j = 0; j < i; j++)
        if (s->active[j]->owner->request->adapter == s->active[i]->owner->request->adapter)
            return true;
    return false;
}

static agon_status run_tokens(scheduler *s) {
    turn t = {0};
    size_t budget = TURN_TOKENS, d = model_get_config(s->m)->d_model;
    for (size_t i = 0; i < s->n_active; i++)
        if (!seen_adapter(s, i))
            add_tokens_of(s, &t, s->active[i]->owner->request->adapter, &budget);
    if (t.n_tokens == 0)
        return ctx_check_interrupt(s->ctx);
    agon_status status = model_decode(s->ctx, s->m, s->work, s->cache, s->tokens, t.n_tokens, s->heads, t.n_heads,
                                      s->hidden);
    if (status)
        return status;
    for (size_t h = 0; h < t.n_heads; h++) {
        if (!s->head_is_prompt[h]) {
            ((sample_state *)s->head_owner[h])->hidden = s->hidden + h * d;
            continue;
        }
        request_state *r = s->head_owner[h];
        memcpy(r->hidden, s->hidden + h * d, d * sizeof *r->hidden);
        for (size_t i = 0; i < s->n_active; i++)
            if (s->active[i]->owner == r && s->active[i]->n == 0)
                s->active[i]->hidden = r->hidden;
    }
    return AGON_OK;
}

/* ---- one turn: draw tokens ---------------------------------------------------------------------------------- */

typedef struct draw {
    scheduler *s;
    sample_state **samples;
    const size_t *row; /* of logits, per sample */
    sample_choice *choice;
} draw;

static void draw_task(void *arg, size_t i, int thread) {
    const draw *d = arg;
    const sample_state *x = d->samples[i];
    const generate_request *q = x->owner->request;
    size_t n = model_get_config(d->s->m)->n_vocabulary;
    sample_input in = {.logits = d->s->logits + d->row[i] * n,
                       .n_vocabulary = n,
                       .options = &q->sampling,
                       .prompt = q->prompt,
                       .n_prompt = q->n_prompt,
                       .generated = x->tokens,
                       .n_generated = x->n,
                       .may_follow = d->s->masks ? d->s->masks + i * n : NULL,
                       .seed = q->seeds[x->index]};
    d->choice[i] = sample_token(d->s->ctx, &in, d->s->scratch + (size_t)thread * sample_scratch_bytes(n));
}

/* Where the first stop string begins in the text, looking only where the new bytes can matter; SIZE_MAX: none. */
static size_t find_stop(const sampling *o, const buffer *text, size_t n_before) {
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < o->n_stop; i++) {
        size_t length = strlen(o->stop[i]);
        size_t from = n_before + 1 > length ? n_before + 1 - length : 0;
        if (length > text->size)
            continue;
        const char *at = memmem(text->data + from, text->size - from, o->stop[i], length);
        if (at && (size_t)(at - text->data) < first)
            first = (size_t)(at - text->data);
    }
    return first;
}

/* Takes the drawn token; *finished tells whether the sample is complete and why. */
static agon_status accept(scheduler *s, sample_state *x, sample_choice c, bool *finished, finish_reason *why) {
    const generate_request *q = x->owner->request;
    const tokenizer *t = model_tokenizer(s->m);
    agon_status status = AGON_OK;
    if (c.token < 0)
        status = ctx_fail(s->ctx, AGON_EINVAL, "sample %zu: no token is allowed after %zu of its answer; allow at least one",
                          x->index + 1, x->n);
    else if (!isfinite(c.log_prob))
        status = ctx_fail(s->ctx, AGON_ENUMERIC, "sample %zu: the log_prob of token %zu is not finite", x->index + 1, x->n + 1);
    if (status)
        return of_request(s, status, (size_t)(x->owner - s->requests));
    x->tokens[x->n] = c.token;
    x->log_probs[x->n++] = c.log_prob;
    x->hidden = NULL;
    *finished = true;
    *why = FINISH_STOP;
    bool stop = t && tokenizer_is_stop(t, c.token) && !q->sampling.ignore_stop_tokens;
    size_t before = x->text.size, n_bytes = 0;
    const char *bytes = "";
    if (t && !tokenizer_is_special(t, c.token)) {
        bytes = x->shown || !chat_begins_text(t, q->prompt, q->n_prompt) ? tokenizer_bytes(t, c.token, &n_bytes)
                                                                        : tokenizer_first_bytes(t, c.token, &n_bytes);
        x->shown = true;
        if (!buffer_append(&x->text, bytes, n_bytes))
            return no_memory(s);
    }
    if (s->options->on_token &&
        s->options->on_token(s->options->arg, (size_t)(x->owner - s->requests), x->index, c.token, bytes, n_bytes))
        return ctx_fail(s->ctx, AGON_EINTERRUPTED, "generation stopped on request");
    size_t cut = n_bytes ? find_stop(&q->sampling, &x->text, before) : SIZE_MAX;
    if (cut != SIZE_MAX) {
        x->text.size = cut;
        x->text.data[cut] = 0;
        return AGON_OK;
    }
    if (stop)
        return AGON_OK;
    *why = FINISH_LENGTH;
    *finished = x->n == x->owner->max_new;
    return AGON_OK;
}

/* On the caller's thread: the answer may come from a script, or keep state. */
static void ask_masks(scheduler *s, sample_state **ready, size_t n) {
    size_t n_vocabulary = model_get_config(s->m)->n_vocabulary;
    for (size_t i = 0; s->masks && i < n; i++) {
        const sample_state *x = ready[i];
        uint8_t *mask = s->masks + i * n_vocabulary;
        memset(mask, 1, n_vocabulary);
        s->options->mask(s->options->arg, (size_t)(x->owner - s->requests), x->index, x->tokens, x->n, mask, n_vocabulary);
    }
}

/* Draws for ready[n], whose hidden states take at most LOGIT_ROWS distinct rows (row[i] of `gathered`); with masks n <= LOGIT_ROWS. */
static agon_status draw_block(scheduler *s, sample_state **ready, const size_t *row, size_t n, size_t n_rows,
                              sample_choice *choice) {
    head_logits(s->ctx, model_head(s->m), s->gathered, n_rows, s->logits);
    ask_masks(s, ready, n);
    draw d = {s, ready, row, choice};
    pool_run(s->ctx->pool, n, draw_task, &d);
    return AGON_OK;
}

static agon_status draw_all(scheduler *s, sample_state **ready, size_t n, size_t *row, sample_choice *choice) {
    size_t d = model_get_config(s->m)->d_model;
    agon_status status = AGON_OK;
    for (size_t first = 0, i = 0; i < n && !status; first = i) {
        const size_t end = s->masks && n - first > LOGIT_ROWS ? first + LOGIT_ROWS : n;
        size_t n_rows = 0;
        /* Samples of one prompt stand together and share the prompt's last hidden state. */
        for (; i < end && (n_rows < LOGIT_ROWS || ready[i]->hidden == ready[i - 1]->hidden); i++) {
            if (i == first || ready[i]->hidden != ready[i - 1]->hidden)
                memcpy(s->gathered + n_rows++ * d, ready[i]->hidden, d * sizeof(float));
            row[i] = n_rows - 1;
        }
        status = draw_block(s, ready + first, row + first, i - first, n_rows, choice + first);
    }
    return status;
}

static agon_status draw_tokens(scheduler *s) {
    agon_status status = AGON_OK;
    size_t n = 0, kept = 0;
    sample_state **ready = malloc(s->n_active * sizeof *ready);
    size_t *row = malloc(s->n_active * sizeof *row);
    sample_choice *choice = malloc(s->n_active * sizeof *choice);
    if (!ready || !row || !choice)
        status = no_memory(s);
    for (size_t i = 0; i < s->n_active && !status; i++)
        if (s->active[i]->hidden)
            ready[n++] = s->active[i];
    if (!status)
        status = draw_all(s, ready, n, row, choice);
    for (size_t i = 0, j = 0; i < s->n_active; i++) {
        sample_state *x = s->active[i];
        bool finished = false;
        finish_reason why = FINISH_LENGTH;
        if (!status && j < n && ready[j] == x)
            status = accept(s, x, choice[j++], &finished, &why);
        if (!status && finished)
            status = finish_sample(s, x, why);
        else
            s->active[kept++] = x;
    }
    s->n_active = kept;
    free(ready);
    free(row);
    free(choice);
    return status;
}

/* ---- set-up ---------------------------------------------------------------------------------------------- */

static agon_status check_request(const scheduler *s, const generate_request *q) {
    const model_config *c = model_get_config(s->m);
    if (q->n_prompt < 1)
        return ctx_fail(s->ctx, AGON_EINVAL, "the prompt is empty; give at least one token");
    if (q->n_prompt > c->max_context)
        return ctx_fail(s->ctx, AGON_EINVAL, "the prompt of %zu tokens is longer than the model's context of %zu; shorten it",
                        q->n_prompt, c->max_context);
    for (size_t j = 0; j < q->n_prompt; j++)
        if (q->prompt[j] < 0 || (size_t)q->prompt[j] >= c->n_vocabulary)
            return ctx_fail(s->ctx, AGON_EINVAL, "token %zu of the prompt, id %d, is not in the vocabulary of %zu", j + 1,
                            (int)q->prompt[j], c->n_vocabulary);
    return sampling_check(s->ctx, c->n_vocabulary, &q->sampling);
}

static agon_status check_requests(scheduler *s, const generate_request *requests, size_t *n_out) {
    const model_config *c = model_get_config(s->m);
    *n_out = 0;
    for (size_t i = 0; i < s->n_requests; i++) {
        const generate_request *q = &requests[i];
        agon_status status = check_request(s, q);
        if (status)
            return of_request(s, status, i);
        size_t room = c->max_context - q->n_prompt, wanted = q->sampling.max_tokens;
        s->requests[i] = (request_state){.request = q, .max_new = wanted < room ? wanted : room, .first_out = *n_out};
        *n_out += q->n_samples;
    }
    return AGON_OK;
}

/* Logits, hidden states and activations of the largest turn. */
static size_t bytes_beside_cache(const agon_ctx *ctx, const model *m, size_t max_batch, size_t rank, bool masked) {
    const model_config *c = model_get_config(m);
    size_t turn = max_batch + TURN_TOKENS, rows = max_batch < LOGIT_ROWS ? max_batch : LOGIT_ROWS;
    workspace_need work = workspace_predict(m, turn, 0, rank, USE_FORWARD);
    size_t vocabulary = size_add(size_mul(rows, c->n_vocabulary * sizeof(float)),
                                 size_mul((size_t)ctx->n_threads, sample_scratch_bytes(c->n_vocabulary)));
    if (masked)
        vocabulary = size_add(vocabulary, size_mul(rows, c->n_vocabulary));
    size_t scratch = size_add(work.scratch, work.scratch / 8); /* a workspace takes an eighth more than it is asked for */
    return size_add(size_add(scratch, vocabulary), size_add(size_mul(turn + rows, c->d_model * sizeof(float)), ALLOCATOR_BYTES));
}

/* Less than `limit` where memory is short: a smaller batch gives the same samples. */
static size_t cache_limit(size_t limit, size_t beside, size_t room) {
    return room != SIZE_MAX && room > beside && (room - beside) / 8 * 7 < limit ? (room - beside) / 8 * 7 : limit;
}

/* Rows for everything at once, or for a full batch of the largest, or what the limit allows; the largest fits anyway. */
static size_t cache_rows(size_t all, size_t largest, size_t max_batch, size_t allowed) {
    size_t batch = size_mul(largest, max_batch), n = all < batch ? all : batch;
    n = n < allowed ? n : allowed;
    return n < largest ? largest : n;
}

generate_memory generate_predict(const agon_ctx *ctx, const model *m, const generate_load *load, size_t room) {
    size_t context = model_get_config(m)->max_context, left = context > load->prompt ? context - load->prompt : 0;
    size_t answer = load->answer < left ? load->answer : left, samples = size_mul(load->requests, load->samples);
    size_t batch = samples < DEFAULT_BATCH ? samples : DEFAULT_BATCH, row = kv_cache_row_bytes(ctx, m);
    size_t beside = bytes_beside_cache(ctx, m, batch, load->rank, false);
    size_t written = answer > 0 ? answer - 1 : 0, largest = load->prompt + written;
    size_t all = size_mul(load->requests, size_add(load->prompt, size_mul(load->samples, written)));
    size_t rows = cache_rows(all, largest, batch, cache_limit(default_cache_bytes, beside, room) / row);
    return (generate_memory){.least = size_add(beside, size_mul(largest, row)), .most = size_add(beside, size_mul(rows, row))};
}

static size_t largest_rank(const scheduler *s) {
    size_t rank = 0;
    for (size_t i = 0; i < s->n_requests; i++) {
        const adapter *a = s->requests[i].request->adapter;
        rank = a && adapter_rank(a) > rank ? adapter_rank(a) : rank;
    }
    return rank;
}

static agon_status make_cache(scheduler *s) {
    size_t limit = s->options->cache_limit_bytes ? s->options->cache_limit_bytes : default_cache_bytes;
    size_t beside = bytes_beside_cache(s->ctx, s->m, s->max_batch, largest_rank(s), s->options->mask);
    size_t all = 0, largest = 1;
    for (size_t i = 0; i < s->n_requests; i++) {
        const request_state *r = &s->requests[i];
        size_t one = r->request->n_prompt + answer_rows(r);
        all = size_add(all, size_add(r->request->n_prompt, size_mul(r->request->n_samples, answer_rows(r))));
        largest = one > largest ? one : largest;
    }
    size_t row = kv_cache_row_bytes(s->ctx, s->m), allowed = limit / row;
    size_t n = cache_rows(all, largest, s->max_batch, cache_limit(limit, beside, memory_room(s->ctx)) / row);
    agon_status status = memory_check(s->ctx, size_add(beside, size_mul(largest, row)),
                                      "generating this prompt's answer", "use a shorter prompt, fewer tokens or a smaller batch");
    if (status)
        return status;
    if (s->options->cache_limit_bytes && largest > allowed)
        return ctx_fail(s->ctx, AGON_ENOMEM,
                        "a prompt and its answer take %zu rows of key-value cache and its limit of %zu MiB holds %zu: allow "
                        "more, or fewer tokens",
                        largest, limit >> 20, allowed);
    s->free_rows = malloc(n * sizeof *s->free_rows);
    s->uses = calloc(n, sizeof *s->uses);
    if (!s->free_rows || !s->uses)
        return no_memory(s);
    for (size_t i = 0; i < n; i++)
        s->free_rows[s->n_free++] = (int32_t)(n - 1 - i);
    return kv_cache_new(s->ctx, s->m, n, &s->cache);
}

static agon_status make_buffers(scheduler *s) {
    const model_config *c = model_get_config(s->m);
    size_t n = s->max_batch + TURN_TOKENS, threads = (size_t)s->ctx->n_threads;
    s->active = calloc(s->max_batch, sizeof *s->active);
    s->tokens = malloc(n * sizeof *s->tokens);
    s->heads = malloc(n * sizeof *s->heads);
    s->head_owner = malloc(n * sizeof *s->head_owner);
    s->head_is_prompt = malloc(n * sizeof *s->head_is_prompt);
    s->hidden = memory_new(n * c->d_model, sizeof(float));
    size_t rows = s->max_batch < LOGIT_ROWS ? s->max_batch : LOGIT_ROWS;
    s->gathered = memory_new(rows * c->d_model, sizeof(float));
    s->logits = memory_new(size_mul(rows, c->n_vocabulary), sizeof(float));
    s->scratch = memory_new(threads, sample_scratch_bytes(c->n_vocabulary));
    s->masks = s->options->mask ? memory_new(rows, c->n_vocabulary) : NULL;
    if ((s->options->mask && !s->masks) || !s->active || !s->tokens || !s->heads || !s->head_owner || !s->head_is_prompt || !s->hidden ||
        !s->gathered || !s->logits || !s->scratch)
        return no_memory(s);
    return workspace_new(s->ctx, 0, &s->work);
}

static void scheduler_free(scheduler *s) {
    for (size_t i = 0; i < s->n_active; i++)
        sample_free(s->active[i]);
    for (size_t i = 0; s->requests && i < s->n_requests; i++) {
        free(s->requests[i].rows);
        free(s->requests[i].hidden);
    }
    free(s->requests);
    free(s->active);
    free(s->free_rows);
    free(s->uses);
    kv_cache_free(s->ctx, s->cache);
    workspace_leave(s->ctx, s->work);
    free(s->tokens);
    free(s->heads);
    free(s->head_owner);
    free(s->head_is_prompt);
    free(s->hidden);
    free(s->gathered);
    free(s->logits);
    free(s->masks);
    free(s->scratch);
}

agon_status generate(agon_ctx *ctx, const model *m, const generate_request *requests, size_t n_requests,
                     const generate_options *options, completion *out) {
    static const generate_options none = {0};
    scheduler s = {.ctx = ctx, .m = m, .options = options ? options : &none, .out = out, .n_requests = n_requests};
    size_t n_out = 0;
    agon_status status = AGON_OK;
    s.max_batch = s.options->max_batch ? s.options->max_batch : DEFAULT_BATCH;
    for (size_t i = 0; i < n_requests; i++)
        n_out += requests[i].n_samples;
    if (n_out)
        memset(out, 0, n_out * sizeof *out);
    s.requests = calloc(n_requests ? n_requests : 1, sizeof *s.requests);
    if (!s.requests)
        return no_memory(&s);
    status = check_requests(&s, requests, &n_out);
    if (!status && n_out > 0) {
        s.max_batch = s.max_batch < n_out ? s.max_batch : n_out;
        if (!(status = make_cache(&s)))
            status = make_buffers(&s);
    }
    if (!status && n_out > 0)
        status = admit(&s);
    while (!status && s.n_active > 0) {
        if (!(status = run_tokens(&s)) && !(status = draw_tokens(&s)))
            status = admit(&s);
    }
    const bool keep = status == AGON_EINTERRUPTED && s.options->keep_partial;
    for (size_t i = 0; keep && status == AGON_EINTERRUPTED && i < s.n_active; i++) {
        agon_status filled = fill_completion(&s, s.active[i]->owner, s.active[i]->index, s.active[i], FINISH_LENGTH);
        status = filled ? filled : status;
    }
    scheduler_free(&s);
    for (size_t i = 0; status && !(keep && status == AGON_EINTERRUPTED) && i < n_out; i++)
        completion_free(&out[i]);
    return status;
}
