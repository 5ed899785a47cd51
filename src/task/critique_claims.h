/* What a critique claims about an answer, and what of it can be worked out again (spec: loop 3.6a and b). For role/critic_claims.h, which looks the quotes
 * up; nobody else includes this. */
#ifndef TASK_CRITIQUE_CLAIMS_H
#define TASK_CRITIQUE_CLAIMS_H

#include "task/task.h"

/* How a claim can be checked. */
typedef enum claim_check {
    CHECK_QUOTE,      /* what it puts in quotation marks stands, or does not stand, in the answer */
    CHECK_SAID,       /* the answer says the number that the claim says it says */
    CHECK_ARITHMETIC, /* its arithmetic, worked out exactly */
    CHECK_COUNT,      /* words, sentences, commas, .. of the answer, counted again; a limit of the query, looked up */
    CHECK_VERDICT,    /* right or wrong, against the verifier's verdict */
    CHECK_ANSWER,     /* what it gives as the right answer, against the verifier */
    CHECK_CONSISTENT, /* fails where it contradicts the same critique; never holds by itself */
    CLAIM_CHECKS,
} claim_check;
const char *claim_check_name(claim_check check); /* "quote", "said", ... */

typedef enum check_result { CHECK_NONE = 0, CHECK_HOLDS, CHECK_FAILS } check_result;

/* A clause of the critique. */
typedef struct critique_claim {
    size_t start, end; /* bytes of the critique */
    unsigned char check[CLAIM_CHECKS];
} critique_claim;

/* How a text of the critique must stand in the answer. */
typedef enum quote_place { QUOTE_ANYWHERE, QUOTE_NOWHERE, QUOTE_FIRST, QUOTE_LAST } quote_place;
typedef struct claimed_quote {
    size_t start, end; /* bytes of the critique, without the marks */
    size_t claim;      /* of the list */
    quote_place place;
    bool strict;       /* between <q> and </q>: of the answer and of nothing else */
} claimed_quote;

/* A critique is read this far; what stands behind makes no claim. */
enum { CRITIQUE_READ = 8192, CLAIMS_MOST = 64, QUOTES_MOST = 64, QUOTE_LONGEST = 1024 };

/* What is known about the answer. Borrowed. */
typedef struct claim_facts {
    const char *response;
    const task_query *query; /* NULL: not known */
    bool verified;           /* the verifier may be asked: no sealed oracle, nobody who is to judge for themselves */
    task_outcome outcome;    /* its verdict, when verified */
} claim_facts;

typedef struct critique_claims {
    critique_claim claims[CLAIMS_MOST];
    claimed_quote quotes[QUOTES_MOST]; /* yet to be looked up */
    size_t n, n_quotes;
} critique_claims;

/* Divides the critique into clauses and checks each but for its quotes. Any bytes are safe. */
AGON_MUST_CHECK agon_status critique_claims_read(agon_ctx *ctx, const char *critique, const claim_facts *facts, critique_claims *out);

#endif
