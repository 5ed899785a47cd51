/* The estimate beforehand: it follows what the run file says will be done, the user's own rows and the sealed recipe included. */
#include "recipe/recipe.h"
#include "recipe/own_split.h"
#include "recipe/run_file.h"
#include "test.h"
#include <unistd.h>

static json_t *cost_of(agon_ctx *ctx, const char *yaml) {
    run_config *config = NULL;
    json_t *cost = NULL;
    assert_ok(ctx, run_file_parse(ctx, "test.yaml", yaml, strlen(yaml), &config));
    assert_ok(ctx, recipe_cost(ctx, config, 1000, &cost));
    run_config_free(config);
    return cost;
}

static double figure(agon_ctx *ctx, const char *yaml, const char *part, const char *name) {
    json_t *cost = cost_of(ctx, yaml);
    const json_t *x = json_object_get(json_object_get(cost, part), name);
    assert_non_null(x);
    double value = json_number_value(x);
    json_decref(cost);
    return value;
}

/* Row i: its # is a number of three digits, so that rows differ and are all as long. */
static char *row_text(const char *row, size_t i) {
    const char *mark = strchr(row, '#');
    char *text = NULL;
    assert_true(asprintf(&text, "%.*s%03zu%s", (int)(mark - row), row, i, mark + 1) > 0);
    return text;
}

/* Of so many queries. */
static double held_out_of(size_t n, const char *query) {
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        char *text = row_text(query, i);
        k += recipe_holds_out(text);
        free(text);
    }
    return (double)k;
}

static char *with_file(agon_ctx *ctx, size_t n, const char *row, const char *rest, char path[64]) {
    char *yaml = NULL;
    (void)ctx;
    snprintf(path, 64, "/tmp/agon-cost-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t i = 0; i < n; i++) {
        char *text = row_text(row, i);
        assert_true(dprintf(fd, "%s\n", text) > 0);
        free(text);
    }
    close(fd);
    assert_true(asprintf(&yaml, "tasks: {file: %s}\nlearner: {max_tokens: 48}\n%s%s", path, strstr(rest, "critic: {examples") ? "" : "critic: {examples: 0}\n", rest) > 0);
    return yaml;
}

static double of_file(agon_ctx *ctx, size_t n, const char *row, const char *rest, const char *name) {
    char path[64];
    char *yaml = with_file(ctx, n, row, rest, path);
    double value = figure(ctx, yaml, "tokens", name);
    unlink(path);
    free(yaml);
    return value;
}

