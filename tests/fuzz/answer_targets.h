/* What the fuzz targets of what models and programs answer do with one input. test_answer_corpus.c runs the same functions over the kept corpus
 * and its mutations, without a fuzzer. An answer is never an error: where one is found, or an invariant is broken, they abort. */
#ifndef TESTS_FUZZ_ANSWER_TARGETS_H
#define TESTS_FUZZ_ANSWER_TARGETS_H

#include "fuzz_check.h"
#include "base/utf8.h"
#include "eval/ifeval.h"
#include "role/attacker.h"
#include "role/backend_private.h"
#include "role/critic.h"
#include "role/critic_claims.h"
#include "role/judge.h"
#include "role/parse.h"
#include "role/verifier.h"
#include "task/task.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The input behind its first byte, which chooses among `most`: *which. A text of exactly its size, so that a byte read behind it is seen. */
static inline char *fuzz_text(const uint8_t *data, size_t n, size_t most, size_t *which) {
    char *text = strndup(n ? (const char *)data + 1 : "", n ? n - 1 : 0);
    if (!text)
        abort();
    *which = n ? data[0] % most : 0;
    return text;
}

/* ---- verifiers --------------------------------------------------------------------------------------------- */

/* The user's own rows: a verifier of each kind that is no writing constraint, then every constraint by its argument. */
static const char *const fuzz_rows_of_users[] = {
    "{\"query\":\"6 * 7?\",\"answer\":[\"42\",\"1/2\"]}",
    "{\"query\":\"Capital of France?\",\"answer\":[\"Paris\",\"*\"]}",
    "{\"query\":\"Who?\",\"answer\":[\"a\",\"Ada Lovelace\"],\"verifier\":\"contains\"}",
    "{\"query\":\"Write.\",\"verifier\":\"lower_case\"}",
    "{\"query\":\"Write.\",\"verifier\":\"upper_case\"}",
    "{\"query\":\"Write.\",\"verifier\":\"no_commas\"}",
    "{\"query\":\"Write.\",\"verifier\":\"no_digits\"}",
    "{\"query\":\"Write.\",\"verifier\":\"no_letter\",\"arguments\":{\"letter\":\"e\"}}",
    "{\"query\":\"Write.\",\"verifier\":\"max_words\",\"arguments\":{\"n\":3}}",
    "{\"query\":\"Write.\",\"verifier\":\"min_words\",\"arguments\":{\"n\":3}}",
    "{\"query\":\"Write.\",\"verifier\":\"exact_words\",\"arguments\":{\"n\":3}}",
    "{\"query\":\"Write.\",\"verifier\":\"sentences\",\"arguments\":{\"n\":2}}",
    "{\"query\":\"Write.\",\"verifier\":\"bullets\",\"arguments\":{\"n\":2}}",
    "{\"query\":\"Write.\",\"verifier\":\"placeholders\",\"arguments\":{\"n\":2}}",
    "{\"query\":\"Write.\",\"verifier\":\"highlight\",\"arguments\":{\"n\":2}}",
    "{\"query\":\"Write.\",\"verifier\":\"required_word\",\"arguments\":{\"word\":\"tea\"}}",
    "{\"query\":\"Write.\",\"verifier\":\"forbidden_word\",\"arguments\":{\"word\":\"tea\"}}",
    "{\"query\":\"Write.\",\"verifier\":\"start_phrase\",\"arguments\":{\"phrase\":\"My tea\"}}",
    "{\"query\":\"Write.\",\"verifier\":\"end_phrase\",\"arguments\":{\"phrase\":\"That is all.\"}}",
    "{\"query\":\"Write.\",\"verifier\":\"exclamation\"}",
    "{\"query\":\"Write.\",\"verifier\":\"question\"}",
    "{\"query\":\"Write.\",\"verifier\":\"quotation\"}",
    "{\"query\":\"Write.\",\"verifier\":\"json_object\",\"arguments\":{\"keys\":[\"a\",\"b\"]}}",
    "{\"query\":\"Write.\",\"verifier\":\"title\"}",
    "{\"query\":\"Write.\",\"verifier\":\"repeat_request\",\"arguments\":{\"request\":\"Name a tea.\"}}",
};
enum { FUZZ_USERS = sizeof fuzz_rows_of_users / sizeof *fuzz_rows_of_users, FUZZ_MAX_QUERIES = 128 };

