/* Work: an item's output is its own, whatever is around it, however it is cut and wherever it stops; requests that fail; what stays secret. */
#include "actors.h"
#include "model/model.h"

/* ---- cutting, neighbours, interruption ------------------------------------------------------------------- */

static json_t *demonstrations(stand *x, size_t n) {
    json_t *inputs = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(inputs, json_pack("{sO}", "query", x->queries.items[i].task));
    return inputs;
}

static void run_kind(stand *x, const work_kind *kind, const json_t *inputs, json_t **results) {
    assert_ok(x->ctx, work_run(&x->actors, "work", kind, inputs, NULL, NULL, results));
    assert_int_equal(json_array_size(*results), json_array_size(inputs));
}

/* Results of `kind` in a fresh workspace, in chunks of this size. Seeds matter: demonstrations are worded by them. */
static json_t *with_chunk(const work_kind *kind, size_t chunk, size_t n, size_t first) {
    work_kind cut = *kind;
    stand *x = stand_new(NULL);
    json_t *results = NULL;
    stand_draw(x, "q", "arithmetic", "two_digit_sum", n);
    json_t *inputs = demonstrations(x, n);
    cut.chunk = chunk;
    for (size_t i = first; i < n; i++) /* what is behind `first` is something else altogether */
        json_array_set_new(inputs, i, json_pack("{sO}", "query", x->queries.items[0].task));
    run_kind(x, &cut, inputs, &results);
    json_decref(inputs);
    stand_free(x);
    return results;
}

static void work__chunks__do_not_show(void **state) {
    (void)state;
    json_t *whole = with_chunk(&work_demonstrate, 256, 23, 23);
    static const size_t chunks[] = {1, 2, 5, 22, 23};
    assert_false(json_equal(json_array_get(whole, 0), json_array_get(whole, 1)));
    for (size_t k = 0; k < sizeof chunks / sizeof *chunks; k++) {
        json_t *cut = with_chunk(&work_demonstrate, chunks[k], 23, 23);
        assert_true(json_equal(cut, whole));
        json_decref(cut);
    }
    json_decref(whole);
}

static void work__neighbours__do_not_show(void **state) {
    (void)state;
    json_t *whole = with_chunk(&work_demonstrate, 256, 12, 12), *other = with_chunk(&work_demonstrate, 256, 12, 7);
    json_t *more = with_chunk(&work_demonstrate, 256, 30, 12);
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal(json_equal(json_array_get(whole, i), json_array_get(other, i)), i < 7);
        assert_true(json_equal(json_array_get(whole, i), json_array_get(more, i)));
    }
    json_decref(whole);
    json_decref(other);
    json_decref(more);
}

/* The same with a model behind it: sampled answers of a local backend. */
static json_t *sampled(size_t chunk, size_t n) {
    work_kind cut = work_generate;
    char path[2048];
    model *m = NULL;
    backend *local = NULL;
    stand *x = stand_new(NULL);
    json_t *inputs = json_array(), *results = NULL;
    golden_path(path, "tiny-text.gguf");
    assert_ok(x->ctx, model_open(x->ctx, path, COMPUTE_F32, &m));
    assert_ok(x->ctx, backend_local_new(x->ctx, m, 0, &local));
    x->actors.learner = local;
    for (size_t i = 0; i < n; i++) {
        char text[40];
        snprintf(text, sizeof text, "%.*s%zu", (int)(i % 7), "abcdefg", i);
        json_array_append_new(inputs, json_pack("{ss s[{ss ss}] ss si sf sf si}", "role", "learner", "messages", "role", "user",
                                                "content", text, "version", "base", "samples", 2, "temperature", 0.8,
                                                "top_p", 0.95, "max_tokens", 8));
    }
    cut.chunk = chunk;
    run_kind(x, &cut, inputs, &results);
    json_decref(inputs);
    backend_free(local);
    model_free(m);
    stand_free(x);
    return results;
}

