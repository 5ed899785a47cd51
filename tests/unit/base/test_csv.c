/* Tables with commas: what RFC 4180 says, and what is refused. */
#include "base/csv.h"
#include "base/buffer.h"
#include "base/file.h"
#include "test.h"
#include <unistd.h>

static char path[] = "/tmp/agon-csv-XXXXXX";
static agon_ctx *ctx;

static int setup(void **state) {
    (void)state;
    int fd = mkstemp(path);
    ctx = test_ctx(1, NULL);
    return fd < 0 || close(fd);
}

static int teardown(void **state) {
    (void)state;
    agon_ctx_free(ctx);
    return unlink(path);
}

/* Rows as "where{json}" one after another; where without its folder. */
static agon_status collect(void *arg, const char *where, json_t *row) {
    char *text = json_dumps(row, JSON_COMPACT);
    bool good = buffer_printf(arg, "%s%s\n", strrchr(where, ':'), text);
    free(text);
    return good ? AGON_OK : AGON_ENOMEM;
}

static agon_status read_text(const char *text, size_t n, buffer *out) {
    buffer_clear(out);
    assert_ok(ctx, file_write(ctx, path, text, n));
    return csv_read(ctx, path, collect, out);
}

static void csv__reads_rows(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"a,b\n1,2\n", ":2{\"a\":\"1\",\"b\":\"2\"}\n"},
        {"\xef\xbb\xbf" "a,b\r\n1,2\r\n\r\n3,", ":2{\"a\":\"1\",\"b\":\"2\"}\n:4{\"a\":\"3\",\"b\":\"\"}\n"},
        {"a\n\"x, \"\"y\"\"\nz\"\nnext\n", ":2{\"a\":\"x, \\\"y\\\"\\nz\"}\n:4{\"a\":\"next\"}\n"},
        {"a,b\n\"\",it's\n", ":2{\"a\":\"\",\"b\":\"it's\"}\n"},
        {"a,b\n\"1\",\"2\"", ":2{\"a\":\"1\",\"b\":\"2\"}\n"},
        {"a,b\n", NULL},
        {"", NULL},
    };
    buffer out = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_ok(ctx, read_text(cases[i][0], strlen(cases[i][0]), &out));
        assert_int_equal(out.size, cases[i][1] ? strlen(cases[i][1]) : 0);
        if (cases[i][1])
            assert_string_equal(out.data, cases[i][1]);
    }
    buffer_free(&out);
}

static void csv__refuses_what_is_no_table(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *sentence;
    } cases[] = {
        {"a,b\n1\n", 6, ":2: not as many fields"},
        {"a,b\n1,2,3\n", 10, ":2: not as many fields"},
        {"a\nb\n\"c\nd", 8, ":3: a quote is opened"},
        {"a\n\"b\"c\n", 7, ":2: text after a closing quote"},
        {"a,a\n1,2\n", 8, ":1: two columns"},
        {"a\n\xff\n", 4, ":2: not valid UTF-8"},
        {"a\nb\0c\n", 6, ":1: a NUL byte"},
    };
    buffer out = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_text(cases[i].text, cases[i].n, &out), AGON_EFORMAT);
        assert_non_null(strstr(agon_error(ctx), cases[i].sentence));
    }
    assert_int_equal(csv_read(ctx, "/nonexistent/x.csv", collect, &out), AGON_ENOTFOUND);
    buffer_free(&out);
}

/* So many columns that comparing each name with each other one takes minutes. */
static void csv__takes_many_columns(void **state) {
    (void)state;
    enum { MANY = 200000 };
    buffer text = {0}, out = {0};
    for (int i = 0; i < MANY; i++)
        buffer_printf(&text, "%x,", i);
    buffer_printf(&text, "%x", MANY);
    assert_ok(ctx, read_text(text.data, text.size, &out));
    assert_int_equal(out.size, 0);
    buffer_text(&text, ",7");
    assert_int_equal(read_text(text.data, text.size, &out), AGON_EFORMAT);
    buffer_free(&text);
    buffer_free(&out);
}

/* Damaged files: a status and no crash (the sanitizer builds watch). */
static void csv__survives_mutations(void **state) {
    (void)state;
    static const char text[] = "id,prompt,label\n1,\"How, \"\"so\"\"?\",safe\r\n2,plain,unsafe\n";
    static const char bytes[] = "\",\n\r\xff\0a";
    buffer out = {0};
    uint32_t x = 7;
    for (int round = 0; round < 400; round++) {
        char changed[sizeof text];
        memcpy(changed, text, sizeof text);
        for (int k = 0; k < 3; k++) {
            x = x * 1664525u + 1013904223u;
            changed[(x >> 8) % (sizeof text - 1)] = bytes[x >> 29];
        }
        agon_status s = read_text(changed, (x >> 4) % sizeof text, &out);
        assert_true(s == AGON_OK || s == AGON_EFORMAT);
    }
    buffer_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv__reads_rows),
        cmocka_unit_test(csv__refuses_what_is_no_table),
        cmocka_unit_test(csv__takes_many_columns),
        cmocka_unit_test(csv__survives_mutations),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