/* A query of each cell, then those of users; made once, never changed. */
static inline const task_query *fuzz_queries(agon_ctx *ctx, size_t *n) {
    static task_query all[FUZZ_MAX_QUERIES];
    static size_t made;
    for (; made < task_n_cells(); made++)
        FUZZ_CHECK(made < FUZZ_MAX_QUERIES - FUZZ_USERS && task_generate(ctx, made, task_seed(7, "fuzz", made, 0), PERTURBATION_NONE, &all[made]) == AGON_OK,
                   "cell %zu: %s", made, agon_error(ctx));
    for (; made < task_n_cells() + FUZZ_USERS; made++) {
        json_t *row = json_loads(fuzz_rows_of_users[made - task_n_cells()], 0, NULL);
        FUZZ_CHECK(task_user_query(ctx, "row", row, &all[made]) == AGON_OK, "%s", agon_error(ctx));
        json_decref(row);
    }
    *n = made;
    return all;
}

static inline bool fuzz_is_utf8(const char *text) {
    char *repaired = utf8_repair(text, strlen(text));
    bool same = repaired && strcmp(repaired, text) == 0;
    free(repaired);
    return same;
}

/* What every verdict keeps: words that can be stored, and a span of the response that is the quote. */
static inline void fuzz_check_verdict(const task_verdict *v, const char *response) {
    FUZZ_CHECK(v->evidence && v->masked && fuzz_is_utf8(v->evidence) && fuzz_is_utf8(v->masked), "words");
    FUZZ_CHECK(v->outcome != OUTCOME_PASS || strcmp(v->evidence, v->masked) == 0, "a pass");
    FUZZ_CHECK(v->span_start <= v->span_end && v->span_end <= strlen(response), "a span");
    FUZZ_CHECK(!v->quote || (strlen(v->quote) == v->span_end - v->span_start &&
                             memcmp(v->quote, response + v->span_start, v->span_end - v->span_start) == 0), "a quote");
}

static inline agon_status fuzz_response(agon_ctx *ctx, const uint8_t *data, size_t n) {
    size_t n_queries, which;
    const task_query *queries = fuzz_queries(ctx, &n_queries);
    char *response = fuzz_text(data, n, n_queries, &which);
    task_verdict v = {0};
    FUZZ_CHECK(task_verify(ctx, &queries[which], response, &v) == AGON_OK, "%s: %s", queries[which].cell, agon_error(ctx));
    fuzz_check_verdict(&v, response);
    task_verdict_free(&v);
    free(response);
    return AGON_OK;
}

/* ---- rewordings, critiques, verdicts in words ----------------------------------------------------------------- */

/* What an attacker wrote of a query: put together, checked, and accepted only where it can be a query. */
static inline void fuzz_vary(agon_ctx *ctx, const task_query *query, task_perturbation p, const char *output) {
    static const char *const names[] = {"Tom", "Mia"};
    attacker_item item = {.id = "fuzz", .query = query->text, .perturbation = p, .names = names, .n_names = 2};
    char *text = attacker_compose(&item, output), *reason = NULL;
    bool ok = false;
    FUZZ_CHECK(text && task_variation_check(ctx, query, p, text, &ok, &reason) == AGON_OK, "a rewording: %s", agon_error(ctx));
    FUZZ_CHECK(ok == !reason && (!reason || fuzz_is_utf8(reason)), "a reason");
    if (ok) {
        task_query reworded = {0};
        FUZZ_CHECK(fuzz_is_utf8(text) && strlen(text) <= 4096, "an accepted rewording");
        FUZZ_CHECK(task_variation(ctx, query, p, text, &reworded) == AGON_OK && task_check(ctx, &reworded) == AGON_OK, "'%s': %s", text, agon_error(ctx));
        task_query_free(&reworded);
    }
    free(reason);
    free(text);
}

static inline void fuzz_quotes(agon_ctx *ctx, const char *text, const char *open, const char *close) {
    critic_quote *quotes = NULL;
    size_t n = 0, length = strlen(text);
    bool ascii = true;
    for (size_t i = 0; i < length; i++)
        ascii = ascii && (unsigned char)text[i] < 0x80;
    FUZZ_CHECK(critic_check_quotes(ctx, text, text, open, close, false, &quotes, &n) == AGON_OK, "%s", agon_error(ctx));
    for (size_t i = 0; i < n; i++) {
        FUZZ_CHECK(quotes[i].text_start <= quotes[i].text_end && quotes[i].text_end <= length, "a quote's own bytes");
        FUZZ_CHECK(!quotes[i].found || (quotes[i].start < quotes[i].end && quotes[i].end <= length), "a quote's place");
        bool blank = strspn(text + quotes[i].text_start, " \t\r\n\v\f") >= quotes[i].text_end - quotes[i].text_start;
        FUZZ_CHECK(quotes[i].found || blank || !ascii, "a text that quotes itself");
    }
    free(quotes);
}

