/* agon data noise: the exact stream, a truth that restores the original, tokens that stay text, bad input. */
#include "train/noise_rows.h"
#include "base/buffer.h"
#include "json_rows.h"
#include "small_tokenizer.h"
#include "train/noise.h"
#include <unistd.h>

typedef struct world {
    agon_ctx *ctx;
    tokenizer *t;
    char folder[64], from[96], to[96], truth[128];
    json_t *report, *before, *after, *original; /* of the last noise */
    buffer text;
} world;

static int setup(void **state) {
    static world w;
    w = (world){.ctx = test_ctx(1, NULL)};
    w.t = small_tokenizer(w.ctx);
    strcpy(w.folder, "/tmp/agon-noise-XXXXXX");
    assert_non_null(mkdtemp(w.folder));
    snprintf(w.from, sizeof w.from, "%s/clean.jsonl", w.folder);
    snprintf(w.to, sizeof w.to, "%s/noisy.jsonl", w.folder);
    snprintf(w.truth, sizeof w.truth, "%s.truth", w.to);
    *state = &w;
    return 0;
}

static void forget(world *w) {
    json_decref(w->report), json_decref(w->before), json_decref(w->after), json_decref(w->original);
    w->report = w->before = w->after = w->original = NULL;
    unlink(w->to);
    unlink(w->truth);
}

static int teardown(void **state) {
    world *w = *state;
    forget(w);
    buffer_free(&w->text);
    unlink(w->from);
    rmdir(w->folder);
    tokenizer_free(w->t);
    agon_ctx_free(w->ctx);
    return 0;
}

static agon_status noise(world *w, const char *objective, noise_options o) {
    forget(w);
    o.objective = objective_find(objective);
    assert_ok(w->ctx, file_write(w->ctx, w->from, w->text.data, w->text.size));
    agon_status s = noise_file(w->ctx, w->from, w->to, &o, &w->report);
    if (!s) {
        w->before = json_rows(w->ctx, w->from);
        w->after = json_rows(w->ctx, w->to);
        w->original = json_rows(w->ctx, w->truth);
    }
    return s;
}

static size_t count(const world *w, const char *key) {
    return (size_t)json_integer_value(json_object_get(w->report, key));
}

/* The rows that the truth names differ, the others do not, and with what it says they are as they were. */
static void expect_restorable(world *w, bool *changed) {
    size_t n = json_array_size(w->before), at = 0;
    assert_int_equal(json_array_size(w->after), n);
    for (size_t i = 0; i < n; i++) {
        const json_t *truth = json_array_get(w->original, at);
        json_t *row = json_deep_copy(json_array_get(w->after, i));
        changed[i] = truth && json_integer_value(json_object_get(truth, "line")) == (json_int_t)i + 1;
        assert_true(changed[i] == !json_equal(row, json_array_get(w->before, i)));
        if (changed[i])
            json_object_update(row, json_object_get(truth, "original"));
        assert_true(json_equal(row, json_array_get(w->before, i)));
        at += changed[i];
        json_decref(row);
    }
    assert_int_equal(at, json_array_size(w->original));
    assert_int_equal(count(w, "changed"), at);
}

enum { N = 60 };

static void noise__swaps_pairs_by_the_exact_stream(void **state) {
    world *w = *state;
    bool flips[N], changed[N];
    buffer_clear(&w->text);
    for (size_t i = 0; i < N; i++)
        buffer_printf(&w->text, "{\"prompt\":\"q\",\"chosen\":\"c%zu\",\"rejected\":\"r%zu\",\"margin\":2,\"chosen_critique\":\"fine\","
                                "\"rejected_critique\":\"no\",\"id\":%zu}\n", i, i, i);
    assert_ok(w->ctx, noise(w, "dpo", (noise_options){.rate = 0.3, .seed = 2024}));
    expect_restorable(w, changed);
    noise_flips(2024, 0.3, N, flips);
    assert_memory_equal(changed, flips, sizeof flips);
    for (size_t i = 0; i < N; i++) {
        const json_t *row = json_array_get(w->after, i);
        assert_int_equal(json_string_value(json_object_get(row, "chosen"))[0], flips[i] ? 'r' : 'c');
        assert_string_equal(json_string_value(json_object_get(row, "chosen_critique")), flips[i] ? "no" : "fine");
        assert_int_equal(json_integer_value(json_object_get(row, "margin")), 2); /* the wrong judgement's */
        assert_int_equal(json_integer_value(json_object_get(row, "id")), i);
    }
    assert_string_equal(json_string_value(json_object_get(w->report, "kind")), "swapped");
}

