/* What agon doctor says of a CPU whose AMX does not add as recorded: the tiles are modelled in C, see test_amx.c. */
#define AMX_MODEL
#define PRODUCTS_AMX chains_amx
#include "base/ctx.h"
#include "test.h"
#include <jansson.h>
#if defined(__x86_64__)
#include "compute/kernels_amx.c"

/* The detail of a check, and whether it passed. */
static const char *detail_of(const json_t *report, const char *name, bool *ok) {
    const json_t *check;
    size_t i;
    json_array_foreach(json_object_get(report, "checks"), i, check) {
        if (strcmp(json_string_value(json_object_get(check, "name")), name) != 0)
            continue;
        *ok = json_is_true(json_object_get(check, "ok"));
        return json_string_value(json_object_get(check, "detail"));
    }
    fail_msg("no check %s", name);
    return "";
}

static void doctor__says_what_is_used_in_place_of_amx(void **state) {
    (void)state;
    if (!cpu_path_present(CPU_AVX512) || !__builtin_cpu_supports("avx512bf16")) {
        print_message("skipped: all of the AMX path but the tiles needs AVX-512 with BF16\n");
        skip();
    }
    for (int wrong = 0; wrong < 2; wrong++) {
        agon_ctx *ctx = test_ctx(1, "avx512");
        char *text = NULL;
        bool ok = false;
        ctx->cpu = CPU_AMX;
        ctx->cpu_forced = false;
        amx_is_wrong = wrong;
        assert_ok(ctx, agon_doctor(ctx, "/nowhere/at/all", &text));
        json_t *report = json_loads(text, 0, NULL);
        assert_string_equal(detail_of(report, "arithmetic", &ok),
                            wrong ? "every kernel gives its recorded bits; those of AMX did not, so AVX-512 is used in its place"
                                  : "every kernel gives its recorded bits");
        assert_true(ok);
        const char *used = wrong ? "avx512 path in use" : "amx path in use", *cpu = detail_of(report, "cpu", &ok);
        if (strncmp(cpu, used, strlen(used)) != 0)
            fail_msg("%s, want %s", cpu, used);
        json_decref(report);
        free(text);
        agon_ctx_free(ctx);
    }
    amx_is_wrong = false;
}
#else
static void doctor__says_what_is_used_in_place_of_amx(void **state) {
    (void)state;
    skip();
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(doctor__says_what_is_used_in_place_of_amx)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
