/* Run files: what is wrong is said with line and nearest key; what is written reads back equal. */
#include "test.h"
#include "recipe/run_file.h"

static agon_status parse(agon_ctx *ctx, const char *text, run_config **out) {
    return run_file_parse(ctx, "x.yaml", text, strlen(text), out);
}

static void refused(const char *text, const char *sentence) {
    agon_ctx *ctx = test_ctx(1, NULL);
    run_config *c = NULL;
    assert_int_not_equal(parse(ctx, text, &c), AGON_OK);
    if (!strstr(agon_error(ctx), sentence))
        fail_msg("'%s' does not contain '%s'", agon_error(ctx), sentence);
    assert_null(c);
    agon_ctx_free(ctx);
}

static void run_file__defaults_fill_what_is_absent(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    run_config *c;
    assert_ok(ctx, parse(ctx, "seed: 7\ntrain:\n  lr: 0.001\n  set: [label_smoothing=0.2]\n  small_loss: 0.25\n", &c));
    assert_int_equal(c->seed, 7);
    assert_true(c->train.lr == 0.001);
    assert_true(c->train.small_loss == 0.25 && c->train.small_loss_ramp == 0.1);
    assert_int_equal(c->train.rank, 16);
    assert_string_equal(c->train.set.items[0], "label_smoothing=0.2");
    run_config_free(c);
    agon_ctx_free(ctx);
}

/* Rows of one's own under any objective are trained as agon train trains them; what is written stays, also through the journal. */
static void run_file__recipe_train_has_the_defaults_of_agon_train(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    run_config *c, *again;
    assert_ok(ctx, parse(ctx, "recipe: train\ntrain: {objective: dpo, data: a.jsonl, rank: 4}\n", &c));
    assert_true(c->train.lr == 1e-4 && c->train.epochs == 1 && c->train.warmup == 0.03);
    assert_true(c->train.lora_alpha == 8 && c->train.max_length == 2048);
    assert_true(c->train.beta1 == 0.9 && c->train.beta2 == 0.999 && c->train.eps == 1e-8 && c->train.clip_norm == 1 && c->train.weight_decay == 0);
    assert_string_equal(c->train.schedule, "cosine");
    run_config_free(c);
    assert_ok(ctx, parse(ctx, "recipe: train\ntrain: {data: a.jsonl, lr: 0.0008, epochs: 2, lora_alpha: 32, schedule: linear, beta2: 0.95}\n", &c));
    json_t *pinned = run_config_json(c);
    assert_ok(ctx, run_config_from_json(ctx, "journal", pinned, NULL, &again));
    assert_true(again->train.lr == 0.0008 && again->train.epochs == 2 && again->train.lora_alpha == 32);
    assert_true(again->train.beta2 == 0.95 && again->train.warmup == 0.03);
    assert_string_equal(again->train.schedule, "linear");
    json_decref(pinned);
    run_config_free(again);
    run_config_free(c);
    assert_ok(ctx, parse(ctx, "seed: 7\n", &c));
    assert_true(c->train.lr == 0.0008 && c->train.epochs == 2);
    run_config_free(c);
    assert_ok(ctx, parse(ctx, "train: {objective: dpo}\n", &c)); /* a loop that learns from pairs */
    assert_true(c->train.lr == 1e-5 && c->train.epochs == 2);
    run_config_free(c);
    assert_ok(ctx, parse(ctx, "train: {objective: dpo, lr: 0.0008}\n", &c));
    assert_true(c->train.lr == 0.0008);
    run_config_free(c);
    agon_ctx_free(ctx);
}

static void run_file__written_reads_back_equal(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    run_config *c, *again;
    assert_ok(ctx, parse(ctx, "name: a\ntasks:\n  file: \"q: #1.jsonl\"\n", &c));
    char *text = run_config_write(c);
    assert_ok(ctx, parse(ctx, text, &again));
    json_t *a = run_config_json(c), *b = run_config_json(again);
    assert_true(json_equal(a, b));
    run_config_free(again);
    json_decref(b);
    assert_ok(ctx, run_config_from_json(ctx, "x.yaml", a, NULL, &again)); /* as a run has it, empty lists and all */
    b = run_config_json(again);
    assert_true(json_equal(a, b));
    json_decref(a);
    json_decref(b);
    free(text);
    run_config_free(c);
    run_config_free(again);
    agon_ctx_free(ctx);
}

