/* Judges, see judge.h. What a program or a model says is foreign text: a number is taken from it, or nothing. */
#include "role/judge.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/utf8.h"
#include "objective/objective.h"
#include "role/backend_private.h"
#include "role/critic.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double POLL_SECONDS = 0.2;

static agon_status no_memory(agon_ctx *ctx) {
    return ctx_fail(ctx, AGON_ENOMEM, "no memory for a judge's requests");
}

/* ---- a program --------------------------------------------------------------------------------------------- */

typedef struct asked {
    backend_batch batch;
    chat_message **messages; /* [n] strings borrowed from the prompt and the extra */
} asked;

static void asked_free(asked *q) {
    for (size_t i = 0; q->messages && i < q->batch.n; i++)
        free(q->messages[i]);
    free(q->messages);
    backend_batch_free(&q->batch);
}

/* The row's members, the prompt and the answer; new, NULL on memory. */
static json_t *data_of(const judge_item *item) {
    char *answer = utf8_repair(item->answer, item->n_answer);
    json_t *data = item->row ? json_copy((json_t *)item->row) : json_object();
    bool good = data && answer && json_object_set(data, "prompt", (json_t *)item->prompt) == 0 &&
                json_object_set_new(data, "completion", json_string(answer)) == 0;
    free(answer);
    if (good)
        return data;
    json_decref(data);
    return NULL;
}

/* The conversation up to the answer; new, *n. NULL on memory. */
static chat_message *conversation(const json_t *prompt, const char *answer, size_t *n) {
    size_t turns = json_is_array(prompt) ? json_array_size(prompt) : 1;
    chat_message *all = memory_new(turns + 1, sizeof *all);
    if (!all)
        return NULL;
    for (size_t i = 0; i < turns; i++) {
        const json_t *m = json_is_array(prompt) ? json_array_get(prompt, i) : NULL;
        const char *role = json_string_value(json_object_get(m, "role"));
        const char *content = json_string_value(m ? json_object_get(m, "content") : prompt);
        all[i] = (chat_message){role ? role : "user", content ? content : ""};
    }
    all[turns] = (chat_message){"assistant", answer};
    *n = turns + 1;
    return all;
}

static agon_status prepare(agon_ctx *ctx, const judge_item *items, size_t n, asked *q) {
    agon_status s = backend_batch_new(ctx, n, &q->batch);
    q->messages = memory_new(n, sizeof *q->messages);
    if (s || !q->messages)
        return no_memory(ctx);
    for (size_t i = 0; i < n; i++) {
        size_t n_messages = 0;
        q->batch.extras[i] = data_of(&items[i]);
        const char *answer = json_string_value(json_object_get(q->batch.extras[i], "completion"));
        q->messages[i] = answer ? conversation(items[i].prompt, answer, &n_messages) : NULL;
        if (!q->messages[i])
            return no_memory(ctx);
        q->batch.requests[i] = (backend_request){.id = items[i].id,
                                           .role = "judge",
                                           .messages = q->messages[i],
                                           .n_messages = n_messages,
                                           .sampling = {.top_p = 1, .repetition_penalty = 1},
                                           .extra = q->batch.extras[i]};
    }
    return AGON_OK;
}

static bool read_reward(const json_t *said, double *out) {
    const json_t *reward = json_object_get(said, "reward"), *verdict = json_object_get(said, "verdict");
    const char *word = json_string_value(verdict);
    if (json_is_number(reward))
        *out = json_number_value(reward);
    else if (!reward && (json_is_boolean(verdict) || (word && (strcmp(word, "pass") == 0 || strcmp(word, "fail") == 0))))
        *out = word ? strcmp(word, "pass") == 0 : json_is_true(verdict);
    else
        return false;
    return !isnan(*out);
}

/* AGON_EREMOTE for a response that brings no reward; pending ones are left for later. */
static agon_status take_reward(agon_ctx *ctx, const backend_request *q, const backend_response *r, double *out) {
    if (r->state == BACKEND_FAILED)
        return ctx_fail(ctx, AGON_EREMOTE, "judge, %s: %s; run again to go on with this round", q->id, r->error ? r->error : "no answer");
    if (r->state == BACKEND_DONE && !read_reward(r->extra, out))
        return ctx_fail(ctx, AGON_EREMOTE, "judge, %s: its answer has no \"reward\" that is a finite number", q->id);
    if (r->state == BACKEND_DONE && !number_fits(*out))
        return ctx_fail(ctx, AGON_ENUMERIC, "judge, %s: the reward is %g; it must be from %g to %g", q->id, *out, -NUMBER_LIMIT, NUMBER_LIMIT);
    return AGON_OK;
}

