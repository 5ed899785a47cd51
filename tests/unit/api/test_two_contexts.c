/* Two contexts, each in a thread of its own, share a model (also run under TSan, scripts/test). */
#include "weights_fixtures.h"
#include <pthread.h>

enum { N_CONTEXTS = 2 };

typedef struct worker {
    agon_model *m;
    const char *rows, *output;
    uint64_t seed;
    pthread_barrier_t *start; /* NULL: alone */
    char failure[512];
} worker;

static agon_status train_adapter(agon_ctx *ctx, const worker *w) {
    agon_train_options t = agon_train_options_default();
    agon_dataset *d = NULL;
    t.lora_rank = 2;
    t.batch_rows = 1;
    t.seed = w->seed;
    agon_status s = agon_dataset_open(ctx, agon_model_tokenizer(w->m), w->rows, "sft", 0, &d);
    if (w->start)
        pthread_barrier_wait(w->start);
    if (!s)
        s = agon_train(ctx, w->m, d, w->output, &t, NULL);
    agon_dataset_free(d);
    return s;
}

static void *work(void *arg) {
    worker *w = arg;
    agon_ctx *ctx = test_ctx(2, NULL);
    if (train_adapter(ctx, w))
        snprintf(w->failure, sizeof w->failure, "%s", agon_error(ctx));
    agon_ctx_free(ctx);
    return NULL;
}

static size_t read_adapter(const char *folder, char *bytes, size_t n) {
    char path[512];
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", folder);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    n = fread(bytes, 1, n, file);
    fclose(file);
    assert_true(n > 0);
    return n;
}

static void adapters__trained_in_two_threads_are_those_trained_alone(void **state) {
    (void)state;
    enum { MOST = 1 << 17 };
    static char bytes[2 * N_CONTEXTS][MOST];
    const fixture_folder folder = fixture_folder_new();
    char rows[256], outputs[2 * N_CONTEXTS][96], model[2048];
    worker w[2 * N_CONTEXTS];
    pthread_t threads[N_CONTEXTS];
    pthread_barrier_t start;
    agon_model *models[2] = {NULL}; /* one for those alone, one that is shared */
    agon_ctx *ctx = test_ctx(1, NULL);
    FILE *file = fopen(fixture_path(rows, &folder, "rows.jsonl"), "w");
    fputs("{\"prompt\":\"one\",\"completion\":\"two\"}\n{\"prompt\":\"two\",\"completion\":\"three\"}\n", file);
    fclose(file);
    assert_int_equal(pthread_barrier_init(&start, NULL, N_CONTEXTS), 0);
    for (int i = 0; i < 2; i++)
        assert_ok(ctx, agon_model_open(ctx, golden_path(model, "tiny-text.gguf"), NULL, &models[i]));
    for (int i = 0; i < 2 * N_CONTEXTS; i++) {
        const bool alone = i < N_CONTEXTS;
        snprintf(outputs[i], sizeof outputs[i], "%s/%d", folder.path, i);
        w[i] = (worker){models[!alone], rows, outputs[i], (uint64_t)(i % N_CONTEXTS), alone ? NULL : &start, ""};
        if (alone)
            work(&w[i]);
        else
            assert_int_equal(pthread_create(&threads[i - N_CONTEXTS], NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < N_CONTEXTS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2 * N_CONTEXTS; i++) {
        assert_string_equal(w[i].failure, "");
        size_t n = read_adapter(outputs[i], bytes[i], MOST);
        assert_true(n < MOST);
        if (i >= N_CONTEXTS)
            assert_memory_equal(bytes[i], bytes[i - N_CONTEXTS], n);
    }
    for (int i = 0; i < 2; i++)
        agon_model_free(models[i]);
    pthread_barrier_destroy(&start);
    agon_ctx_free(ctx);
    fixture_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adapters__trained_in_two_threads_are_those_trained_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