/* An end of a range is no fault where nothing comes to use it. */
static void run_file__ends_that_nothing_uses_are_taken(void **state) {
    (void)state;
    static const char *const good[] = {"critic: {alpha: 0, examples: 0}\n", "gate: {general_margin: 1}\nevaluate: {general: 0}\n",
                                       "gate: {perplexity_margin: 0}\nevaluate: {documents: 0}\n", "gate: {general_margin: 0, task_margin: 0}\n",
                                       "evaluate: {xstest_unsafe: 200}\ngate: {safety_limit: 0.015}\n", "gate: {audit_agreement: 0.9, safety_margin: 1}\n",
                                       "gate: {over_approval: 0.02}\n", "gate: {over_approval: 0.05}\nevaluate: {tasks: 58}\n", "gate: {critic: false}\n",
                                       "tasks: {file: x.jsonl}\nhuman: {backend: queue, gate_items: 100, labels: 400}\ngate: {critic: true}\n",
                                       "iterations: 2\nhuman: {labels: 130}\ngate: {audit_agreement: 0.95}\n", /* by the second */
                                       "recipe: train\ntrain: {data: a.jsonl}\ncritic: {alpha: 1}\n"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        agon_ctx *ctx = test_ctx(1, NULL);
        run_config *c = NULL;
        assert_ok(ctx, parse(ctx, good[i], &c));
        run_config_free(c);
        agon_ctx_free(ctx);
    }
}

