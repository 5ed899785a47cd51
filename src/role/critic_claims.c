/* The claims of a critique, see critic_claims.h: task/critique_claims.c reads them, here their quotes are looked up and the sums are made. */
#include "role/critic_claims.h"
#include "base/ctx.h"
#include "base/utf8.h"
#include "role/critic.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- quotes ---------------------------------------------------------------------------------------------------- */

/* Does `quote` end the text, but for white space and what ends a sentence? Only its last bytes are looked at: decomposed forms may be longer. */
static agon_status ends_with(agon_ctx *ctx, const char *text, const char *quote, bool *found) {
    size_t n = strlen(text), reach = 4 * strlen(quote) + 32, start = 0, end = 0;
    const char *tail = text + (n > reach ? n - reach : 0);
    agon_status s = AGON_OK;
    *found = true;
    while (*found && !s && tail[strspn(tail, " \n\r\t.!?\"'*")]) {
        s = critic_find_quote(ctx, tail, quote, found, &start, &end);
        tail += *found ? end : 0;
    }
    return s;
}

/* Does it stand there as a word of its own? "tea" is not in "steam". */
static agon_status stands_alone(agon_ctx *ctx, const char *text, const char *quote, bool *found) {
    enum { MOST_PLACES = 16 }; /* each reads the rest of the response */
    const char *from = text;
    size_t start = 0, end = 0;
    agon_status s = AGON_OK;
    *found = true;
    for (int n = 0; n < MOST_PLACES && *found && !s; n++) {
        s = critic_find_quote(ctx, from, quote, found, &start, &end);
        const char *first = from + start, *behind = from + end;
        if (!s && *found && !(first > text && isalnum((unsigned char)first[-1])) && !isalnum((unsigned char)*behind))
            return AGON_OK;
        from = behind;
    }
    *found = false;
    return s;
}

/* The text without the dots of what was cut off: "and so on ...". */
static void uncut(char *quote) {
    size_t n = strlen(quote);
    while (n > 0 && (quote[n - 1] == '.' || quote[n - 1] == ' '))
        n--;
    if (strlen(quote) - n >= 3)
        quote[n] = 0;
}

static agon_status check_quote(agon_ctx *ctx, const char *critique, const claimed_quote *q, const claim_facts *facts, critique_claim *claim) {
    size_t start = 0, end = 0;
    bool found = false;
    char *text = strndup(critique + q->start, q->end - q->start);
    agon_status s = text ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "no memory to check quotes");
    if (!s) {
        uncut(text);
        s = q->place == QUOTE_LAST      ? ends_with(ctx, facts->response, text, &found)
            : q->place == QUOTE_NOWHERE ? stands_alone(ctx, facts->response, text, &found)
                                        : critic_find_quote(ctx, facts->response, text, &found, &start, &end);
    }
    if (!s && q->place == QUOTE_FIRST)
        found = found && strspn(facts->response, " \n\r\t\"'*") >= start;
    bool holds = found != (q->place == QUOTE_NOWHERE), of_query = false;
    if (!s && !holds && q->place == QUOTE_ANYWHERE && !q->strict && facts->query)
        s = critic_find_quote(ctx, facts->query->text, text, &of_query, &start, &end);
    if (!s && !of_query && claim->check[CHECK_QUOTE] != CHECK_FAILS)
        claim->check[CHECK_QUOTE] = holds ? CHECK_HOLDS : CHECK_FAILS;
    free(text);
    return s;
}

agon_status critic_check_claims(agon_ctx *ctx, const char *critique, const claim_facts *facts, critique_claims *out) {
    agon_status s = critique_claims_read(ctx, critique, facts, out);
    for (size_t i = 0; i < out->n_quotes && !s; i++)
        if (out->quotes[i].claim < out->n)
            s = check_quote(ctx, critique, &out->quotes[i], facts, &out->claims[out->quotes[i].claim]);
    return s;
}

/* ---- sums ------------------------------------------------------------------------------------------------------ */

check_result critique_claim_result(const critique_claim *claim) {
    check_result all = CHECK_NONE;
    for (int k = 0; k < CLAIM_CHECKS; k++)
        if (claim->check[k] == CHECK_FAILS)
            return CHECK_FAILS;
        else if (claim->check[k] == CHECK_HOLDS)
            all = CHECK_HOLDS;
    return all;
}

void faithfulness_add(faithfulness *f, const critique_claims *claims) {
    size_t n = 0;
    f->critiques++;
    f->claims += claims->n;
    for (size_t i = 0; i < claims->n; i++) {
        const check_result r = critique_claim_result(&claims->claims[i]);
        f->hold += r == CHECK_HOLDS;
        f->fail += r == CHECK_FAILS;
        n += r != CHECK_NONE;
        for (int k = 0; k < CLAIM_CHECKS; k++) {
            f->check_holds[k] += claims->claims[i].check[k] == CHECK_HOLDS;
            f->check_fails[k] += claims->claims[i].check[k] == CHECK_FAILS;
        }
    }
    f->checked += n > 0;
}

static json_t *claim_json(const char *critique, const critique_claim *claim) {
    const check_result all = critique_claim_result(claim);
    size_t start = claim->start, end = claim->end;
    while (start < end && strchr(" \n\r\t,", critique[start]))
        start++;
    while (end > start && strchr(" \n\r\t,", critique[end - 1]))
        end--;
    char *text = utf8_repair(critique + start, end - start);
    json_t *checks = json_object(), *out;
    for (int k = 0; k < CLAIM_CHECKS; k++)
        if (claim->check[k])
            json_object_set_new(checks, claim_check_name((claim_check)k), json_boolean(claim->check[k] == CHECK_HOLDS));
    out = json_pack("{ss so so}", "claim", text ? text : "", "holds", all == CHECK_NONE ? json_null() : json_boolean(all == CHECK_HOLDS), "checks", checks);
    free(text);
    return out;
}

agon_status critique_claims_json(agon_ctx *ctx, const char *critique, const critique_claims *claims, json_t **out) {
    json_t *list = json_array();
    bool made = list != NULL;
    for (size_t i = 0; i < claims->n && made; i++)
        made = json_array_append_new(list, claim_json(critique, &claims->claims[i])) == 0;
    if (!made) {
        json_decref(list);
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for the claims of a critique");
    }
    *out = list;
    return AGON_OK;
}
