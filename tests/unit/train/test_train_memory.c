/* The predicted peak of a training against the measured one, each in a process of its own. */
#include "train/train_private.h"
#include "base/available.h"
#include "model/model_private.h"
#include "test.h"
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N_ROWS = 1, N_PROMPT = 200, N_RESPONSE = 300, K = 2, N_VOCABULARY = 3000 };
#define TOLERANCE 0.12

static agon_status tensor(void *arg, agon_ctx *ctx, const char *name, size_t n, float *out) {
    (void)ctx, (void)arg;
    for (size_t i = 0; i < n; i++)
        out[i] = strstr(name, "norm") ? 1 : (float)((i * 2654435761u >> 16) % 1000) * 1e-4f - 0.05f;
    return AGON_OK;
}

typedef struct data {
    train_row rows[N_ROWS];
    train_response responses[N_ROWS][K];
    int32_t tokens[N_PROMPT + N_RESPONSE];
} data;

static void new_data(data *d) {
    for (size_t i = 0; i < N_PROMPT + N_RESPONSE; i++)
        d->tokens[i] = (int32_t)(i * 7919 % N_VOCABULARY);
    for (size_t i = 0; i < N_ROWS; i++) {
        for (size_t k = 0; k < K; k++)
            d->responses[i][k] = (train_response){.tokens = d->tokens + N_PROMPT - 50 * k, .n = N_RESPONSE,
                                                  .reward = NAN, .advantage = NAN, .label = NAN, .weight = 1};
        d->rows[i] = (train_row){.prompt = d->tokens, .n_prompt = N_PROMPT, .responses = d->responses[i],
                                 .n_responses = K, .weight = 1};
    }
}

typedef struct place {
    agon_ctx *ctx;
    const char *path;
    bool stops;
} place;

static agon_status write_checkpoint(void *arg, size_t step, const byte_stream *state) {
    const place *x = arg;
    agon_status s = file_write_stream(x->ctx, x->path, state);
    (void)step;
    return s == AGON_OK && x->stops ? AGON_EINTERRUPTED : s;
}

typedef struct figures {
    agon_status status;
    size_t predicted, measured, kept; /* kept: predicted without a limit */
    hash256 hash;
    char message[256];
} figures;

/* Steps of DPO, the state after each in the file `path`: the first of two, or with `resumes` the second; `mib` of memory beyond the model (0: no limit). */
static figures train_once(bool lora, size_t mib, const char *path, bool resumes) {
    static data d;
    figures f = {0};
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c = {.architecture = "llama", .n_layers = 6, .d_model = 192, .n_heads = 6, .n_kv_heads = 2,
                      .head_dim = 32, .d_ff = 768, .n_vocabulary = N_VOCABULARY, .max_context = 2048,
                      .norm_eps = 1e-5f, .rope_theta = 10000, .rope_scaling = "none", .tied_embeddings = true};
    model *m = NULL, *reference = NULL;
    adapter *a = NULL;
    new_data(&d);
    assert_ok(ctx, model_build(ctx, &c, tensor, NULL, COMPUTE_BF16, &m));
    adapter_options ao = {.rank = 8, .alpha = 16, .seed = 3};
    if (lora)
        assert_ok(ctx, adapter_new(ctx, m, &ao, &a));
    else
        assert_ok(ctx, model_build(ctx, &c, tensor, NULL, COMPUTE_BF16, &reference));
    train_options o = train_options_default();
    o.objective = objective_find("dpo");
    objective_defaults(o.objective, o.objective_options);
    o.batch_rows = N_ROWS;
    o.max_steps = 2;
    o.checkpoint_every = 1;
    byte_reader left = {0};
    if (resumes)
        assert_ok(ctx, byte_reader_open(ctx, path, &left));
    size_t now = memory_resident(), limit, n_lora = lora ? adapter_n_values(&c, 8, 0) : 0;
    ctx->memory_limit = mib ? now + (mib << 20) : SIZE_MAX;
    train_memory n = train_predict(m, n_lora, lora ? 8 : 0, d.rows, N_ROWS, &o);
    f.kept = train_memory_total(&n, SIZE_MAX, &limit);
    f.predicted = now + train_memory_total(&n, memory_room(ctx), &limit);
    place to = {ctx, path, !resumes};
    train_sink sink = {.on_checkpoint = write_checkpoint, .arg = &to};
    f.status = train(ctx, m, a, reference, NULL, d.rows, N_ROWS, &o, &sink, resumes ? &left : NULL);
    f.status = f.status == AGON_EINTERRUPTED ? AGON_OK : f.status;
    byte_reader_close(&left);
    snprintf(f.message, sizeof f.message, "%s", agon_error(ctx));
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    f.measured = (size_t)usage.ru_maxrss * 1024;
    if (!f.status && a)
        f.hash = adapter_hash(a);
    else if (!f.status)
        assert_ok(ctx, model_id(ctx, m, &f.hash));
    adapter_free(a);
    model_free(reference);
    model_free(m);
    agon_ctx_free(ctx);
    return f;
}