static void work__sampled_answers__do_not_depend_on_the_batch(void **state) {
    (void)state;
    json_t *whole = sampled(64, 11), *one = sampled(1, 11), *few = sampled(4, 6);
    size_t differ = 0;
    for (size_t i = 0; i < 11; i++) {
        assert_true(json_equal(json_array_get(whole, i), json_array_get(one, i)));
        assert_true(i >= 6 || json_equal(json_array_get(whole, i), json_array_get(few, i)));
        const json_t *both = json_object_get(json_object_get(json_array_get(whole, i), "out"), "completions");
        differ += !json_equal(json_array_get(both, 0), json_array_get(both, 1));
    }
    assert_true(differ > 0); /* they are samples */
    json_decref(whole);
    json_decref(one);
    json_decref(few);
}

typedef struct stopper {
    agon_ctx *ctx;
    size_t at, seen;
} stopper;

static agon_status stop_at(void *arg, size_t i, const json_t *out, json_t **ids) {
    stopper *p = arg;
    (void)out;
    if (p->seen++ == p->at)
        agon_interrupt(p->ctx);
    *ids = json_integer((json_int_t)i);
    return AGON_OK;
}

static void work__interrupted__goes_on_to_the_same_results(void **state) {
    (void)state;
    work_kind cut = work_demonstrate;
    hash256 want;
    json_t *whole = NULL;
    cut.chunk = 4;
    for (size_t at = 30; at-- > 0;) { /* 29: beyond the last, uninterrupted */
        stand *x = stand_new(NULL);
        stopper p = {x->ctx, at, 0};
        json_t *results = NULL, *inputs;
        size_t n_stops = 0;
        stand_draw(x, "q", "arithmetic", "two_digit_sum", 23);
        inputs = demonstrations(x, 23);
        while (work_run(&x->actors, "work", &cut, inputs, stop_at, &p, &results) == AGON_EINTERRUPTED) {
            assert_null(results);
            n_stops++;
            atomic_store(&x->ctx->interrupted, 0);
            json_decref(inputs);
            stand_again(x); /* as a new process would */
            stand_draw(x, "q", "arithmetic", "two_digit_sum", 23);
            inputs = demonstrations(x, 23);
        }
        assert_int_equal(n_stops, at < 23);
        assert_int_equal(p.seen, 23); /* nothing is done twice */
        assert_int_equal(json_array_size(results), 23);
        hash256 head = run_head(x->run);
        if (!whole) {
            whole = json_incref(results);
            want = head;
        }
        assert_true(json_equal(results, whole));
        assert_memory_equal(&head, &want, sizeof head);
        json_decref(results);
        json_decref(inputs);
        stand_free(x);
        if (at > 24)
            at = 24;
    }
    json_decref(whole);
}

/* ---- requests that fail ------------------------------------------------------------------------------------ */

/* A learner that answers all queries but one (SIZE_MAX: all). */
static backend *learner_without(stand *x, size_t missing) {
    json_t *answers = json_object(), *script;
    backend *b = NULL;
    for (size_t i = 0; i < x->queries.n; i++)
        if (i != missing)
            json_object_set_new(answers, x->queries.items[i].id, json_sprintf("answer %zu", i));
    script = json_pack("{so}", "answers", answers);
    assert_ok(x->ctx, backend_scripted_new(x->ctx, script, &b));
    json_decref(script);
    return b;
}

static agon_status ask_all(stand *x, size_t samples) {
    ask asks[200];
    const ask_options o = {.version = "base", .kind = "response", .samples = samples, .max_tokens = 8, .temperature = 1, .top_p = 1};
    for (size_t i = 0; i < x->queries.n; i++)
        asks[i] = (ask){i, SIZE_MAX, x->queries.items[i].text, x->queries.items[i].id};
    return respond(&x->actors, "respond", &x->queries, asks, x->queries.n, &o, &x->answers);
}