/* A critique of a response, divided from it by "|": every check, with and without the verifier. */
static inline agon_status fuzz_claims(agon_ctx *ctx, const uint8_t *data, size_t n) {
    size_t n_queries, which;
    const task_query *queries = fuzz_queries(ctx, &n_queries);
    char *critique = fuzz_text(data, n, 2 * n_queries, &which), *response = strchr(critique, '|');
    critique_claims *c = malloc(sizeof *c);
    json_t *json = NULL;
    if (!c)
        abort();
    if (response)
        *response++ = 0;
    const claim_facts facts = {response ? response : "", &queries[which / 2], which % 2, which % 2 ? OUTCOME_FAIL : OUTCOME_UNKNOWN};
    FUZZ_CHECK(critic_check_claims(ctx, critique, &facts, c) == AGON_OK, "%s", agon_error(ctx));
    FUZZ_CHECK(c->n <= CLAIMS_MOST && c->n_quotes <= QUOTES_MOST, "claims");
    for (size_t i = 0; i < c->n; i++) {
        FUZZ_CHECK(c->claims[i].start < c->claims[i].end && c->claims[i].end <= strlen(critique), "a claim's bytes");
        FUZZ_CHECK(i == 0 || c->claims[i - 1].end <= c->claims[i].start, "claims in order");
        FUZZ_CHECK(which % 2 || (!c->claims[i].check[CHECK_VERDICT] && !c->claims[i].check[CHECK_ANSWER]), "a blind check tells the verdict");
    }
    FUZZ_CHECK(critique_claims_json(ctx, critique, c, &json) == AGON_OK && json_array_size(json) == c->n, "%s", agon_error(ctx));
    json_decref(json);
    free(c);
    free(critique);
    return AGON_OK;
}

static inline agon_status fuzz_rewording(agon_ctx *ctx, const uint8_t *data, size_t n) {
    size_t which, most = task_n_cells() * (PERTURBATION_N - 1), n_queries;
    const task_query *queries = fuzz_queries(ctx, &n_queries);
    char *text = fuzz_text(data, n, most, &which);
    double rating = 0;
    fuzz_vary(ctx, &queries[which / (PERTURBATION_N - 1)], (task_perturbation)(1 + which % (PERTURBATION_N - 1)), text);
    fuzz_quotes(ctx, text, "<q>", "</q>");
    fuzz_quotes(ctx, text, "\"", "\"");
    FUZZ_CHECK(!parse_rating(text, 1, 10, &rating) || (rating >= 1 && rating <= 10), "a rating");
    FUZZ_CHECK(strchr("ABT", parse_verdict(text)) && abs(parse_yes_no(text)) <= 1, "a verdict in words");
    free(text);
    return AGON_OK;
}

/* ---- instructions that a program checks ------------------------------------------------------------------------ */

static inline agon_status fuzz_ifeval(agon_ctx *ctx, const uint8_t *data, size_t n) {
    static const char kwargs[] =
        "{\"keywords\":[\"tea\",\"a.c\"],\"relation\":\"at least\",\"keyword\":\"war\",\"frequency\":2,\"forbidden_words\":[\"rock\"],"
        "\"let_relation\":\"less than\",\"letter\":\"q\",\"let_frequency\":2,\"language\":\"de\",\"num_sentences\":3,\"num_paragraphs\":2,"
        "\"num_words\":3,\"first_word\":\"weekend\",\"nth_paragraph\":2,\"num_placeholders\":2,\"postscript_marker\":\"P.P.S\",\"num_bullets\":2,"
        "\"num_highlights\":2,\"section_spliter\":\"SECTION\",\"num_sections\":2,\"prompt_to_repeat\":\"Say it.\",\"end_phrase\":\"That is all.\","
        "\"capital_relation\":\"at least\",\"capital_frequency\":2}";
    static json_t *arguments;
    size_t n_kinds = 0, which;
    while (ifeval_kind(n_kinds))
        n_kinds++;
    if (!arguments)
        arguments = json_loads(kwargs, 0, NULL);
    char *response = fuzz_text(data, n, n_kinds, &which), *variants[IFEVAL_VARIANTS];
    bool strict = false, loose = false;
    FUZZ_CHECK(ifeval_check(ctx, ifeval_kind(which), arguments, response, &strict, &loose) == AGON_OK, "%s", agon_error(ctx));
    FUZZ_CHECK(loose || !strict, "%s", ifeval_kind(which));
    FUZZ_CHECK(ifeval_variants(ctx, response, variants) == AGON_OK, "%s", agon_error(ctx));
    for (size_t i = 0; i < IFEVAL_VARIANTS; i++) {
        FUZZ_CHECK(strlen(variants[i]) <= strlen(response), "a variant");
        free(variants[i]);
    }
    free(response);
    return AGON_OK;
}

/* ---- what a server or a program sends --------------------------------------------------------------------------- */

/* A backend that answers every request with the same bytes, as a command's line. */
typedef struct fuzz_backend {
    backend base;
    const char *line;
    size_t n;
} fuzz_backend;