static figures in_child(bool lora, size_t mib, const char *path, bool resumes) {
    int pipes[2];
    figures f = {.status = AGON_EIO};
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        f = train_once(lora, mib, path, resumes);
        _exit(write(pipes[1], &f, sizeof f) == sizeof f ? 0 : 1);
    }
    assert_true(child > 0);
    close(pipes[1]);
    assert_int_equal(read(pipes[0], &f, sizeof f), sizeof f);
    close(pipes[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    return f;
}

static void assert_predicted(const figures *f) {
    double ratio = (double)f->predicted / (double)f->measured;
    print_message("predicted %zu MiB, measured %zu MiB, ratio %.3f\n", f->predicted >> 20, f->measured >> 20, ratio);
    assert_close(ratio, 1, TOLERANCE);
}

static void memory__is_predicted(void **state) {
    (void)state;
    if (getenv("AGON_TEST_SANITIZED"))
        skip(); /* a sanitizer's own memory is several times the process's */
    char path[] = "/tmp/agon-checkpoint-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    figures lora = {0};
    for (int k = 0; k < 4; k++) {
        figures f = in_child(k < 2, 0, path, k % 2);
        if (f.status)
            fail_msg("%s", f.message);
        assert_predicted(&f);
        lora = k == 0 ? f : lora;
    }
    /* Less than everything kept would take: a layer at a time is computed again, to the same bits. */
    size_t less = (lora.kept >> 20) * 3 / 4;
    figures tight = in_child(true, less, path, false);
    unlink(path);
    if (tight.status)
        fail_msg("%s", tight.message);
    assert_true(tight.measured < lora.measured * 9 / 10);
    assert_true(tight.measured < tight.predicted * (1 + TOLERANCE));
    assert_memory_equal(&tight.hash, &lora.hash, sizeof lora.hash);
}

/* Bits and refusal hold under a sanitizer too. */
static void memory__is_refused_before_anything_runs(void **state) {
    (void)state;
    figures f = in_child(false, 20, "/tmp/never-written", false);
    assert_int_equal(f.status, AGON_ENOMEM);
    assert_non_null(strstr(f.message, "this training needs about"));
    assert_non_null(strstr(f.message, "AGON_MEMORY"));
    assert_null(strchr(f.message, '\n'));
}

/* kto's step has each prompt with another's answer too: what a row more adds to it, it adds twice. */
static void memory__counts_mismatched_pairs(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c = {.architecture = "llama", .n_layers = 1, .d_model = 32, .n_heads = 2, .n_kv_heads = 2, .head_dim = 16, .d_ff = 32,
                      .n_vocabulary = N_VOCABULARY, .max_context = 2048, .norm_eps = 1e-5f, .rope_theta = 10000, .rope_scaling = "none",
                      .tied_embeddings = true};
    model *m = NULL;
    enum { ROWS = 64 };
    int32_t tokens[N_PROMPT] = {0};
    train_response response = {.tokens = tokens, .n = N_PROMPT, .weight = 1, .label = 1, .reward = NAN, .advantage = NAN};
    train_row rows[ROWS];
    size_t more[2];
    assert_ok(ctx, model_build(ctx, &c, tensor, NULL, COMPUTE_BF16, &m));
    for (size_t i = 0; i < ROWS; i++)
        rows[i] = (train_row){.prompt = tokens, .n_prompt = N_PROMPT, .responses = &response, .n_responses = 1, .weight = 1};
    for (int k = 0; k < 2; k++) {
        train_options o = train_options_default();
        o.objective = objective_find(k ? "kto" : "sft");
        objective_defaults(o.objective, o.objective_options);
        o.batch_rows = 8;
        train_memory less = train_predict(m, 100, 1, rows, ROWS, &o);
        o.batch_rows = 24;
        more[k] = train_predict(m, 100, 1, rows, ROWS, &o).rest - less.rest;
    }
    assert_true(more[0] > 0);
    assert_int_equal(more[1], 2 * more[0]);
    train_options o = train_options_default();
    o.objective = objective_find("sft");
    objective_defaults(o.objective, o.objective_options);
    const size_t parameters = train_predict(m, 100, 1, rows, ROWS, &o).parameters;
    assert_int_equal(train_predict_members(m, 3, 100, 1, false, rows, ROWS, &o).parameters, 3 * parameters);
    assert_int_equal(train_predict_members(m, 3, 100, 1, true, rows, ROWS, &o).parameters, 3 * (parameters + 100 * sizeof(float)));
    model_free(m);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory__is_predicted),
        cmocka_unit_test(memory__is_refused_before_anything_runs),
        cmocka_unit_test(memory__counts_mismatched_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
