/* How many requests of scoring run together: what prompts share is counted once. */
#include "api/requests.h"
#include "test.h"

enum { N = 80, PROMPT = 600, COMPLETION = 5 };

static void requests__that_share_a_prompt_run_together(void **state) {
    (void)state;
    static int32_t prompts[N][PROMPT], completion[COMPLETION];
    agon_score_request r[N];
    for (size_t i = 0; i < N; i++)
        r[i] = (agon_score_request){prompts[i], PROMPT, completion, COMPLETION};
    assert_int_equal(requests_together(r, N, GROUP_TOKENS), GROUP_REQUESTS);
    assert_int_equal(requests_together(r, 3, GROUP_TOKENS), 3);
    assert_int_equal(requests_together(r, N, 10 * (PROMPT + COMPLETION)), 10);
    assert_int_equal(requests_together(r, N, 1), 1);
    for (size_t i = 0; i < N; i++)
        prompts[i][0] = (int32_t)i;
    assert_int_equal(requests_together(r, N, GROUP_TOKENS), 1 + GROUP_ROWS / (PROMPT + COMPLETION));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(requests__that_share_a_prompt_run_together)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
