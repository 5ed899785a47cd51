/* The critic, see critic.h. Likelihood judgements follow GenRM (Zhang et al. 2024): P(Yes) /
 * (P(Yes) + P(No)) after "Is the answer correct?". */
#include "role/critic.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/utf8.h"
#include "role/parse.h"
#include "role/prompt.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VERDICT_TOKENS = 400 };

static const char *const yes_no[] = {CRITIC_YES, CRITIC_NO};

/* ---- the executable critic ------------------------------------------------------ */

const char *critique_form_name(critique_form form) {
    return form == CRITIQUE_FULL ? "full" : "masked";
}

/* What evidence begins with where it is a predicate: the verifiers' own verbs, and some that a user's program may begin with. */
static const char *const predicates[] = {
    "claims", "closes", "contains", "does", "ends", "gives", "has", "is", "leaves", "lists", "marks", "names", "offers", "opens", "puts", "repeats", "says", "starts",
    "writes", "breaks", "can", "cannot", "fails", "forgets", "ignores", "lacks", "mentions", "misses", "must", "needs", "omits", "should", "uses", "was"};
static const char lower[] = "abcdefghijklmnopqrstuvwxyz";

/* "says 78, but 42 + 25 = 67", "only says what it is not"; not "the word 'x' occurs", which has a subject. */
static bool is_predicate(const char *words) {
    words += strncmp(words, "only ", 5) == 0 ? 5 : 0;
    const size_t n = strspn(words, lower);
    for (size_t i = 0; i < sizeof predicates / sizeof *predicates; i++)
        if (strlen(predicates[i]) == n && strncmp(words, predicates[i], n) == 0)
            return true;
    return false;
}

/* Does it begin with a word that gets a capital? "x = 3" and "f(x)" keep theirs. */
static bool is_clause(const char *words) {
    const size_t n = strspn(words, lower);
    return words[n] == ' ' && (n > 1 || *words == 'a');
}

agon_status critic_executable(agon_ctx *ctx, const task_verdict *verdict, critique_form form,
                              bool first_words, char **out) {
    const char *words = form == CRITIQUE_FULL ? verdict->evidence : verdict->masked;
    if (verdict->outcome == OUTCOME_UNKNOWN || !words || !*words)
        return ctx_fail(ctx, AGON_EINVAL,
                        "an answer that the verifier cannot judge gives no critique");
    buffer b = {0};
    buffer_init(&b, 2 * TASK_RESPONSE_MAX);
    if (first_words ? islower((unsigned char)*words) != 0 : is_predicate(words))
        buffer_text(&b, "It ");
    else if (!first_words && is_clause(words))
        buffer_char(&b, (char)toupper((unsigned char)*words++));
    buffer_text(&b, words);
    if (!strchr(".!?", words[strlen(words) - 1]))
        buffer_char(&b, '.');
    char *text = buffer_take(&b);
    buffer_free(&b);
    if (!text)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for a critique");
    *out = text;
    return AGON_OK;
}

/* ---- prompts -------------------------------------------------------------------- */

enum { LIKELIHOOD, TEXT, FENCED, VALIDITY };
/* [1]: of critic_item.first_prompts; long prompts are fenced, then as now. */
static const char *const names[][2] = {{"critic-likelihood@2", "critic-likelihood@1"},
                                       {"critic-text@2", "critic-text@1"},
                                       {"critic-fenced@1", "critic-fenced@1"},
                                       {"validity@2", "validity@2"}};

static agon_status render(agon_ctx *ctx, int which, const critic_item *item, char **out) {
    const char *principles = item->principles ? item->principles : "", *name = names[which][item->first_prompts];
    const prompt_field fields[] = {{"query", item->query}, {"answer", item->answer}, {"rewording", item->answer}, {"principles", principles}};
    if (item->principles && (which == LIKELIHOOD || which == FENCED))
        name = which == LIKELIHOOD ? "principles-likelihood@1" : "principles-fenced@1";
    const bool own = item->own && (which == LIKELIHOOD || which == FENCED);
    return prompt_render(ctx, own ? item->own : prompt_find(name), fields, sizeof fields / sizeof *fields, item->seed, out);
}

agon_status critic_likelihood_prompt(agon_ctx *ctx, const critic_item *item, char **out) {
    return render(ctx, LIKELIHOOD, item, out);
}

