/* Damaged workspaces and hostile answers of reviewers without a fuzzer, see run_corpus.h. */
#include "../../fuzz/inbox_targets.h"
#include "../../fuzz/run_corpus.h"

static void workspace__survives_damage(void **state) {
    (void)state;
    run_corpus("fuzz_workspace", fuzz_workspace, NULL, 6, 0);
}

static void inbox__survives_hostile_answers(void **state) {
    (void)state;
    run_corpus("fuzz_inbox", fuzz_inbox, NULL, 12, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workspace__survives_damage),
        cmocka_unit_test(inbox__survives_hostile_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