/* 65 and 129: chunks of 64 would leave the one that fails alone in the last, as if the backend were down. */
static void work__one_request_fails__the_others_go_on(void **state) {
    (void)state;
    static const struct {
        size_t n, missing;
    } cases[] = {{5, 2}, {65, 64}, {129, 128}, {129, 0}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        stand *x = stand_new(NULL);
        stand_draw(x, "q", "arithmetic", "three_digit_sum", cases[k].n);
        backend *b = x->actors.learner = learner_without(x, cases[k].missing);
        assert_ok(x->ctx, ask_all(x, 2));
        assert_int_equal(x->answers.n, 2 * cases[k].n);
        for (size_t i = 0; i < x->answers.n; i++) {
            char want[32];
            snprintf(want, sizeof want, "answer %zu", i / 2);
            assert_int_equal(x->answers.items[i].failed, i / 2 == cases[k].missing);
            assert_string_equal(x->answers.items[i].text, i / 2 == cases[k].missing ? "" : want);
        }
        assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item WHERE path = 'respond' AND result LIKE '%no answer%'"), 1);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM text WHERE kind = 'response'"), 2 * cases[k].n - 2);
        assert_ok(x->ctx, verify_answers(&x->actors, "verify", &x->queries, &x->answers, 0));
        backend_free(b);
        stand_free(x);
    }
}

static void work__all_fail__nothing_is_recorded_and_it_goes_on_later(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    stand_draw(x, "q", "arithmetic", "three_digit_sum", 6);
    int64_t before = stand_count(x, "SELECT count(*) FROM step_item");
    assert_int_equal(ask_all(x, 1), AGON_EREMOTE);
    assert_non_null(strstr(agon_error(x->ctx), "no answer"));
    assert_int_equal(x->answers.n, 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item"), before);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM text WHERE kind = 'response'"), 0);
    stand_again(x);
    stand_draw(x, "q", "arithmetic", "three_digit_sum", 6);
    backend *b = x->actors.learner = learner_without(x, SIZE_MAX);
    assert_ok(x->ctx, ask_all(x, 1));
    assert_int_equal(x->answers.n, 6);
    assert_false(x->answers.items[5].failed);
    backend_free(b);
    stand_free(x);
}

/* ---- secrets ------------------------------------------------------------------------------------------------- */

static void work__sealed_verdicts__leave_no_trace_outside_the_ledger(void **state) {
    (void)state;
    for (int sealed = 0; sealed < 2; sealed++) {
        stand *x = stand_new("{\"default\": \"The answer is 12345.\"}");
        json_t *rows = NULL;
        x->actors.sealed = sealed;
        stand_draw(x, "q", "arithmetic", "two_digit_sum", 5);
        assert_ok(x->ctx, ask_all(x, 1));
        assert_ok(x->ctx, verify_answers(&x->actors, "verify", &x->queries, &x->answers, 0));
        for (size_t i = 0; i < 5; i++) {
            assert_int_equal(x->answers.items[i].outcome, sealed ? OUTCOME_UNKNOWN : OUTCOME_FAIL);
            assert_int_equal(x->answers.items[i].source == NULL, sealed);
        }
        const int64_t open = sealed ? 0 : 5;
        assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item WHERE path = 'verify'"), 5);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item WHERE path = 'verify' AND result LIKE '%\"out\"%'"), open);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item WHERE path = 'verify' AND result LIKE '%fail%'"), open);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM verification"), open);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM label"), open);
        stand_close(x);
        assert_ok(x->ctx, store_open(x->ctx, x->folder, STORE_READ, &x->store));
        assert_ok(x->ctx, store_ledger_read(x->store, &rows));
        assert_int_equal(json_array_size(rows), sealed ? 5 : 0);
        json_decref(rows);
        stand_free(x);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work__chunks__do_not_show),
        cmocka_unit_test(work__neighbours__do_not_show),
        cmocka_unit_test(work__sampled_answers__do_not_depend_on_the_batch),
        cmocka_unit_test(work__interrupted__goes_on_to_the_same_results),
        cmocka_unit_test(work__one_request_fails__the_others_go_on),
        cmocka_unit_test(work__all_fail__nothing_is_recorded_and_it_goes_on_later),
        cmocka_unit_test(work__sealed_verdicts__leave_no_trace_outside_the_ledger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