static void cost__own_rows__are_what_is_asked(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const char answered[] = "{\"query\": \"How many legs have # spiders?\", \"answer\": 8}", open[] = "{\"query\": \"Why #?\"}";
    const double held_out = held_out_of(100, "How many legs have # spiders?"), of_200 = held_out_of(200, "How many legs have # spiders?"), open_held_out = held_out_of(100, "Why #?");
    assert_true(held_out >= 10 && held_out != 20);
    /* What is not held out is asked, 4 samples of 48 tokens; the rest of base and candidate. Suites and refinement apart. */
    static const char bare[] = "refine: {queries: 0, learnability: 0}\nevaluate: {general: 0, gsm8k: 0, documents: 0}\ngate: {monitor_prompts: 0}\n";
    assert_close(of_file(ctx, 100, answered, bare, "generated"), (100 - held_out) * 4 * 48 + 2 * held_out * 48, 1e-6);
    assert_close(of_file(ctx, 200, answered, bare, "generated"), (200 - of_200) * 4 * 48 + 2 * of_200 * 48, 1e-6);
    assert_close(of_file(ctx, 100, answered, bare, "scored"), 0, 1e-6);
    /* Ten open questions and ten held-out rows of base and candidate, four samples of 48 tokens. */
    static const char watched[] = "refine: {queries: 0, learnability: 0}\nevaluate: {general: 0, gsm8k: 0, documents: 0}\ngate: {monitor_prompts: 10}\n";
    assert_close(of_file(ctx, 100, answered, watched, "generated") - of_file(ctx, 100, answered, bare, "generated"), 2 * (10 + 10) * 4 * 48, 1e-6);
    /* The critic reads every answer nobody can verify, from iteration 2 on, where people's verdicts may let it decide. */
    static const char decides[] = "iterations: %d\nhuman: {backend: %s, gate_items: 0}\ncritic: {examples: 40}\nrefine: {queries: 0, learnability: 0}\n"
                                  "evaluate: {general: 0, gsm8k: 0, documents: 0}\ngate: {monitor_prompts: 0, approval_items: 0}\n";
    for (int k = 0; k < 4; k++) {
        char run[400];
        snprintf(run, sizeof run, decides, 1 + k % 2, k < 2 ? "queue" : "simulated");
        const double read = of_file(ctx, 100, open, run, "scored") - of_file(ctx, 100, answered, run, "scored");
        assert_true(k == 1 ? read > (100 - open_held_out) * 4 * 48 && read < 2 * (100 - open_held_out) * 4 * 48 : read == 0);
    }
    assert_close(of_file(ctx, 100, open, bare, "scored"), 0, 1e-6);
    static const char program[] = "refine: {queries: 0, learnability: 0}\nevaluate: {general: 0, gsm8k: 0, documents: 0}\nverifier: {command: x}\n";
    assert_close(of_file(ctx, 100, open, program, "scored"), 0, 1e-6);
    agon_ctx_free(ctx);
}

/* Two versions' answers to the held-out tasks, as many as are drawn of them. */
static void cost__approval__is_read_by_the_critic(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const char all[] = "evaluate: {tasks: 512}\n", none[] = "evaluate: {tasks: 512}\ngate: {approval_items: 0}\n",
                      few[] = "evaluate: {tasks: 100}\n", few_none[] = "evaluate: {tasks: 100}\ngate: {approval_items: 0}\n";
    assert_close(figure(ctx, all, "tokens", "scored") - figure(ctx, none, "tokens", "scored"), 2 * 256 * 48, 1e-6);
    assert_close(figure(ctx, few, "tokens", "scored") - figure(ctx, few_none, "tokens", "scored"), 2 * 100 * 48, 1e-6);
    agon_ctx_free(ctx);
}

/* Of 500 rows about 100 are held out: both versions' answers to them, a second critic trained, and its part examined. */
static void cost__gate_critic__is_trained_and_reads(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const char open[] = "{\"query\": \"Why #?\"}";
    const double held_out = held_out_of(500, "Why #?");
#define PEOPLE "critic: {examples: 100, epochs: 2}\nhuman: {backend: queue, labels: 400, gate_items: 100}\n"
    static const char one[] = PEOPLE, two[] = PEOPLE "gate: {critic: true}\n";
    const double prompt = 35 + 8 / 4.;
    assert_close(of_file(ctx, 500, open, two, "scored") - of_file(ctx, 500, open, one, "scored"), 2 * held_out * (prompt + 48) + 100 * 48, 1e-6);
    assert_close(of_file(ctx, 500, open, two, "trained") - of_file(ctx, 500, open, one, "trained"), 100 * 2 * 48, 1e-6);
    agon_ctx_free(ctx);
}

static void cost__generated_tasks__do_not_count_beside_a_file_alone(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const char row[] = "{\"query\": \"Two and #?\", \"answer\": 4}";
    double few = of_file(ctx, 10, row, "attacker: {queries: 10}\n", "generated"), many = of_file(ctx, 10, row, "attacker: {queries: 1000}\n", "generated");
    assert_close(few, many, 1e-6);
    assert_true(figure(ctx, "attacker: {queries: 1000}\n", "tokens", "generated") -
                    figure(ctx, "attacker: {queries: 100}\n", "tokens", "generated") >= 900 * 4 * 16 - 1e-6);
    agon_ctx_free(ctx);
}

