/* Rows of files and of pipes: each line once, with the hash of what was read, until somebody interrupts. */
#include "base/json_lines.h"
#include "base/file.h"
#include "test.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct place {
    agon_ctx *ctx;
    char folder[64], path[96];
    size_t n_rows;
    long sum;
    size_t interrupt_at; /* this row interrupts; 0: none */
} place;

static int set_up(void **state) {
    place *p = calloc(1, sizeof *p);
    p->ctx = test_ctx(1, NULL);
    strcpy(p->folder, "/tmp/agon-test-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->path, sizeof p->path, "%s/rows.jsonl", p->folder);
    *state = p;
    return 0;
}

static int tear_down(void **state) {
    place *p = *state;
    unlink(p->path);
    rmdir(p->folder);
    agon_ctx_free(p->ctx);
    free(p);
    return 0;
}

static agon_status add(void *arg, const char *where, json_t *object) {
    place *p = arg;
    (void)where;
    p->sum += (long)json_integer_value(json_object_get(object, "a"));
    if (++p->n_rows == p->interrupt_at)
        agon_interrupt(p->ctx);
    return AGON_OK;
}

/* Lines of all lengths, longer than what is read at once among them; the last without its end. */
static char *some_rows(size_t *n, size_t *n_rows, long *sum) {
    char *text = malloc(1 << 20);
    *n = 0, *n_rows = 0, *sum = 0;
    for (int i = 1; i < 300; i++) {
        *n += (size_t)sprintf(text + *n, "%s{\"a\":%d,\"b\":\"%0*d\"}", i > 1 ? "\n" : "", i, i == 150 ? 200000 : i * 7, 1);
        *n_rows += 1;
        *sum += i;
    }
    return text;
}

static void *write_slowly(void *arg) {
    const place *p = arg;
    size_t n, n_rows;
    long sum;
    char *text = some_rows(&n, &n_rows, &sum);
    int fd = open(p->path, O_WRONLY);
    for (size_t at = 0; at < n;) {
        ssize_t wrote = write(fd, text + at, n - at < 50000 ? n - at : 50000);
        at += wrote > 0 ? (size_t)wrote : 0;
        nanosleep(&(struct timespec){0, 2000000}, NULL);
    }
    close(fd);
    free(text);
    return NULL;
}

static void rows__of_a_file_or_a_pipe_are_read_once_and_hashed(void **state) {
    place *p = *state;
    size_t n, n_rows;
    long sum;
    char *text = some_rows(&n, &n_rows, &sum);
    const hash256 want = hash_bytes(text, n);
    for (int pipe = 0; pipe < 2; pipe++) {
        pthread_t writer;
        hash256 got = {{0}};
        p->n_rows = 0, p->sum = 0;
        unlink(p->path);
        if (pipe)
            assert_int_equal(mkfifo(p->path, 0600), 0);
        else
            assert_ok(p->ctx, file_write(p->ctx, p->path, text, n));
        if (pipe)
            assert_int_equal(pthread_create(&writer, NULL, write_slowly, p), 0);
        assert_ok(p->ctx, jsonl_read_hashed(p->ctx, p->path, add, NULL, p, &got));
        if (pipe)
            pthread_join(writer, NULL);
        assert_int_equal(p->n_rows, n_rows);
        assert_int_equal(p->sum, sum);
        assert_memory_equal(&got, &want, sizeof want);
    }
    free(text);
}

static void rows__end_at_the_line_that_was_interrupted(void **state) {
    place *p = *state;
    size_t n, n_rows;
    long sum;
    char *text = some_rows(&n, &n_rows, &sum);
    assert_ok(p->ctx, file_write(p->ctx, p->path, text, n));
    free(text);
    p->interrupt_at = 5;
    assert_int_equal(jsonl_read(p->ctx, p->path, add, p), AGON_EINTERRUPTED);
    assert_int_equal(p->n_rows, 5);
    agon_interrupt_clear(p->ctx);
}

static void *interrupt_soon(void *arg) {
    nanosleep(&(struct timespec){0, 100000000}, NULL);
    agon_interrupt(((place *)arg)->ctx);
    return NULL;
}

/* One that has no writer, and one whose writer says nothing. */
static void a_pipe__is_waited_for_until_interrupted(void **state) {
    place *p = *state;
    assert_int_equal(mkfifo(p->path, 0600), 0);
    for (int held = 0; held < 2; held++) {
        pthread_t other;
        const int fd = held ? open(p->path, O_RDWR) : -1;
        assert_int_equal(pthread_create(&other, NULL, interrupt_soon, p), 0);
        assert_int_equal(jsonl_read(p->ctx, p->path, add, p), AGON_EINTERRUPTED);
        pthread_join(other, NULL);
        agon_interrupt_clear(p->ctx);
        if (held)
            close(fd);
    }
}

static void a_pipe__is_no_file_to_be_read_whole_or_by_place(void **state) {
    place *p = *state;
    char *data = NULL;
    size_t n = 0;
    file_map map;
    byte_reader r;
    assert_int_equal(mkfifo(p->path, 0600), 0);
    assert_int_equal(file_read(p->ctx, p->path, 100, &data, &n), AGON_EINVAL);
    assert_non_null(strstr(agon_error(p->ctx), "a pipe or a device"));
    assert_int_equal(file_map_open(p->ctx, p->path, &map), AGON_EINVAL);
    assert_int_equal(byte_reader_open(p->ctx, p->path, &r), AGON_EINVAL);
    assert_int_equal(file_read(p->ctx, p->folder, 100, &data, &n), AGON_EINVAL);
    assert_non_null(strstr(agon_error(p->ctx), "this is a folder"));
}

int main(void) {
    alarm(60); /* what is waited for without end */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows__of_a_file_or_a_pipe_are_read_once_and_hashed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows__end_at_the_line_that_was_interrupted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pipe__is_waited_for_until_interrupted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pipe__is_no_file_to_be_read_whole_or_by_place, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