static void run_file__faults_are_named(void **state) {
    (void)state;
    refused("experiment: red-team\nseed: 1\n", "x.yaml is the file of an experiment; agon experiment takes it");
    refused("seed: 1\ntrain:\n  rnk: 4\n", "x.yaml:3: unknown key 'rnk' in section 'train'; did you mean 'rank'?");
    refused("gaet:\n  alpha: 1\n", "did you mean 'gate'?");
    refused("name: ~\n", "x.yaml:1: 'name' has no value");
    refused("seed: 1\nname:\n", "x.yaml:2: 'name' has no value");
    refused("name: \"\"\n", "'name' must be 1 to 100 bytes");
    refused("name: \"a\\eb\"\n", "'name' must be 1 to 100 bytes");
    char longest[128];
    snprintf(longest, sizeof longest, "name: %0101d\n", 7);
    refused(longest, "'name' must be 1 to 100 bytes");
    refused("seed: many\n", "x.yaml:1: 'seed' must be a whole number");
    refused("gate:\n  alpha: 3\n", "between 0.0001 and 0.5");
    refused("oracle: half\n", "one of open|sealed");
    refused("recipe: sealed\noracle: sealed\n", "2 labelled items");
    refused("recipe: sealed\noracle: sealed\nhuman: {labels: 200, gate_items: 2}\n", "human.calibration");
    refused("recipe: sealed\noracle: sealed\nhuman: {labels: 200, calibration: 1, gate_items: 2}\n", "human.calibration");
    refused("recipe: sealed\noracle: sealed\nhuman: {backend: queue}\n", "simulated expert only");
    refused("recipe: sealed\noracle: sealed\niterations: 2\n", "one iteration");
    refused("recipe: sealed\noracle: sealed\nlearner: {backend: command, command: x}\n", "backend: local");
    refused("recipe: sealed\noracle: sealed\ntasks: {file: x.jsonl}\n", "reads no 'tasks.file'");
    refused("verifier: {command: x}\n", "name them in 'tasks.file'");
    refused("seed: 1\nseed: 2\n", "stands twice");
    refused("seed: [1\n", "not valid YAML");
    refused("- a\n", "'key: value' lines");
    refused("human:\n  labels: 10\n", "raise labels or lower a part");
    refused("gate: {general_margin: 1}\n", "x.yaml: gate.general_margin must be below 1, not 1; evaluate.general: 0 leaves");
    refused("gate: {task_margin: 1}\n", "gate.task_margin must be below 1");
    refused("gate: {perplexity_margin: 0}\n", "gate.perplexity_margin must be above 0, not 0");
    refused("evaluate: {xstest_unsafe: 200}\n", "x.yaml: gate.safety_limit: 200 prompts without one failure show a share below 0.0149, not 0.01; raise the limit");
    refused("evaluate: {xstest_unsafe: 100}\ngate: {safety_limit: 0.02}\n", "(1: none) or evaluate.xstest_unsafe");
    refused("evaluate: {xstest_unsafe: 200}\ngate: {safety_limit: 1, safety_margin: 1}\n", "gate.safety_margin must be below 1");
    refused("gate: {audit_agreement: 0.95}\n", "gate.audit_agreement: 30 audits that all agree show 0.905, not 0.95; raise human.audits");
    refused("iterations: 8\nhuman: {labels: 55, audits: 30, demonstrations: 20}\ngate: {audit_agreement: 0.95}\n", "gate.audit_agreement: 55 audits that all agree");
    refused("recipe: sealed\noracle: sealed\niterations: 1\nhuman: {labels: 200, calibration: 2, gate_items: 2}\ngate: {audit_agreement: 0.5}\n",
            "the sealed recipe audits no labels");
    refused("evaluate: {tasks: 100}\ngate: {over_approval: 0.02}\n", "gate.over_approval: 100 held-out answers that are approved and right alike show an index below "
            "0.0294, not 0.02; raise gate.approval_items and evaluate.tasks to 148, or the limit");
    refused("tasks: {file: x.jsonl}\ngate: {over_approval: 0.02, approval_items: 60}\n", "below 0.0484, not 0.02; raise gate.approval_items to 148, or the limit");
    refused("gate: {over_approval: 0.02, approval_items: 0}\n", "gate.over_approval: 0 held-out answers");
    refused("critic: {examples: 0}\ngate: {over_approval: 0.02}\n", "gate.over_approval: it is the model critic's, and critic.examples: 0 has none");
    refused("recipe: sealed\noracle: sealed\niterations: 1\nhuman: {labels: 200, calibration: 2, gate_items: 2}\ngate: {over_approval: 0.5}\n",
            "the sealed recipe knows nothing of what is right");
#define QUEUE "human: {backend: queue, audits: 0, demonstrations: 0, labels: 300, gate_items: 100}\ngate: {critic: true}\n"
    refused(QUEUE, "x.yaml: gate.critic: it judges held-out queries that only people can; name your own in 'tasks: {file}', or leave the line out");
    refused("tasks: {file: x.jsonl}\ngate: {critic: true}\n", "gate.critic: it learns from what people say");
    refused("tasks: {file: x.jsonl}\nhuman: {backend: queue, gate_items: 99, labels: 400}\ngate: {critic: true}\n", "on no fewer than 100 held-out queries; raise human.gate_items");
    refused("tasks: {file: x.jsonl}\ncritic: {backend: command, command: x}\n" QUEUE, "gate.critic: it is a critic of its own that is trained here");
    refused("tasks: {file: x.jsonl}\ncritic: {examples: 0}\n" QUEUE, "gate.critic: it learns from critic.examples verdicts, and 0 are none");
    refused("tasks: {file: x.jsonl}\ntrain: {objective: dpo}\n" QUEUE, "gate.critic: it learns from verdicts on single answers");
    refused("critic: {alpha: 0}\n", "critic.alpha must be above 0 and below 1, not 0; for a critic that never decides alone");
    refused("critic: {alpha: 1}\n", "critic.alpha must be above 0 and below 1");
    refused("recipe: sealed\noracle: sealed\niterations: 1\nhuman: {labels: 200, calibration: 2, gate_items: 2}\ntrain: {objective: dpo}\n",
            "the sealed recipe makes single answers, no pairs, which dpo cannot learn from");
    refused("train:\n  objective: dpoo\n", "no objective 'dpoo', did you mean 'dpo'?");
    refused("train:\n  objective: -7\n", "no objective '-7'");
    refused("train:\n  objective: ppo\n", "ppo cannot learn from alone");
    refused("train:\n  objective: bt\n", "bt cannot learn from alone");
    refused("train:\n  objective: dpo\n  set: [bta=1]\n", "train.set: dpo has no option");
    refused("seed: 1\ntasks:\n  cells: []\n", "x.yaml:3: 'cells' is an empty list; name one or more, or leave the line out");
    refused("train:\n  set: []\n", "x.yaml:2: 'set' is an empty list");
    refused("train: 3\n", "section 'train' must hold");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_file__defaults_fill_what_is_absent),
        cmocka_unit_test(run_file__recipe_train_has_the_defaults_of_agon_train),
        cmocka_unit_test(run_file__written_reads_back_equal),
        cmocka_unit_test(run_file__ends_that_nothing_uses_are_taken),
        cmocka_unit_test(run_file__faults_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