/* Under modpo they are other dimensions' of the texts: they go where the texts go, and the truth gives them back. */
static void noise__rewards_of_other_dimensions_go_with_their_texts(void **state) {
    world *w = *state;
    bool flips[N], changed[N];
    buffer_clear(&w->text);
    for (size_t i = 0; i < N; i++)
        buffer_printf(&w->text, i % 2 ? "{\"prompt\":\"q\",\"chosen\":\"c%zu\",\"rejected\":\"r%zu\",\"margin\":2}\n"
                                      : "{\"prompt\":\"q\",\"chosen\":\"c%zu\",\"rejected\":\"r%zu\",\"rewards\":[0.5,-1]}\n", i, i);
    assert_ok(w->ctx, noise(w, "modpo", (noise_options){.rate = 0.3, .seed = 2024}));
    expect_restorable(w, changed);
    noise_flips(2024, 0.3, N, flips);
    assert_memory_equal(changed, flips, sizeof flips);
    for (size_t i = 0; i < N; i++) {
        const json_t *row = json_array_get(w->after, i), *rewards = json_object_get(row, "rewards");
        assert_int_equal(json_string_value(json_object_get(row, "chosen"))[0], flips[i] ? 'r' : 'c');
        if (i % 2)
            assert_close(json_number_value(json_object_get(row, "margin")), flips[i] ? -2 : 2, 0);
        else
            assert_close(json_number_value(json_array_get(rewards, 0)), flips[i] ? -1 : 0.5, 0);
        if (i % 2 == 0)
            assert_close(json_number_value(json_array_get(rewards, 1)), flips[i] ? 0.5 : -1, 0);
    }
    assert_ok(w->ctx, noise(w, "bt", (noise_options){.rate = 1, .seed = 1})); /* of the same rows a reward model would learn a judgement */
    for (size_t i = 1; i < N; i += 2)
        assert_close(json_number_value(json_object_get(json_array_get(w->after, i), "margin")), 2, 0);
}

static void noise__reverses_labels(void **state) {
    world *w = *state;
    static const char *const labels[] = {"true", "false", "1", "0", "0.25"}, *const reversed[] = {"false", "true", "0", "1", "0.75"};
    bool changed[N];
    buffer_clear(&w->text);
    for (size_t i = 0; i < N; i++)
        buffer_printf(&w->text, "{\"prompt\":\"q\",\"completion\":\"a\",\"label\":%s}\n", labels[i % 5]);
    assert_ok(w->ctx, noise(w, "kto", (noise_options){.rate = 1, .seed = 1}));
    expect_restorable(w, changed);
    assert_int_equal(count(w, "changed"), N);
    for (size_t i = 0; i < N; i++) {
        json_t *want = json_loads(reversed[i % 5], JSON_DECODE_ANY, NULL);
        assert_true(json_equal(json_object_get(json_array_get(w->after, i), "label"), want));
        json_decref(want);
    }
}

static void noise__replaces_completions_by_others(void **state) {
    world *w = *state;
    bool changed[N], flips[N];
    buffer_clear(&w->text);
    for (size_t i = 0; i < N; i++)
        if (i % 3)
            buffer_printf(&w->text, "{\"prompt\":\"q\",\"completion\":\"word%zu\"}\n", i / 2);
        else
            buffer_printf(&w->text, "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"word%zu\"}]}\n", i / 2);
    assert_ok(w->ctx, noise(w, "sft", (noise_options){.rate = 0.5, .seed = 7}));
    expect_restorable(w, changed); /* so none has its own words again */
    noise_flips(7, 0.5, N, flips);
    assert_memory_equal(changed, flips, sizeof flips);
    buffer_clear(&w->text);
    buffer_text(&w->text, "{\"prompt\":\"q\",\"completion\":\"a\"}\n{\"prompt\":\"q2\",\"completion\":\"a\"}\n");
    assert_int_equal(noise(w, "sft", (noise_options){.rate = 1}), AGON_EINVAL);
    assert_non_null(strstr(agon_error(w->ctx), "no other words"));
}

