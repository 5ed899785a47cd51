/* Which claims of a critique hold: scripted critiques with known defects, the verifier's own critiques of planted faults, and arithmetic in words. */
#include "role/critic_claims.h"
#include "role/critic.h"
#include "task/calculation.h"
#include "vectors.h"
#include <stdlib.h>

/* ---- scripted critiques ------------------------------------------------------------------------------------------ */

static const char sum[] = "{\"query\":\"How much is 42 + 25?\",\"answer\":\"67\"}",
                  words[] = "{\"query\":\"Describe the sea in at most 5 words.\",\"verifier\":\"max_words\",\"arguments\":{\"n\":5}}",
                  bare[] = "{\"query\":\"Write about tea without commas.\",\"verifier\":\"no_commas\"}",
                  open_ended[] = "{\"query\":\"Describe the smell of a harbour.\"}";

/* expected: a letter for each check of each claim, + holds, - fails, claims divided by blanks, "." no check: cannot be verified. */
static const struct {
    const char *query, *response, *critique, *expected;
} scripted[] = {
    /* true claims */
    {sum, "It is 78.", "It says 78, but 42 + 25 = 67.", "s+ a+A+"},
    {sum, "It is 78.", "Says 78, which is not 42 + 25.", "s+a+"},
    {sum, "42 + 25 = 78", "The answer is incorrect because 42 plus 25 equals 78, which is not a valid addition.", "v+ a+"},
    {sum, "It is 67.", "The answer is correct.", "v+"},
    {words, "The sea is deep and blue and cold.", "It has 8 words, but at most 5 are allowed.", "c+ c+"},
    {words, "The sea is deep and blue and cold.", "The answer is too long; it uses \"deep and blue\".", "c+ q+"},
    {bare, "Tea, hot and strong.", "There is a comma at 'Tea,', but commas are not allowed.", "q+c+ c+"},
    /* fake quotes */
    {open_ended, "Salt and tar.", "The phrase \"rotten fish\" is unfounded.", "q-"},
    {open_ended, "Salt and tar.", "It never says \"Salt and tar\".", "q-"},
    {open_ended, "Salt and tar.", "It starts with <q>tar</q>.", "q-"},
    {sum, "It is 78.", "It says 87, but 42 + 25 = 67.", "s- a+A+"},
    /* false sums and counts */
    {sum, "It is 67.", "42 + 25 = 68.", "a-"},
    {sum, "It is 78.", "The sum of 42 and 25 is actually 77.", "a-"},
    {words, "The sea is deep.", "It has six words.", "c-"},
    {words, "The sea is deep.", "It is too long.", "c-"},
    {bare, "Tea is hot.", "It uses a comma to separate two clauses.", "c-"},
    /* contradictions: of the response's verdict, of itself */
    {sum, "It is 67.", "The answer is wrong.", "v-"},
    {sum, "It is 78.", "The answer is wrong. The correct answer is 78.", "v+ A-k-"},
    {sum, "It is 78.", "The answer is incorrect. So the answer is right.", "v+ v-k-"},
    {sum, "It is 78.", "The correct answer is 67. The right answer is 66.", "A+ A-k-"},
    /* what nobody can check */
    {open_ended, "Salt and tar.", "It lacks life. It should be longer, with at least 20 words.", ". ."},
    {open_ended, "Salt and tar.", "The word \"harbour\" of the question is not taken up again.", "."},
};

static const char letters[CLAIM_CHECKS] = {'q', 's', 'a', 'c', 'v', 'A', 'k'};

static void outcome_text(const critique_claims *c, char *out) {
    *out = 0;
    for (size_t i = 0; i < c->n; i++) {
        char *from = out + strlen(out);
        if (i)
            *from++ = ' ';
        *from = 0;
        for (int k = 0; k < CLAIM_CHECKS; k++)
            if (c->claims[i].check[k])
                sprintf(from + strlen(from), "%c%c", letters[k], c->claims[i].check[k] == CHECK_HOLDS ? '+' : '-');
        if (!*from)
            strcpy(from, ".");
    }
}

