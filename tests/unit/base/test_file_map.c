/* A mapped file gives back the memory of what was read. */
#include "base/file.h"
#include "test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIZE = 16 << 20 };

/* Bytes of files that this process has in memory. */
static size_t resident_file_bytes(void) {
    char line[256];
    size_t kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "RssFile: %zu", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib << 10;
}

static size_t sum(const file_map *m) {
    size_t s = 0;
    for (size_t i = 0; i < m->size; i++)
        s += m->data[i];
    return s;
}

static void file_map_release__gives_memory_back_and_reads_again(void **state) {
    (void)state;
    char path[] = "/tmp/agon-map-XXXXXX";
    int fd = mkstemp(path);
    char *block = malloc(1 << 20);
    memset(block, 3, 1 << 20);
    for (int i = 0; i < SIZE >> 20; i++)
        assert_int_equal(write(fd, block, 1 << 20), 1 << 20);
    close(fd);
    free(block);
    agon_ctx *ctx = test_ctx(1, NULL);
    file_map m = {0};
    assert_int_equal(file_map_open(ctx, path, &m), AGON_OK);
    size_t before = resident_file_bytes();
    assert_int_equal(sum(&m), 3u * SIZE);
    assert_true(resident_file_bytes() >= before + SIZE / 2);
    file_map_release(&m);
    assert_true(resident_file_bytes() < before + SIZE / 4);
    assert_int_equal(sum(&m), 3u * SIZE);
    file_unmap(&m);
    file_map_release(&m); /* nothing is mapped */
    agon_ctx_free(ctx);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_map_release__gives_memory_back_and_reads_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