agon_status judge_ask(agon_ctx *ctx, backend *b, const judge_item *items, size_t n, double *out) {
    asked q;
    size_t n_pending = n;
    if (n == 0)
        return AGON_OK;
    agon_status s = prepare(ctx, items, n, &q);
    if (!s)
        s = backend_submit(ctx, b, q.batch.requests, n, q.batch.responses);
    bool submitted = !s;
    while (!s && n_pending) {
        s = ctx_check_interrupt(ctx);
        if (!s)
            s = backend_poll(ctx, b, POLL_SECONDS, &n_pending);
        for (size_t i = 0; i < n && !s; i++)
            s = take_reward(ctx, &q.batch.requests[i], &q.batch.responses[i], &out[i]);
    }
    if (s && submitted)
        b->table->cancel(b);
    asked_free(&q);
    return s;
}

/* ---- a language model ---------------------------------------------------------------------------------------- */

/* What is asked, in words: a single message as it is, a conversation turn by turn. New, NULL on memory. */
static char *words_of(const json_t *prompt) {
    const json_t *only = json_array_size(prompt) == 1 ? json_object_get(json_array_get(prompt, 0), "content") : prompt;
    buffer b = {0};
    if (json_is_string(only))
        return strdup(json_string_value(only));
    for (size_t i = 0; i < json_array_size(prompt); i++) {
        const json_t *m = json_array_get(prompt, i);
        const char *role = json_string_value(json_object_get(m, "role")), *content = json_string_value(json_object_get(m, "content"));
        buffer_printf(&b, "%s%s: %s", i ? "\n" : "", role ? role : "user", content ? content : "");
    }
    return buffer_take(&b);
}

static agon_status take_judgement(agon_ctx *ctx, const char *id, const critic_judgement *j, double *out) {
    if (j->error)
        return ctx_fail(ctx, AGON_EREMOTE, "judge, %s: %.400s; run again to go on with this round", id, j->error);
    *out = j->p;
    return AGON_OK;
}

/* AGON_EREMOTE where not one of n is known; id: the first one's. */
static agon_status check_verdicts(agon_ctx *ctx, const char *id, const critic_judgement *judged, size_t n, const double *out) {
    size_t unknown = 0;
    char shown[200];
    while (unknown < n && isnan(out[unknown]))
        unknown++;
    if (n == 0 || unknown < n)
        return AGON_OK;
    const char *text = judged->unread ? judged->unread : "";
    utf8_escape(shown, sizeof shown, text, strlen(text));
    return ctx_fail(ctx, AGON_EREMOTE, "the judge wrote no verdict on any of %zu samples: what it writes is to end with [[Yes]] or [[No]], and on %s it wrote '%s'", n, id, shown);
}

agon_status judge_by_model(agon_ctx *ctx, backend *b, const judge_item *items, size_t n, size_t n_votes, uint64_t seed, const char *principles,
                           bool first_prompts, double *out) {
    critic_item *asked = memory_new(n + 1, sizeof *asked);
    critic_judgement *judged = memory_new(n + 1, sizeof *judged);
    char **texts = memory_new(2 * n + 1, sizeof *texts);
    agon_status s = asked && judged && texts ? AGON_OK : no_memory(ctx);
    for (size_t i = 0; i < n && !s; i++) {
        texts[2 * i] = words_of(items[i].prompt);
        texts[2 * i + 1] = utf8_repair(items[i].answer, items[i].n_answer);
        asked[i] = (critic_item){.id = items[i].id, .query = texts[2 * i], .answer = texts[2 * i + 1], .seed = seed_derivef(seed, "judge|%s", items[i].id),
                                 .principles = principles, .first_prompts = first_prompts};
        s = texts[2 * i] && texts[2 * i + 1] ? AGON_OK : no_memory(ctx);
    }
    if (!s)
        s = critic_judge(ctx, b, asked, n, n_votes, NULL, judged);
    for (size_t i = 0; i < n && !s; i++)
        s = take_judgement(ctx, items[i].id, &judged[i], &out[i]);
    if (!s)
        s = check_verdicts(ctx, items->id, judged, n, out);
    for (size_t i = 0; i < n && judged; i++)
        critic_judgement_free(&judged[i]);
    for (size_t i = 0; i < 2 * n && texts; i++)
        free(texts[i]);
    free(asked);
    free(judged);
    free(texts);
    return s;
}