static void claims_of(agon_ctx *ctx, const char *row, const char *response, const char *critique, bool verified, critique_claims *out) {
    task_query q = {0};
    task_verdict v = {0};
    json_t *json = json_loads(row, 0, NULL);
    assert_ok(ctx, task_user_query(ctx, "row", json, &q));
    assert_ok(ctx, task_verify(ctx, &q, response, &v));
    const claim_facts facts = {response, &q, verified, v.outcome};
    assert_ok(ctx, critic_check_claims(ctx, critique, &facts, out));
    task_verdict_free(&v);
    task_query_free(&q);
    json_decref(json);
}

static void scripted_critiques__have_exact_verdicts(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    int wrong = 0;
    for (size_t i = 0; i < sizeof scripted / sizeof *scripted; i++) {
        critique_claims c;
        char got[1024];
        claims_of(ctx, scripted[i].query, scripted[i].response, scripted[i].critique, true, &c);
        outcome_text(&c, got);
        if (strcmp(got, scripted[i].expected) != 0) {
            print_error("'%s' of '%s': %s, not %s\n", scripted[i].critique, scripted[i].response, got, scripted[i].expected);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
    agon_ctx_free(ctx);
}

/* People who judge are not told what the verifier says, and nobody is under a sealed oracle. */
static void blind_checks__do_not_tell_the_verdict(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    critique_claims c;
    char got[1024];
    claims_of(ctx, sum, "It is 78.", "The answer is wrong. It says 78, but the correct answer is 67.", false, &c);
    outcome_text(&c, got);
    assert_string_equal(got, ". s+ .");
    agon_ctx_free(ctx);
}

/* ---- the verifier's critiques ----------------------------------------------------------------------------------- */

static void check_critique(agon_ctx *ctx, const task_query *q, const char *response, const task_verdict *v, int form, faithfulness *f) {
    critique_claims c;
    char *words = NULL;
    const claim_facts facts = {response, q, true, v->outcome};
    assert_ok(ctx, critic_executable(ctx, v, (critique_form)form, false, &words));
    assert_ok(ctx, critic_check_claims(ctx, words, &facts, &c));
    for (size_t i = 0; i < c.n; i++)
        if (critique_claim_result(&c.claims[i]) == CHECK_FAILS) {
            char got[1024];
            outcome_text(&c, got);
            fail_msg("'%s' of '%s' (%s): %s", words, response, q->text, got);
        }
    faithfulness_add(f, &c);
    free(words);
}

/* A claim that holds of the faulty answer fails of the other. */
static bool vanishes(const critique_claims *faulty, const critique_claims *right) {
    for (size_t i = 0; i < faulty->n && i < right->n; i++)
        if (critique_claim_result(&faulty->claims[i]) == CHECK_HOLDS && critique_claim_result(&right->claims[i]) == CHECK_FAILS)
            return true;
    return false;
}

/* A fault planted in a right answer of every cell. The verifier's critique of it is faithful by construction: no claim of it fails. With the fault gone
 * what the critique says of the answer holds no more; a second fault elsewhere gives another critique (loop 3.6c). */
static void planted_faults__are_claimed_and_vanish_with_the_fault(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    faithfulness f = {0};
    size_t planted = 0, vanished = 0, second_faults = 0, other = 0;
    for (size_t cell = 0; cell < task_n_cells(); cell++)
        for (uint64_t k = 0; k < 4; k++) {
            task_query q = {0};
            task_verdict v = {0};
            char *right = NULL, *faulty = NULL, *claim = NULL, *second = NULL, *second_claim = NULL;
            critique_claims bad, good;
            assert_ok(ctx, task_generate(ctx, cell, task_seed(3, "claims", cell, k), PERTURBATION_NONE, &q));
            assert_ok(ctx, task_demonstrate(ctx, &q, k, &right));
            if (task_tamper(ctx, &q, right, k, &faulty, &claim) == AGON_OK) {
                planted++;
                assert_ok(ctx, task_verify(ctx, &q, faulty, &v));
                assert_int_equal(v.outcome, OUTCOME_FAIL);
                check_critique(ctx, &q, faulty, &v, CRITIQUE_FULL, &f);
                check_critique(ctx, &q, faulty, &v, CRITIQUE_MASKED, &f);
                assert_ok(ctx, critic_check_claims(ctx, claim, &(claim_facts){faulty, &q, true, OUTCOME_FAIL}, &bad));
                assert_ok(ctx, critic_check_claims(ctx, claim, &(claim_facts){right, &q, true, OUTCOME_PASS}, &good));
                vanished += vanishes(&bad, &good);
                if (task_tamper(ctx, &q, right, k + 100, &second, &second_claim) == AGON_OK && strcmp(second, faulty) != 0) {
                    second_faults++;
                    other += strcmp(second_claim, claim) != 0;
                }
            }
            task_verdict_free(&v);
            free(right), free(faulty), free(claim), free(second), free(second_claim);
            task_query_free(&q);
        }
    assert_true(planted > task_n_cells() && vanished * 4 > planted * 3 && second_faults > task_n_cells() && other * 5 > second_faults * 4);
    assert_int_equal(f.fail, 0);
    assert_true(f.hold * 2 > f.claims);
    agon_ctx_free(ctx);
}

/* ---- arithmetic in running text ----------------------------------------------------------------------------------- */

static void relations__are_worked_out_exactly(void **state) {
    (void)state;
    static const struct {
        const char *text, *holds; /* + or - for each */
    } cases[] = {
        {"42 + 25 = 67", "+"},
        {"42+25=68", "-"},
        {"2 + 3 * 4 = 14 and (2 + 3) * 4 = 20.", "++"},
        {"100 / 84/4 = 25/84", "+"},
        {"7 \xC3\x97 8 = 56, 7 \\times 8 = 55", "+-"},
        {"1/2 + 1/3 = 5/6", "+"},
        {"10 / 3 = 3.33, 10 / 3 = 3.34, 2 / 3 = 0.67", "+-+"},
        {"3 times 4 is 12", "+"},
        {"3 times 4 is not 13", "+"},
        {"the product of 3 and 4 equals 13", "-"},
        {"5 is less than 7 and 9 is not larger than 7", "+-"},
        {"46 is a multiple of 70", "-"},
        {"12 != 3 * 4", "-"},
        {"2 + 3 = 5 = 4 + 1", "+"},
        {"2 + 3 = 5 = 6", "-"},
        {"42 + 25 = **67**", "+"},
        {"-3 - -4 = 1", "+"},
        {"$1,000 - $1 = $999", "+"},
        {"999999999999999999 + 1 = 5", ""},
        {"999999999999999999 * 999999999999999999 = 5", ""},
        {"1 / 0 = 0", ""},
        {"x + 4 = 12", ""},
        {"17 / 5 = 3 remainder 2", ""},
        {"20% of 50 = 10", ""},
        {"the 4th = 5", ""},
        {"3 is 3", ""},
        {"((((((((1))))))))+1=2", "+"},
        {"(((((((((1+1)+1)+1)+1)+1)+1)+1)+1)+1)=10", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char got[16] = "";
        relation r;
        for (size_t at = 0, n = 0; n < 15 && relation_next(cases[i].text, at, &r); at = r.end, n++)
            strcat(got, r.holds ? "+" : "-");
        if (strcmp(got, cases[i].holds) != 0)
            fail_msg("'%s': %s, not %s", cases[i].text, got, cases[i].holds);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relations__are_worked_out_exactly),
        cmocka_unit_test(blind_checks__do_not_tell_the_verdict),
        cmocka_unit_test(planted_faults__are_claimed_and_vanish_with_the_fault),
        cmocka_unit_test(scripted_critiques__have_exact_verdicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
