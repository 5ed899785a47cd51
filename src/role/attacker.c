/* Variations of queries, see attacker.h (spec: loop 2.1, 2.2; template attacks worded by a language
 * model). */
#include "role/attacker.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "role/prompt.h"
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TOKENS = 96 };

static const char *const names[PERTURBATION_N] = {NULL, "attack-paraphrase", "attack-distractor",
                                                  "attack-rename"};
static const char *const ids[PERTURBATION_N] = {NULL, "attack-paraphrase@2", "attack-distractor@2",
                                                "attack-rename@2"};
static const char *const labels[] = {"Other words:", "With the sentence:", "Other names:", "Task:"};
static const char *const stops[] = {"\n\n", "\nTask:", "\nThe same", "\nWith"};

void attacker_variation_free(attacker_variation *v) {
    if (!v)
        return;
    free(v->text);
    free(v->error);
    *v = (attacker_variation){0};
}

const char *attacker_template(task_perturbation perturbation) {
    assert(perturbation > PERTURBATION_NONE && perturbation < PERTURBATION_N);
    return ids[perturbation];
}

agon_status attacker_prompt(agon_ctx *ctx, task_perturbation perturbation, const char *query,
                            char **out) {
    assert(perturbation > PERTURBATION_NONE && perturbation < PERTURBATION_N);
    const prompt_field field = {"query", query};
    return prompt_render(ctx, prompt_find(names[perturbation]), &field, 1, 0, out);
}

static void trim(const char **start, const char **end) {
    while (*start < *end && isspace((unsigned char)**start))
        ++*start;
    while (*end > *start && isspace((unsigned char)(*end)[-1]))
        --*end;
}

char *attacker_parse(const char *output) {
    const char *start = output, *end = output + strlen(output);
    trim(&start, &end);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if ((size_t)(end - start) >= strlen(labels[i]) &&
            !strncasecmp(start, labels[i], strlen(labels[i]))) {
            start += strlen(labels[i]);
            trim(&start, &end);
        }
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        const char *stop = strstr(start, stops[i]);
        if (stop && stop < end)
            end = stop;
    }
    trim(&start, &end);
    /* Quotation marks around the whole, not two quotations inside it. */
    if (end - start >= 2 && *start == '"' && end[-1] == '"' &&
        memchr(start + 1, '"', (size_t)(end - start - 1)) == end - 1) {
        start++;
        end--;
        trim(&start, &end);
    }
    return strndup(start, (size_t)(end - start));
}

static void take_answer(const backend_response *r, attacker_variation *v) {
    v->n_prompt_tokens = r->n_prompt_tokens;
    v->n_completion_tokens = r->n_completion_tokens;
    if (r->state != BACKEND_DONE) {
        v->error = strdup(r->error ? r->error : "no answer");
        return;
    }
    v->text = attacker_parse(r->completions[0].text);
    if (v->text && *v->text)
        return;
    free(v->text);
    v->text = NULL;
    v->error = strdup("the answer was empty");
}

agon_status attacker_vary(agon_ctx *ctx, backend *b, const attacker_item *items, size_t n,
                          const adapter *version, attacker_variation *out) {
    if (n == 0)
        return AGON_OK;
    agon_status s = AGON_OK;
    backend_request *requests = memory_new(n, sizeof *requests);
    backend_response *responses = memory_new(n, sizeof *responses);
    char **prompts = memory_new(n, sizeof *prompts);
    if (!requests || !responses || !prompts) {
        s = ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu variations", n);
        goto done;
    }
    const sampling how = {.temperature = 0.8f,
                          .top_p = 0.95f,
                          .repetition_penalty = 1,
                          .max_tokens = MAX_TOKENS,
                          .stop = stops,
                          .n_stop = sizeof stops / sizeof *stops};
    for (size_t i = 0; !s && i < n; i++) {
        s = attacker_prompt(ctx, items[i].perturbation, items[i].query, &prompts[i]);
        requests[i] = (backend_request){.id = items[i].id,
                                        .role = "attacker",
                                        .prompt = prompts[i],
                                        .n_samples = 1,
                                        .seeds = &items[i].seed,
                                        .sampling = how,
                                        .adapter = version};
    }
    if (!s)
        s = backend_run(ctx, b, requests, n, responses);
    if (s)
        goto done;
    for (size_t i = 0; i < n; i++) {
        out[i] = (attacker_variation){0};
        take_answer(&responses[i], &out[i]);
        backend_response_free(&responses[i]);
    }
done:
    for (size_t i = 0; prompts && i < n; i++)
        free(prompts[i]);
    free(prompts);
    free(requests);
    free(responses);
    return s;
}
