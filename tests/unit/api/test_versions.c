/* Versions of a workspace as adapters: agon_adapter_open("folder.agon:ID"). */
#include "api/models.h"
#include "tiny_model.h"
#define workspace_new folder_new /* model.h has a function of that name */
#include "workspace.h"

typedef struct fixture {
    agon_ctx *ctx;
    char *folder;
    agon_model *m;
    char base[HASH_HEX_SIZE], ids[2][HASH_HEX_SIZE];
    hash256 values[2];
} fixture;

/* A version whose adapter came from `seed`. */
static void add_version(fixture *f, store *s, run *r, int i, const char *status) {
    adapter *a = NULL;
    char *data = NULL, object[HASH_HEX_SIZE];
    size_t n;
    hash256 hash;
    const adapter_options options = {.rank = 2, .alpha = 4, .seed = 5 + (uint64_t)i};
    assert_ok(f->ctx, adapter_new(f->ctx, f->m->m, &options, &a));
    assert_ok(f->ctx, adapter_save(f->ctx, a, &data, &n));
    assert_ok(f->ctx, object_put(s, data, n, &hash));
    f->values[i] = adapter_hash(a);
    hash_hex(&hash, object);
    hash = hash_text(object);
    hash_hex(&hash, f->ids[i]);
    version_record v = {.run = run_id(r), .id = f->ids[i], .parent = f->base, .role = "learner", .object = object,
                        .base = f->base};
    version_status_record vs = {.run = run_id(r), .version = f->ids[i], .status = status};
    assert_ok(f->ctx, store_add_version(s, &v));
    assert_ok(f->ctx, store_add_version_status(s, &vs));
    free(data);
    adapter_free(a);
}

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    const model_config c = tiny_config();
    store *s = NULL;
    run *r = NULL;
    bool done;
    json_t *result = NULL, *config = json_object();
    hash256 hash;
    assert_non_null(f);
    f->ctx = test_ctx(1, NULL);
    f->folder = folder_new();
    f->m = calloc(1, sizeof *f->m);
    assert_non_null(f->m);
    f->m->m = tiny_model(f->ctx, &c, COMPUTE_F32);
    assert_ok(f->ctx, model_id(f->ctx, f->m->m, &hash));
    hash_hex(&hash, f->base);
    run_options options = {.name = "main", .seed = 1, .config = config};
    step_key key = {.path = "train"};
    assert_ok(f->ctx, store_open(f->ctx, f->folder, STORE_RUN, &s));
    assert_ok(f->ctx, run_begin(f->ctx, s, &options, &r));
    assert_ok(f->ctx, step_begin(r, &key, NULL, &done, &result));
    version_record base = {.run = run_id(r), .id = f->base, .role = "base"};
    assert_ok(f->ctx, store_add_version(s, &base));
    add_version(f, s, r, 0, "promoted");
    add_version(f, s, r, 1, "rejected");
    assert_ok(f->ctx, step_commit(r, config));
    run_end(r);
    store_close(s);
    json_decref(config);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    agon_model_free(f->m);
    workspace_remove(f->folder);
    agon_ctx_free(f->ctx);
    free(f);
    return 0;
}

static void opens_as(fixture *f, const char *id, int want) {
    char name[200];
    agon_adapter *a = NULL;
    snprintf(name, sizeof name, "%s%s%s", f->folder, *id ? ":" : "", id);
    assert_ok(f->ctx, agon_adapter_open(f->ctx, f->m, name, &a));
    hash256 hash = adapter_hash(a->a);
    assert_memory_equal(&hash, &f->values[want], sizeof hash);
    agon_adapter_free(a);
}

static void adapter__of_a_workspace(void **state) {
    fixture *f = *state;
    char beginning[13] = {0};
    opens_as(f, f->ids[1], 1);
    memcpy(beginning, f->ids[0], 12);
    opens_as(f, beginning, 0);
    opens_as(f, "", 0); /* the latest promoted */
}

static agon_status fails_with(fixture *f, agon_model *m, const char *id) {
    char name[200];
    agon_adapter *a = NULL;
    snprintf(name, sizeof name, "%s:%s", f->folder, id);
    return agon_adapter_open(f->ctx, m, name, &a);
}

static void adapter__refusals_say_why(void **state) {
    fixture *f = *state;
    model_config c = tiny_config();
    c.n_layers = 1;
    agon_model *other = calloc(1, sizeof *other);
    assert_non_null(other);
    other->m = tiny_model(f->ctx, &c, COMPUTE_F32);
    assert_int_equal(fails_with(f, f->m, "00000000000"), AGON_ENOTFOUND);
    assert_int_equal(fails_with(f, f->m, f->base), AGON_EINVAL);
    assert_non_null(strstr(agon_error(f->ctx), "the base itself"));
    assert_int_equal(fails_with(f, other, f->ids[0]), AGON_EINVAL);
    assert_non_null(strstr(agon_error(f->ctx), "sits on the base"));
    agon_model_free(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adapter__of_a_workspace),
        cmocka_unit_test(adapter__refusals_say_why),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
