/* Hostile tokenizers, training rows, run files and tables without a fuzzer, see run_corpus.h. */
#include "../../fuzz/text_targets.h"
#include "../../fuzz/run_corpus.h"

static void tokenizer__survives_hostile_bytes(void **state) {
    (void)state;
    run_corpus("fuzz_tokenizer", fuzz_tokenizer, "fuzz.json", 4000, 1);
}

static void rows__survive_hostile_bytes(void **state) {
    (void)state;
    /* A file cut at the end of a line, or behind its last bracket, is a shorter file. */
    run_corpus("fuzz_rows", fuzz_rows, "/proc/self/fd/200", 2500, 12);
}

static void run_file__survives_hostile_bytes(void **state) {
    (void)state;
    /* Every key has a default, so most beginnings of a run file are run files. */
    run_corpus("fuzz_run_file", fuzz_run_file, "fuzz.yaml", 5000, SIZE_MAX);
}

static void convert__survives_hostile_rows(void **state) {
    (void)state;
    run_corpus("fuzz_convert", fuzz_convert, "fuzz.json", 3000, 1);
}

static void csv__survives_hostile_bytes(void **state) {
    (void)state;
    /* A table cut anywhere is most often a table. */
    run_corpus("fuzz_csv", fuzz_csv, FUZZ_FILE, 3000, SIZE_MAX);
}

static void loss__survives_hostile_requests(void **state) {
    (void)state;
    run_corpus("fuzz_loss", fuzz_loss, "", 3000, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokenizer__survives_hostile_bytes),
        cmocka_unit_test(rows__survive_hostile_bytes),
        cmocka_unit_test(run_file__survives_hostile_bytes),
        cmocka_unit_test(convert__survives_hostile_rows),
        cmocka_unit_test(csv__survives_hostile_bytes),
        cmocka_unit_test(loss__survives_hostile_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