/* At level token and span; characters of several tokens stay whole. */
static void noise__replaces_tokens(void **state) {
    world *w = *state;
    for (int level = NOISE_TOKEN; level <= NOISE_SPAN; level++) {
        bool changed[N];
        buffer_clear(&w->text);
        for (size_t i = 0; i < N; i++)
            buffer_printf(&w->text, "{\"prompt\":\"q\",\"completion\":\"the cat %zu sat \xe4\xb8\xad on the mat\"}\n", i);
        assert_ok(w->ctx, noise(w, "sft", (noise_options){.rate = 0.1, .seed = 3, .level = (noise_level)level, .t = w->t}));
        expect_restorable(w, changed);
        double share = (double)count(w, "replaced") / (double)count(w, "replaceable");
        assert_true(count(w, "replaceable") <= count(w, "tokens"));
        assert_true(share > 0.07 && share < 0.13); /* the rate is the share, of spans too */
        assert_true(count(w, "read_otherwise") < count(w, "tokens"));
        for (size_t i = 0; i < N; i++)
            assert_non_null(strstr(json_string_value(json_object_get(json_array_get(w->after, i), "completion")), "\xe4\xb8\xad"));
    }
}

/* Of short responses too, at every rate: a span is as likely at the first token as anywhere. */
static void noise__covers_the_stated_share_with_spans(void **state) {
    world *w = *state;
    static const double rates[] = {0.1, 0.2, 0.5, 1};
    buffer_clear(&w->text);
    for (size_t i = 0; i < 2000; i++)
        buffer_printf(&w->text, "{\"prompt\":\"q\",\"completion\":\"the cat\"}\n");
    for (size_t k = 0; k < 4; k++) {
        assert_ok(w->ctx, noise(w, "sft", (noise_options){.rate = rates[k], .seed = 5, .level = NOISE_SPAN, .t = w->t}));
        assert_close((double)count(w, "replaced") / (double)count(w, "replaceable"), rates[k], 0.02);
    }
}

/* Of pairs the chosen side, a text or messages; the other stays as it is. */
static void noise__replaces_tokens_of_the_chosen_side(void **state) {
    world *w = *state;
    for (int level = NOISE_TOKEN; level <= NOISE_SPAN; level++) {
        bool changed[N];
        size_t n = 0;
        buffer_clear(&w->text);
        for (size_t i = 0; i < N; i++)
            buffer_printf(&w->text, i % 2 ? "{\"prompt\":\"q\",\"chosen\":\"the cat %zu sat on the mat\",\"rejected\":\"no\"}\n"
                                          : "{\"chosen\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"the cat %zu sat\"}],"
                                            "\"rejected\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"no\"}]}\n", i);
        assert_ok(w->ctx, noise(w, "dpo", (noise_options){.rate = 0.3, .seed = 3, .level = (noise_level)level, .t = w->t}));
        expect_restorable(w, changed);
        for (size_t i = 0; i < N; i++) {
            n += changed[i];
            assert_true(json_equal(json_object_get(json_array_get(w->after, i), "rejected"), json_object_get(json_array_get(w->before, i), "rejected")));
        }
        assert_true(n > N / 2);
    }
}

/* Two texts without a prompt: what both begin with is trained on as the prompt, and stays. */
static void noise__leaves_the_beginning_of_two_texts(void **state) {
    world *w = *state;
    static const char begin[] = "\n\nHuman: the cat sat on the mat, and\n\nAssistant: ";
    for (int level = NOISE_TOKEN; level <= NOISE_SPAN; level++) {
        bool changed[N];
        buffer_clear(&w->text);
        for (size_t i = 0; i < N; i++)
            buffer_printf(&w->text, "{\"chosen\":\"\\n\\nHuman: the cat sat on the mat, and\\n\\nAssistant: the cat %zu\","
                                    "\"rejected\":\"\\n\\nHuman: the cat sat on the mat, and\\n\\nAssistant: no\"}\n", i);
        assert_ok(w->ctx, noise(w, "dpo", (noise_options){.rate = 0.9, .seed = 3, .level = (noise_level)level, .t = w->t}));
        expect_restorable(w, changed);
        for (size_t i = 0; i < N; i++) {
            const char *chosen = json_string_value(json_object_get(json_array_get(w->after, i), "chosen"));
            assert_int_equal(strncmp(chosen, begin, sizeof begin - 1), 0);
        }
        assert_true(count(w, "changed") > N / 2);
        assert_true(count(w, "tokens") < 8 * N); /* of the answers alone */
    }
}

/* log_probs speak of the words that were replaced, and come back with them. */
static void noise__the_truth_has_the_log_probs(void **state) {
    world *w = *state;
    bool changed[N];
    buffer_clear(&w->text);
    for (size_t i = 0; i < N; i++)
        buffer_printf(&w->text, "{\"prompt\":\"q\",\"completion\":\"the cat %zu\",\"log_probs\":[-1,-2]}\n", i);
    for (int level = NOISE_RESPONSE; level <= NOISE_SPAN; level++) {
        assert_ok(w->ctx, noise(w, "sft", (noise_options){.rate = 0.9, .seed = 3, .level = (noise_level)level, .t = w->t}));
        expect_restorable(w, changed);
        for (size_t i = 0; i < N; i++)
            assert_true(changed[i] == !json_object_get(json_array_get(w->after, i), "log_probs"));
    }
}