/* Audits and demonstrations of all iterations, as far as the labels allow. */
static void cost__labels__are_no_more_than_the_budget(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const char three[] = "iterations: 3\nhuman: {labels: %d, audits: 4, demonstrations: 8}\n";
    static const struct {
        int labels;
        double audits, demonstrations;
    } cases[] = {{36, 12, 24}, {99, 12, 24}, {12, 3, 9}, {30, 9, 21}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char yaml[200];
        snprintf(yaml, sizeof yaml, three, cases[i].labels);
        assert_close(figure(ctx, yaml, "labels", "expert"), cases[i].labels, 0);
        assert_close(figure(ctx, yaml, "labels", "audits"), cases[i].audits, 0);
        assert_close(figure(ctx, yaml, "labels", "demonstrations"), cases[i].demonstrations, 0);
    }
    agon_ctx_free(ctx);
}

#define SEALED "recipe: sealed\noracle: sealed\nattacker: {queries: 100}\ncritic: {epochs: 2}\n"                             \
               "human: {labels: 400, audits: 0, calibration: 120, demonstrations: 30, gate_items: 100}\n"

static void cost__sealed__counts_calibration_gate_and_arms(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const char arms[] = SEALED "evaluate: {tasks: 300}\n", none[] = SEALED "evaluate: {tasks: 300, arms: false}\n",
                      fewer[] = SEALED "evaluate: {tasks: 202, arms: false}\n";
    assert_close(figure(ctx, arms, "labels", "calibration"), 120, 0);
    assert_close(figure(ctx, arms, "labels", "gate"), 200, 0);
    assert_close(figure(ctx, arms, "labels", "audits"), 0, 0);
    assert_close(figure(ctx, arms, "tokens", "generated") - figure(ctx, none, "tokens", "generated"), 3 * 300 * 16, 1e-6);
    assert_true(figure(ctx, arms, "tokens", "trained") > 2 * figure(ctx, none, "tokens", "trained"));
    assert_close(figure(ctx, none, "tokens", "scored") - figure(ctx, fewer, "tokens", "scored"), 2 * 98 * 48, 1e-6);
    agon_ctx_free(ctx);
}

static void cost__loop__counts_arms_where_they_are_asked_for(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const char none[] = "iterations: 2\ncritic: {examples: 0}\nevaluate: {tasks: 300}\n", off[] = "iterations: 2\ncritic: {examples: 0}\nevaluate: {tasks: 300, arms: false}\n",
                      on[] = "iterations: 2\ncritic: {examples: 0}\nevaluate: {tasks: 300, arms: true}\n",
                      pairs[] = "iterations: 2\ncritic: {examples: 0}\ntrain: {objective: dpo}\nevaluate: {tasks: 300, arms: true}\n";
    assert_close(figure(ctx, none, "tokens", "trained"), figure(ctx, off, "tokens", "trained"), 0);
    assert_close(figure(ctx, on, "tokens", "trained"), 4 * figure(ctx, none, "tokens", "trained"), 1e-6);
    assert_close(figure(ctx, on, "tokens", "generated") - figure(ctx, none, "tokens", "generated"), 3 * 300 * 16, 1e-6);
    assert_close(figure(ctx, pairs, "tokens", "trained"), 3 * figure(ctx, none, "tokens", "trained"), 1e-6);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cost__labels__are_no_more_than_the_budget),
        cmocka_unit_test(cost__own_rows__are_what_is_asked),
        cmocka_unit_test(cost__approval__is_read_by_the_critic),
        cmocka_unit_test(cost__gate_critic__is_trained_and_reads),
        cmocka_unit_test(cost__generated_tasks__do_not_count_beside_a_file_alone),
        cmocka_unit_test(cost__loop__counts_arms_where_they_are_asked_for),
        cmocka_unit_test(cost__sealed__counts_calibration_gate_and_arms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
