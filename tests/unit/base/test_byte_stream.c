/* file.h and byte_stream.h: bytes written while they are made, and read by place. */
#include "../../stream_bytes.h"
#include "test.h"
#include "base/file.h"
#include <dirent.h>
#include <unistd.h>

/* "ab" again and again, up to size bytes; with `of`, which counts down, it fails at the piece where that is 0. */
static agon_status write_pairs(const byte_stream *x, stream_add add, void *arg) {
    agon_status s = AGON_OK;
    int left = x->of ? *(const int *)x->of : -1;
    for (size_t i = 0; i < x->size && !s; i += 2)
        s = left-- == 0 ? AGON_EIO : add(arg, "ab", 2);
    return s;
}

static size_t n_files(const char *folder) {
    DIR *d = opendir(folder);
    size_t n = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void stream__is_written_whole_or_not_at_all(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char top[] = "/tmp/agon-stream-XXXXXX", path[64], *data;
    const int pieces = 3;
    const byte_stream good = {write_pairs, NULL, 100}, bad = {write_pairs, &pieces, 100};
    size_t n;
    assert_non_null(mkdtemp(top));
    snprintf(path, sizeof path, "%s/pairs", top);
    assert_int_equal(file_write_stream(ctx, path, &bad), AGON_EIO);
    assert_int_equal(n_files(top), 0);
    assert_ok(ctx, file_write_stream(ctx, path, &good));
    assert_int_equal(file_write_stream(ctx, path, &bad), AGON_EIO);
    assert_int_equal(n_files(top), 1);
    assert_ok(ctx, file_read(ctx, path, 1000, &data, &n));
    assert_int_equal(n, 100);
    assert_memory_equal(data + 96, "abab", 4);
    hash256 read, here = hash_bytes(data, n);
    byte_reader r;
    assert_ok(ctx, byte_reader_open(ctx, path, &r));
    assert_ok(ctx, byte_reader_hash(ctx, &r, &read));
    assert_memory_equal(&read, &here, sizeof here);
    byte_reader_close(&r);
    free(data);
    unlink(path);
    assert_int_equal(rmdir(top), 0);
    agon_ctx_free(ctx);
}

static void check_reads(agon_ctx *ctx, const byte_reader *r) {
    char got[10] = "";
    const byte_reader part = byte_reader_part(r, 2, 5), inner = byte_reader_part(&part, 1, 2);
    assert_int_equal(r->size, 10);
    assert_ok(ctx, byte_reader_read(ctx, r, 3, got, 7));
    assert_memory_equal(got, "3456789", 7);
    assert_ok(ctx, byte_reader_read(ctx, &part, 0, got, 5));
    assert_memory_equal(got, "23456", 5);
    assert_ok(ctx, byte_reader_read(ctx, &inner, 0, got, 2));
    assert_memory_equal(got, "34", 2);
    assert_ok(ctx, byte_reader_read(ctx, r, 10, got, 0));
    assert_int_equal(byte_reader_read(ctx, r, 4, got, 7), AGON_EFORMAT);
    assert_int_equal(byte_reader_read(ctx, &part, 1, got, 5), AGON_EFORMAT);
    assert_int_equal(byte_reader_read(ctx, &inner, SIZE_MAX, got, 2), AGON_EFORMAT);
}

static void reader__reads_by_place_and_no_further(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char path[] = "/tmp/agon-reader-XXXXXX", got[10];
    const int fd = mkstemp(path);
    byte_reader r = byte_reader_of("0123456789", 10), none = {0};
    check_reads(ctx, &r);
    byte_reader_close(&r); /* nothing to close */
    byte_reader_close(&none);
    assert_true(fd >= 0 && write(fd, "0123456789", 10) == 10);
    assert_ok(ctx, byte_reader_open(ctx, path, &r));
    check_reads(ctx, &r);
    /* What was there is gone: a sentence, and no signal. */
    assert_int_equal(ftruncate(fd, 4), 0);
    assert_ok(ctx, byte_reader_read(ctx, &r, 0, got, 4));
    assert_int_equal(byte_reader_read(ctx, &r, 0, got, 5), AGON_EFORMAT);
    assert_non_null(strstr(agon_error(ctx), path));
    assert_non_null(strstr(agon_error(ctx), "cut short"));
    byte_reader_close(&r);
    close(fd);
    unlink(path);
    assert_int_equal(byte_reader_open(ctx, path, &none), AGON_ENOTFOUND);
    assert_int_equal(byte_reader_open(ctx, "/tmp", &none), AGON_EINVAL);
    assert_null(none.path);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream__is_written_whole_or_not_at_all),
        cmocka_unit_test(reader__reads_by_place_and_no_further),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