const char *critic_text_template(bool first_prompts) {
    return names[TEXT][first_prompts];
}

/* ---- judging -------------------------------------------------------------------- */

void critic_judgement_free(critic_judgement *j) {
    if (!j)
        return;
    free(j->critique);
    free(j->error);
    free(j->unread);
    *j = (critic_judgement){.p = NAN};
}

/* A program's own verdict, if its answer holds one: P(correct), or NAN. */
static double program_verdict(const json_t *extra) {
    const json_t *verdict = json_object_get(extra, "verdict"),
                 *confidence = json_object_get(extra, "confidence");
    const char *word = json_string_value(verdict);
    int pass = json_is_boolean(verdict)        ? json_is_true(verdict)
               : word && !strcmp(word, "pass") ? 1
               : word && !strcmp(word, "fail") ? 0
                                               : -1;
    if (pass < 0)
        return NAN;
    double sure = json_is_number(confidence) ? json_number_value(confidence) : 1;
    if (!(sure >= 0 && sure <= 1))
        return NAN;
    return pass ? sure : 1 - sure;
}

/* What it wrote, within what was asked for; new. */
static char *written(const backend_completion *c, size_t max_tokens) {
    return strndup(c->text, backend_text_length(c, max_tokens));
}

/* Why, in a program's own words; new, NULL where it gave none. */
static char *evidence_of(const json_t *extra) {
    const char *evidence = json_string_value(json_object_get(extra, "evidence"));
    return evidence ? strndup(evidence, utf8_cut(evidence, BACKEND_MOST_EVIDENCE)) : NULL;
}

static void read_votes(const backend_response *r, critic_judgement *j) {
    size_t n_yes = 0, n_read = 0;
    for (size_t i = 0; i < r->n_completions; i++) {
        int vote = parse_yes_no(r->completions[i].text);
        if (vote < 0) {
            j->n_unparsable++;
            continue;
        }
        n_yes += (size_t)vote;
        if (n_read++ == 0)
            j->critique = written(&r->completions[i], VERDICT_TOKENS);
    }
    if (n_read)
        j->p = (double)n_yes / (double)n_read;
    else if (r->n_completions)
        j->unread = written(r->completions, VERDICT_TOKENS);
}

static void read_judgement(const backend_response *r, critic_judgement *j) {
    *j = (critic_judgement){.p = NAN,
                            .n_prompt_tokens = r->n_prompt_tokens,
                            .n_completion_tokens = r->n_completion_tokens};
    if (r->state != BACKEND_DONE) {
        j->error = strdup(r->error ? r->error : "no answer");
        return;
    }
    double p[2];
    if (r->n_scores == 2) {
        if (parse_likelihood(r->scores, 2, p))
            j->p = p[0];
        return;
    }
    j->p = program_verdict(r->extra);
    j->critique = evidence_of(r->extra);
    if (isnan(j->p) && !json_object_get(r->extra, "verdict"))
        read_votes(r, j);
}

/* Requests of one kind for all items, run together. */
typedef struct work {
    backend_batch batch;
    char **prompts;
    chat_message *messages;
    uint64_t *seeds; /* [n, n_samples] */
} work;

static void work_free(work *w) {
    for (size_t i = 0; w->prompts && i < w->batch.n; i++)
        free(w->prompts[i]);
    free(w->prompts);
    free(w->messages);
    free(w->seeds);
    backend_batch_free(&w->batch);
}

static agon_status work_new(agon_ctx *ctx, const critic_item *items, size_t n, size_t n_samples,
                            int which, const adapter *version, work *w) {
    size_t seeds = size_mul(n, n_samples ? n_samples : 1);
    *w = (work){.prompts = memory_new(n, sizeof *w->prompts), .messages = memory_new(n, sizeof *w->messages),
                .seeds = memory_new(seeds, sizeof *w->seeds)};
    agon_status s = backend_batch_new(ctx, n, &w->batch);
    if (s || !w->prompts || !w->messages || !w->seeds)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu critic requests", n);
    for (size_t i = 0; i < n; i++) {
        s = render(ctx, which, &items[i], &w->prompts[i]);
        if (s)
            return s;
        for (size_t k = 0; k < n_samples; k++)
            w->seeds[i * n_samples + k] = seed_derivef(items[i].seed, "vote|%zu", k);
        w->messages[i] = (chat_message){"user", w->prompts[i]};
        w->batch.requests[i] = (backend_request){.id = items[i].id,
                                           .role = "critic",
                                           .messages = &w->messages[i],
                                           .n_messages = 1,
                                           .n_samples = n_samples,
                                           .seeds = w->seeds + i * n_samples,
                                           .sampling = {.top_p = 1, .repetition_penalty = 1},
                                           .adapter = version};
    }
    return AGON_OK;
}