static void noise__names_bad_input(void **state) {
    world *w = *state;
    const struct {
        const char *objective, *row, *words;
        noise_options o;
    } cases[] = {
        {"dpo", "{\"prompt\":\"q\",\"chosen\":\"a\"}", "clean.jsonl:1: rejected is missing", {.rate = 0.5}},
        {"dpo", "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"a\"}", "clean.jsonl:1: chosen and rejected are the same", {.rate = 0.5}},
        {"kto", "{\"prompt\":\"q\",\"completion\":\"a\"}", "clean.jsonl:1: label must be", {.rate = 0.5}},
        {"kto", "{\"prompt\":\"q\",\"completion\":\"a\",\"label\":2}", "clean.jsonl:1: label must be", {.rate = 0.5}},
        {"kto", "{\"prompt\":\"q\",\"completion\":\"a\",\"label\":0.5}", "changes nothing", {.rate = 0.5}},
        {"sft", "{\"text\":\"a\"}", "clean.jsonl:1: there is no response", {.rate = 0.5}},
        {"sft", "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}", "there is no response", {.rate = 0.5}},
        {"sft", "{\"prompt\":\"q\",\"completion\":\"a\",\"spans\":[]}", "clean.jsonl:1: spans", {.rate = 0.5}},
        {"sft", "{\"prompt\":\"q\",\"completion\":\"a\"}", "rate of the noise", {.rate = 1.5}},
        {"sft", "{\"prompt\":\"q\",\"completion\":\"a\"}", "needs a tokenizer", {.rate = 0.5, .level = NOISE_TOKEN}},
        {"sft", "{\"prompt\":\"q\",\"completions\":[\"a\",\"b\"]}", "clean.jsonl:1: completions are a group", {.rate = 0.5}},
        {"exo-rw", "{\"prompt\":\"q\"}", "learns from groups", {.rate = 0.5}},
        {"prm", "{\"prompt\":\"q\"}", "labels of steps", {.rate = 0.5}},
        {"dpo", "", "there are no rows", {.rate = 0.5}},
        {"dpo", "{\"chosen\":\"a b\",\"rejected\":\"c d\"}", "clean.jsonl:1: prompt is missing", {.rate = 0.5, .level = NOISE_TOKEN, .t = w->t}},
        {"dpo", "{\"chosen\":\"a b\"}", "clean.jsonl:1: prompt is missing", {.rate = 0.5, .level = NOISE_SPAN, .t = w->t}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buffer_clear(&w->text);
        buffer_printf(&w->text, "%s\n", cases[i].row);
        if (noise(w, cases[i].objective, cases[i].o) == AGON_OK || !strstr(agon_error(w->ctx), cases[i].words))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, agon_error(w->ctx), cases[i].words);
        assert_int_not_equal(access(w->to, F_OK), 0);
        assert_int_not_equal(access(w->truth, F_OK), 0);
    }
    noise_level level;
    assert_int_equal(noise_level_find(w->ctx, "word", &level), AGON_EINVAL);
    /* It never writes over a file, nor leaves one of the two. */
    buffer_clear(&w->text);
    buffer_text(&w->text, "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}\n");
    assert_ok(w->ctx, noise(w, "dpo", (noise_options){.rate = 0.5}));
    unlink(w->to);
    json_t *report = NULL;
    const noise_options o = {.objective = objective_find("dpo"), .rate = 0.5};
    assert_int_equal(noise_file(w->ctx, w->from, w->to, &o, &report), AGON_EINVAL);
    assert_non_null(strstr(agon_error(w->ctx), ".truth is there already"));
    assert_int_not_equal(access(w->to, F_OK), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise__swaps_pairs_by_the_exact_stream), cmocka_unit_test(noise__reverses_labels),
        cmocka_unit_test(noise__rewards_of_other_dimensions_go_with_their_texts),
        cmocka_unit_test(noise__replaces_completions_by_others),  cmocka_unit_test(noise__replaces_tokens),
        cmocka_unit_test(noise__covers_the_stated_share_with_spans), cmocka_unit_test(noise__replaces_tokens_of_the_chosen_side),
        cmocka_unit_test(noise__leaves_the_beginning_of_two_texts), cmocka_unit_test(noise__the_truth_has_the_log_probs),
        cmocka_unit_test(noise__names_bad_input),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
