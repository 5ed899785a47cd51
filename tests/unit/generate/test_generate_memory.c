/* The predicted peak of a generation against the measured one, each in a process of its own. */
#include "base/available.h"
#include "generate/generate.h"
#include "model/model_private.h"
#include "test.h"
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REQUESTS = 16, SAMPLES = 4, LONGEST = 2000, N_VOCABULARY = 3000 };
static const generate_load many = {.requests = REQUESTS, .samples = SAMPLES, .prompt = 60, .answer = 12},
                           one = {.requests = 1, .samples = 1, .prompt = LONGEST, .answer = 2};
#define TOLERANCE 0.12

static agon_status tensor(void *arg, agon_ctx *ctx, const char *name, size_t n, float *out) {
    (void)ctx, (void)arg;
    for (size_t i = 0; i < n; i++)
        out[i] = strstr(name, "norm") ? 1 : (float)((i * 2654435761u >> 16) % 1000) * 1e-4f - 0.05f;
    return AGON_OK;
}

typedef struct figures {
    agon_status status;
    size_t predicted, least, measured;
} figures;

static figures generate_once(const generate_load *load, size_t room) {
    static int32_t prompts[REQUESTS][LONGEST];
    static uint64_t seeds[SAMPLES];
    generate_request requests[REQUESTS];
    completion out[REQUESTS * SAMPLES];
    figures f = {0};
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c = {.architecture = "llama", .n_layers = 12, .d_model = 192, .n_heads = 6, .n_kv_heads = 6,
                      .head_dim = 32, .d_ff = 384, .n_vocabulary = N_VOCABULARY, .max_context = 2048,
                      .norm_eps = 1e-5f, .rope_theta = 10000, .rope_scaling = "none", .tied_embeddings = true};
    model *m = NULL;
    assert_ok(ctx, model_build(ctx, &c, tensor, NULL, COMPUTE_BF16, &m));
    for (size_t i = 0; i < load->requests; i++) {
        for (size_t j = 0; j < load->prompt; j++)
            prompts[i][j] = (int32_t)((i * load->prompt + j) * 7919 % N_VOCABULARY); /* none begins as another does */
        requests[i] = (generate_request){.prompt = prompts[i], .n_prompt = load->prompt, .n_samples = load->samples, .seeds = seeds,
                                         .sampling = sampling_default()};
        requests[i].sampling.max_tokens = load->answer;
        requests[i].sampling.ignore_stop_tokens = true;
    }
    size_t now = memory_resident();
    ctx->memory_limit = room == SIZE_MAX ? room : now + room;
    generate_memory n = generate_predict(ctx, m, load, room);
    f.predicted = now + n.most;
    f.least = n.least;
    f.status = generate(ctx, m, requests, load->requests, NULL, out);
    for (size_t i = 0; !f.status && i < load->requests * load->samples; i++)
        completion_free(&out[i]);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    f.measured = (size_t)usage.ru_maxrss * 1024;
    model_free(m);
    agon_ctx_free(ctx);
    return f;
}

static figures in_child(const generate_load *load, size_t room) {
    int pipes[2], status;
    figures f = {.status = AGON_EIO};
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        f = generate_once(load, room);
        _exit(write(pipes[1], &f, sizeof f) == sizeof f ? 0 : 1);
    }
    assert_true(child > 0);
    close(pipes[1]);
    assert_int_equal(read(pipes[0], &f, sizeof f), sizeof f);
    close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    return f;
}

static void memory__of_a_generation_is_predicted(void **state) {
    (void)state;
    if (getenv("AGON_TEST_SANITIZED"))
        skip(); /* a sanitizer's own memory is several times the process's */
    figures all = in_child(&many, SIZE_MAX), tight = in_child(&many, all.least + (16 << 20));
    const figures *runs[] = {&all, &tight};
    for (int i = 0; i < 2; i++) {
        double ratio = (double)runs[i]->predicted / (double)runs[i]->measured;
        print_message("predicted %zu MiB, measured %zu MiB, ratio %.3f\n", runs[i]->predicted >> 20, runs[i]->measured >> 20, ratio);
        assert_int_equal(runs[i]->status, AGON_OK);
        assert_close(ratio, 1, TOLERANCE);
    }
    assert_true(tight.measured < all.measured);
}

/* What it calls the least is what the generation itself refuses below. */
static void memory__least_is_where_it_is_refused(void **state) {
    (void)state;
    const generate_load *loads[] = {&many, &one}; /* the one prompt's cache is several times the 4 MiB */
    for (int i = 0; i < 2; i++) {
        size_t least = in_child(loads[i], SIZE_MAX).least;
        assert_int_equal(in_child(loads[i], least - (1 << 20)).status, AGON_ENOMEM);
        assert_int_equal(in_child(loads[i], least + (4 << 20)).status, AGON_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory__of_a_generation_is_predicted),
        cmocka_unit_test(memory__least_is_where_it_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
