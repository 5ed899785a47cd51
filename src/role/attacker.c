/* Variations of queries, see attacker.h (spec: loop 2.1, 2.2; template attacks worded by a language
 * model). */
#include "role/attacker.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/random.h"
#include "role/prompt.h"
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[PERTURBATION_N] = {NULL, "attack-paraphrase", "attack-distractor",
                                                  "attack-rename"};
static const char *const ids[PERTURBATION_N] = {NULL, "attack-paraphrase@3", "attack-distractor@3",
                                                "attack-rename@3"};
static const char *const labels[] = {"Other words:", "Remark:", "Other names:", "Task:"};
static const char *const stops[] = {"\n\n", "\nTask:", "\nThe same", "\nRemark", "\nNames"};

void attacker_variation_free(attacker_variation *v) {
    if (!v)
        return;
    for (size_t i = 0; i < v->n_texts; i++)
        free(v->texts[i]);
    free(v->error);
    *v = (attacker_variation){0};
}

attacker_kinds attacker_all_kinds(void) {
    attacker_kinds all = {0};
    for (int k = PERTURBATION_NONE + 1; k < PERTURBATION_N; k++)
        all.of[k] = true;
    return all;
}

task_perturbation attacker_choose(const attacker_kinds *kinds, bool has_names, size_t turn) {
    task_perturbation fits[PERTURBATION_N];
    size_t n = 0;
    for (int k = PERTURBATION_NONE + 1; k < PERTURBATION_N; k++)
        if (kinds->of[k] && (k != PERTURBATION_RENAME || has_names))
            fits[n++] = (task_perturbation)k;
    return n > 0 ? fits[turn % n] : PERTURBATION_NONE;
}

const char *attacker_template(task_perturbation perturbation) {
    assert(perturbation > PERTURBATION_NONE && perturbation < PERTURBATION_N);
    return ids[perturbation];
}