/* What a program needs to answer without reading a prompt; `ask`: "verdict" or "critique". */
static void tell_program(work *w, size_t i, const critic_item *item, const char *ask) {
    w->batch.requests[i].extra = w->batch.extras[i] =
        json_pack("{s:s, s:s, s:s}", "ask", ask, "query", item->query, "answer", item->answer);
}

static agon_status prepare_judging(agon_ctx *ctx, const backend *b, const critic_item *items,
                                   size_t n, size_t n_votes, const adapter *version, work *w) {
    bool score = backend_capabilities(b) & CAN_SCORE;
    agon_status s = work_new(ctx, items, n,
                             score     ? 0
                             : n_votes ? n_votes
                                       : 1,
                             score ? LIKELIHOOD : FENCED, version, w);
    for (size_t i = 0; !s && i < n; i++) {
        backend_request *r = &w->batch.requests[i];
        if (score) {
            r->prompt = w->prompts[i];
            r->n_messages = 0;
            r->continuations = yes_no;
            r->n_continuations = 2;
            continue;
        }
        r->sampling.temperature = r->n_samples > 1 ? 0.7f : 0;
        r->sampling.max_tokens = VERDICT_TOKENS;
        tell_program(w, i, &items[i], "verdict");
    }
    return s;
}

/* Asks and reads the judgements, unless preparing the work failed (s). Frees the work. */
static agon_status run_judging(agon_ctx *ctx, backend *b, agon_status s, work *w, critic_judgement *out) {
    if (!s)
        s = backend_run(ctx, b, w->batch.requests, w->batch.n, w->batch.responses);
    for (size_t i = 0; !s && i < w->batch.n; i++)
        read_judgement(&w->batch.responses[i], &out[i]);
    work_free(w);
    return s;
}

agon_status critic_judge(agon_ctx *ctx, backend *b, const critic_item *items, size_t n,
                         size_t n_votes, const adapter *version, critic_judgement *out) {
    if (n == 0)
        return AGON_OK;
    work w;
    agon_status s = prepare_judging(ctx, b, items, n, n_votes, version, &w);
    return run_judging(ctx, b, s, &w, out);
}

agon_status critic_same_task(agon_ctx *ctx, backend *b, const critic_item *items, size_t n,
                             critic_judgement *out) {
    if (n == 0)
        return AGON_OK;
    work w;
    agon_status s = work_new(ctx, items, n, 1, VALIDITY, NULL, &w);
    for (size_t i = 0; !s && i < n; i++) {
        w.batch.requests[i].sampling.max_tokens = VERDICT_TOKENS;
        w.batch.requests[i].extra = w.batch.extras[i] =
            json_pack("{s:s, s:s, s:s}", "ask", "same_task", "query", items[i].query, "rewording", items[i].answer);
    }
    return run_judging(ctx, b, s, &w, out);
}

agon_status critic_write(agon_ctx *ctx, backend *b, const critic_item *items, size_t n,
                         const adapter *version, char **out) {
    if (n == 0)
        return AGON_OK;
    work w;
    agon_status s = work_new(ctx, items, n, 1, TEXT, version, &w);
    for (size_t i = 0; !s && i < n; i++) {
        w.batch.requests[i].sampling.temperature = 0;
        w.batch.requests[i].sampling.max_tokens = CRITIC_WRITE_TOKENS;
        tell_program(&w, i, &items[i], "critique");
    }
    if (!s)
        s = backend_run(ctx, b, w.batch.requests, n, w.batch.responses);
    for (size_t i = 0; !s && i < n; i++) {
        const backend_response *r = &w.batch.responses[i];
        const bool done = r->state == BACKEND_DONE;
        out[i] = done && r->n_completions ? written(&r->completions[0], CRITIC_WRITE_TOKENS) : done ? evidence_of(r->extra) : NULL;
    }
    work_free(&w);
    return s;
}