static inline agon_status fuzz_submit(agon_ctx *ctx, backend *b, const backend_request *requests, size_t n, backend_response *responses) {
    (void)ctx;
    for (size_t i = 0; i < n; i++) {
        json_t *answer = json_loadb(((fuzz_backend *)b)->line, ((fuzz_backend *)b)->n, 0, NULL);
        if (answer)
            backend_read_line(&requests[i], answer, &responses[i]);
        else
            backend_fail(&responses[i], "no line");
        json_decref(answer);
    }
    return AGON_OK;
}

static inline agon_status fuzz_poll(agon_ctx *ctx, backend *b, double seconds, size_t *n_pending) {
    (void)ctx, (void)b, (void)seconds;
    *n_pending = 0;
    return AGON_OK;
}

static inline void fuzz_cancel(backend *b) {
    (void)b;
}

static inline void fuzz_ask_verifier(agon_ctx *ctx, backend *b) {
    json_t *task = json_loads("{\"text\":\"6 * 7?\",\"parameters\":{\"verifier\":\"program\",\"answers\":[\"42\"]}}", 0, NULL);
    const verifier_item item = {"a", task, "It is 42."};
    task_verdict v = {0};
    if (verifier_ask(ctx, b, &item, 1, &v) == AGON_OK) {
        FUZZ_CHECK(v.evidence && v.masked && fuzz_is_utf8(v.evidence) && fuzz_is_utf8(v.masked), "a verdict's words");
        FUZZ_CHECK(v.span_start <= v.span_end && v.span_end <= strlen(item.response), "a verdict's span");
    }
    task_verdict_free(&v);
    json_decref(task);
}

static inline void fuzz_ask_critic(agon_ctx *ctx, backend *b) {
    const critic_item item = {"a", "6 * 7?", "It is 42.", 1, NULL, false, NULL};
    critic_judgement j = {0}, same = {0};
    char *critique = NULL;
    double reward = 0;
    json_t *prompt = json_string("6 * 7?");
    const judge_item judged = {.id = "a", .prompt = prompt, .answer = "It is 42.", .n_answer = 9};
    if (critic_judge(ctx, b, &item, 1, 2, NULL, &j) == AGON_OK)
        FUZZ_CHECK(isnan(j.p) || (j.p >= 0 && j.p <= 1), "P(correct) %g", j.p);
    if (critic_same_task(ctx, b, &item, 1, &same) == AGON_OK)
        FUZZ_CHECK(isnan(same.p) || (same.p >= 0 && same.p <= 1), "the same task %g", same.p);
    if (critic_write(ctx, b, &item, 1, NULL, &critique) == AGON_OK)
        FUZZ_CHECK(!critique || (strlen(critique) <= BACKEND_BYTES_A_TOKEN * CRITIC_WRITE_TOKENS && fuzz_is_utf8(critique)), "a critique");
    if (judge_ask(ctx, b, &judged, 1, &reward) == AGON_OK)
        FUZZ_CHECK(isfinite(reward), "a reward");
    free(critique);
    critic_judgement_free(&j);
    critic_judgement_free(&same);
    json_decref(prompt);
}

static inline void fuzz_ask_attacker(agon_ctx *ctx, backend *b) {
    const attacker_item item = {.id = "a", .query = "What is 6 times 7?", .perturbation = PERTURBATION_PARAPHRASE, .seed = 1};
    attacker_variation v = {0};
    if (attacker_vary(ctx, b, &item, 1, NULL, &v) == AGON_OK)
        FUZZ_CHECK(v.error || (v.n_texts > 0 && v.n_texts <= ATTACKER_TRIES), "variations");
    attacker_variation_free(&v);
}

static inline agon_status fuzz_answer(agon_ctx *ctx, const uint8_t *data, size_t n) {
    static const backend_table table = {fuzz_submit, fuzz_poll, fuzz_cancel, NULL};
    char name[] = "fuzz";
    fuzz_backend b = {{&table, name, CAN_GENERATE, false}, (const char *)data, n};
    backend_response r = {0};
    if (!backend_make_room(&r, 1, 0))
        abort();
    bool taken = backend_read_chat((const char *)data, n, &r, 0);
    FUZZ_CHECK(taken == (r.completions[0].text != NULL) && (!taken || fuzz_is_utf8(r.completions[0].text)), "a chat completion");
    FUZZ_CHECK(r.n_completion_tokens <= BACKEND_MOST_TOKENS && r.n_prompt_tokens <= BACKEND_MOST_TOKENS, "counts");
    backend_response_free(&r);
    fuzz_ask_verifier(ctx, &b.base);
    fuzz_ask_critic(ctx, &b.base);
    fuzz_ask_attacker(ctx, &b.base);
    return AGON_OK;
}

#endif