agon_status attacker_prompt(agon_ctx *ctx, const attacker_item *item, char **out) {
    assert(item->perturbation > PERTURBATION_NONE && item->perturbation < PERTURBATION_N);
    char list[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < item->n_names && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", item->names[i]);
    const prompt_field fields[] = {{"query", item->query}, {"names", list}};
    return prompt_render(ctx, prompt_find(names[item->perturbation]), fields, 2, 0, out);
}

sampling attacker_sampling(void) {
    return (sampling){.temperature = 0.8f,
                      .top_p = 0.95f,
                      .repetition_penalty = 1,
                      .max_tokens = ATTACKER_MAX_TOKENS,
                      .stop = stops,
                      .n_stop = sizeof stops / sizeof *stops};
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

/* ---- putting variations together ---------------------------------------------------- */

/* The output's first sentence before the query. */
static char *with_remark(const char *query, const char *output) {
    char *remark = attacker_parse(output), *text = NULL;
    size_t n = remark ? strcspn(remark, ".!?\n") : 0;
    if (remark && n == 0)
        *remark = 0;
    else if (remark && asprintf(&text, "%.*s%c %s", (int)n, remark, remark[n] && remark[n] != '\n' ? remark[n] : '.', query) < 0)
        text = NULL;
    if (!remark || text) {
        free(remark);
        return text;
    }
    return remark;
}

enum { NAME_SIZE = 24 };

static bool is_letter(char c) {
    return isalpha((unsigned char)c) || ((unsigned char)c & 0x80);
}

/* Does the word stand in the text? */
static bool has_word(const char *text, const char *word) {
    size_t n = strlen(word);
    for (const char *p = text; (p = strstr(p, word)); p++)
        if ((p == text || !is_letter(p[-1])) && !is_letter(p[n]))
            return true;
    return false;
}

/* Names as "Aiko, Omar": distinct plain words with a capital first letter, none of them in the query. */
static bool read_names(const attacker_item *item, const char *output, char out[][NAME_SIZE]) {
    const char *p = output;
    for (size_t k = 0; k < item->n_names; k++) {
        p += strspn(p, " ");
        if (k > 0 && *p++ != ',')
            return false;
        p += strspn(p, " ");
        size_t n = 0;
        while (isalpha((unsigned char)p[n]))
            n++;
        if (n < 2 || n >= NAME_SIZE || !isupper((unsigned char)p[0]) || is_letter(p[n]))
            return false;
        for (size_t i = 1; i < n; i++)
            if (!islower((unsigned char)p[i]))
                return false;
        memcpy(out[k], p, n);
        out[k][n] = 0;
        for (size_t i = 0; i < k; i++)
            if (strcmp(out[i], out[k]) == 0)
                return false;
        if (has_word(item->query, out[k]))
            return false;
        p += n;
    }
    return true;
}

/* Every name of the query replaced by the one in the same place of the output's list. */
static char *with_names(const attacker_item *item, const char *output) {
    char others[ATTACKER_MAX_NAMES][NAME_SIZE];
    if (item->n_names == 0 || item->n_names > ATTACKER_MAX_NAMES || !read_names(item, output, others))
        return strdup("");
    buffer b = {0};
    buffer_init(&b, 4 * TASK_RESPONSE_MAX);
    for (const char *p = item->query; *p;) {
        size_t k = 0;
        bool begins = p == item->query || !is_letter(p[-1]);
        while (k < item->n_names && !(begins && strncmp(p, item->names[k], strlen(item->names[k])) == 0 && !is_letter(p[strlen(item->names[k])])))
            k++;
        if (k < item->n_names) {
            buffer_text(&b, others[k]);
            p += strlen(item->names[k]);
        } else {
            buffer_char(&b, *p++);
        }
    }
    char *text = buffer_take(&b);
    buffer_free(&b);
    return text;
}

char *attacker_compose(const attacker_item *item, const char *output) {
    return item->perturbation == PERTURBATION_DISTRACTOR ? with_remark(item->query, output)
           : item->perturbation == PERTURBATION_RENAME   ? with_names(item, output)
                                                         : attacker_parse(output);
}

static void take_answer(const attacker_item *item, const backend_response *r, attacker_variation *v) {
    v->n_prompt_tokens = r->n_prompt_tokens;
    v->n_completion_tokens = r->n_completion_tokens;
    if (r->state != BACKEND_DONE) {
        v->error = strdup(r->error ? r->error : "no answer");
        return;
    }
    for (size_t i = 0; i < r->n_completions && i < ATTACKER_TRIES; i++) {
        char *text = attacker_compose(item, r->completions[i].text);
        if (text && *text)
            v->texts[v->n_texts++] = text;
        else
            free(text);
    }
    if (v->n_texts == 0)
        v->error = strdup("no answer could be used");
}

agon_status attacker_vary(agon_ctx *ctx, backend *b, const attacker_item *items, size_t n,
                          const adapter *version, attacker_variation *out) {
    if (n == 0)
        return AGON_OK;
    agon_status s = AGON_OK;
    backend_request *requests = memory_new(n, sizeof *requests);
    backend_response *responses = memory_new(n, sizeof *responses);
    char **prompts = memory_new(n, sizeof *prompts);
    uint64_t(*seeds)[ATTACKER_TRIES] = memory_new(n, sizeof *seeds);
    if (!requests || !responses || !prompts || !seeds) {
        s = ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu variations", n);
        goto done;
    }
    for (size_t i = 0; !s && i < n; i++) {
        s = attacker_prompt(ctx, &items[i], &prompts[i]);
        for (size_t k = 0; k < ATTACKER_TRIES; k++)
            seeds[i][k] = seed_derivef(items[i].seed, "try|%zu", k);
        requests[i] = (backend_request){.id = items[i].id,
                                        .role = "attacker",
                                        .prompt = prompts[i],
                                        .n_samples = ATTACKER_TRIES,
                                        .seeds = seeds[i],
                                        .sampling = attacker_sampling(),
                                        .adapter = version};
    }
    if (!s)
        s = backend_run(ctx, b, requests, n, responses);
    if (s)
        goto done;
    for (size_t i = 0; i < n; i++) {
        out[i] = (attacker_variation){0};
        take_answer(&items[i], &responses[i], &out[i]);
        backend_response_free(&responses[i]);
    }
done:
    for (size_t i = 0; prompts && i < n; i++)
        free(prompts[i]);
    free(prompts);
    free(seeds);
    free(requests);
    free(responses);
    return s;
}
