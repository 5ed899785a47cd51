/* The public functions on workspaces, through agon.h: forms, errors, reviews, verify. */
#include "workspace.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static agon_ctx *ctx;
static char *folder;

static int setup(void **state) {
    (void)state;
    store *s = NULL;
    hash256 head;
    ctx = test_ctx(1, NULL);
    folder = workspace_new();
    assert_ok(ctx, store_open(ctx, folder, STORE_RUN, &s));
    assert_ok(ctx, recipe_run(ctx, s, 1, NULL, NULL, &head));
    store_close(s);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    workspace_remove(folder);
    agon_ctx_free(ctx);
    return 0;
}

static json_t *parse_take(char *text) {
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    agon_text_free(text);
    return value;
}

static void status__has_the_fixed_form(void **state) {
    (void)state;
    char *text = NULL;
    assert_ok(ctx, agon_status_json(ctx, folder, NULL, &text));
    json_t *s = parse_take(text), *versions = NULL, *labels = NULL, *tokens = NULL;
    const char *run, *run_state, *stage, *status;
    json_int_t iteration, n, verifier, critic, human, simulated;
    double before, after, low, high;
    assert_int_equal(json_unpack(s, "{s:s,s:s,s:I,s:s,s:o,s:o,s:o}", "run", &run, "state", &run_state, "iteration", &iteration,
                                 "stage", &stage, "versions", &versions, "labels", &labels, "tokens", &tokens),
                     0);
    assert_string_equal(run_state, "done");
    assert_int_equal(json_unpack(labels, "{s:I,s:I,s:I,s:I}", "verifier", &verifier, "critic", &critic, "human", &human,
                                 "simulated", &simulated),
                     0);
    assert_int_equal(verifier, 5);
    assert_int_equal(critic, 2);
    assert_int_equal(json_unpack(json_array_get(versions, 0), "{s:s,s:{s:I,s:f,s:f,s:[f,f]}}", "status", &status, "held_out", "n",
                                 &n, "before", &before, "after", &after, "ci95", &low, &high),
                     0);
    assert_string_equal(status, "promoted");
    assert_true(json_is_null(json_object_get(json_array_get(versions, 0), "parent")));
    assert_close(before, 0.25, 0);
    assert_close(high, 0.4, 0);
    json_decref(s);
    assert_int_equal(agon_status_json(ctx, folder, "nobody", &text), AGON_ENOTFOUND);
    assert_int_equal(agon_status_json(ctx, "/nowhere/at/all", NULL, &text), AGON_ENOTFOUND);
}

static void log__goes_on_from_a_number(void **state) {
    (void)state;
    char *text = NULL;
    assert_ok(ctx, agon_log_json(ctx, folder, NULL, 0, 0, &text));
    json_t *all = parse_take(text);
    size_t n = json_array_size(all);
    assert_true(n >= 2);
    int64_t first = json_integer_value(json_object_get(json_array_get(all, 0), "number"));
    json_decref(all);
    assert_ok(ctx, agon_log_json(ctx, folder, NULL, first, 0, &text));
    json_t *rest = parse_take(text);
    assert_int_equal(json_array_size(rest), n - 1);
    json_decref(rest);
    assert_ok(ctx, agon_log_json(ctx, folder, NULL, 0, 1, &text));
    json_t *last = parse_take(text);
    assert_int_equal(json_array_size(last), 1);
    assert_true(json_integer_value(json_object_get(json_array_get(last, 0), "number")) > first);
    json_decref(last);
}

static void why__every_step_names_what_it_explains(void **state) {
    (void)state;
    char *text = NULL;
    assert_ok(ctx, agon_status_json(ctx, folder, NULL, &text));
    json_t *s = parse_take(text);
    const char *id = json_string_value(json_object_get(json_array_get(json_object_get(s, "versions"), 0), "id"));
    assert_ok(ctx, agon_why_json(ctx, folder, id, &text));
    json_t *chain = parse_take(text), *entry;
    size_t i;
    bool query = false;
    json_array_foreach(chain, i, entry) {
        const char *of = json_string_value(json_object_get(entry, "of")), *kind;
        bool known = false;
        for (size_t k = 0; k < i; k++)
            known |= strcmp(json_string_value(json_object_get(json_array_get(chain, k), "id")), of ? of : "") == 0;
        assert_true(i == 0 ? of == NULL : known);
        kind = json_string_value(json_object_get(json_object_get(entry, "record"), "kind"));
        query |= kind && strcmp(kind, "query") == 0;
    }
    assert_true(query);
    json_decref(chain);
    json_decref(s);
}

static void run__second_runner_is_refused_while_readers_work(void **state) {
    (void)state;
    store *s = NULL;
    char *text = NULL, path[320];
    snprintf(path, sizeof path, "%s.yaml", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("seed: 1\n", f);
    fclose(f);
    assert_ok(ctx, store_open(ctx, folder, STORE_RUN, &s));
    agon_run_options o = agon_run_options_default();
    o.workspace = folder;
    assert_int_equal(agon_run(ctx, path, &o, &text), AGON_EBUSY);
    agon_ctx *other = test_ctx(1, NULL);
    assert_ok(other, agon_status_json(other, folder, NULL, &text));
    agon_text_free(text);
    assert_ok(other, agon_reviews_json(other, folder, &text));
    agon_text_free(text);
    agon_ctx_free(other);
    store_close(s);
    o.struct_size = 3;
    assert_int_equal(agon_run(ctx, path, &o, &text), AGON_EINVAL);
    unlink(path);
    assert_ok(ctx, agon_run_workspace(ctx, "some/where/quick.start.yaml", &text));
    assert_string_equal(text, "quick.start.agon");
    agon_text_free(text);
}

/* ---- verify -------------------------------------------------------------------------------------------- */

static bool verifies(void) {
    char *text = NULL;
    assert_ok(ctx, agon_verify_json(ctx, folder, 0, 1, &text));
    json_t *report = parse_take(text);
    bool ok = json_is_true(json_object_get(report, "ok"));
    assert_true(ok == json_is_null(json_object_get(report, "problem")));
    json_decref(report);
    return ok;
}

/* Flips one bit and puts it back. */
static void flip(const char *path, off_t at) {
    unsigned char byte;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void verify__finds_a_flipped_bit_in_every_text_of_the_database(void **state) {
    (void)state;
    char path[320], *data;
    size_t n, found = 0;
    snprintf(path, sizeof path, "%s/agon.db", folder);
    assert_true(verifies());
    assert_ok(ctx, file_read(ctx, path, 1 << 26, &data, &n));
    for (size_t i = 0; i + 5 < n; i++) {
        if (memcmp(data + i, "says ", 5) != 0)
            continue;
        found++;
        flip(path, (off_t)i + 1);
        assert_false(verifies());
        flip(path, (off_t)i + 1);
    }
    assert_true(found >= 5);
    flip(path, 2); /* "SQLite format 3": it does not even open */
    assert_false(verifies());
    flip(path, 2);
    assert_true(verifies());
    free(data);
}

/* ---- reviews ------------------------------------------------------------------------------------------- */

static void add_question(const char *critique_text, store_id *review) {
    store *s = NULL;
    run *r = NULL;
    bool done;
    json_t *result = NULL, *config = json_object();
    run_options options = {.name = "questions", .seed = 1, .config = config};
    step_key key = {.path = "iteration/1/escalate"};
    store_id query, answer, critique;
    assert_ok(ctx, store_open(ctx, folder, STORE_RUN, &s));
    assert_ok(ctx, run_begin(ctx, s, &options, &r));
    assert_ok(ctx, step_begin(r, &key, NULL, &done, &result));
    json_t *meta = json_pack("{s[ii]}", "span", 0, 2);
    text_record q = {.run = run_id(r), .kind = "query", .body = "40 + 2?"};
    assert_ok(ctx, store_add_text(s, &q, &query));
    text_record a = {.run = run_id(r), .kind = "response", .body = "it is 43, surely", .parent = query.text};
    assert_ok(ctx, store_add_text(s, &a, &answer));
    text_record c = {.run = run_id(r), .kind = "critique", .body = critique_text, .parent = answer.text, .meta = meta};
    assert_ok(ctx, store_add_text(s, &c, &critique));
    review_record v = {.run = run_id(r), .kind = "verdict", .query = query.text, .response = answer.text,
                       .critique = critique.text, .purpose = "audit"};
    assert_ok(ctx, store_add_review(s, &v, review));
    assert_ok(ctx, step_commit(r, config));
    run_end(r);
    store_close(s);
    json_decref(meta);
    json_decref(config);
}

static void reviews__cited_spans_and_answers(void **state) {
    (void)state;
    store_id id;
    store *s = NULL;
    json_t *rows = NULL;
    char *text = NULL;
    add_question("<q>is 43</q> is wrong, as is \"surely\", and \"not there\"", &id);
    assert_ok(ctx, agon_reviews_json(ctx, folder, &text));
    json_t *items = parse_take(text), *spans = json_object_get(json_array_get(items, 0), "spans");
    json_t *want = json_pack("[[ii][ii][ii]]", 0, 2, 3, 8, 10, 16);
    assert_true(json_equal(spans, want));
    json_decref(want);
    json_decref(items);

    agon_review_answer a = agon_review_answer_default();
    char beginning[9] = {0};
    memcpy(beginning, id.text, 8);
    a.review = beginning;
    a.verdict = "A";
    assert_int_equal(agon_review(ctx, folder, &a), AGON_EINVAL);
    a.verdict = "reject";
    a.text = "it is 42";
    a.seconds = 2.5;
    assert_ok(ctx, agon_review(ctx, folder, &a));
    a.verdict = "accept";
    assert_ok(ctx, agon_review(ctx, folder, &a));
    a.review = "0000000000";
    assert_int_equal(agon_review(ctx, folder, &a), AGON_ENOTFOUND);
    assert_ok(ctx, agon_reviews_json(ctx, folder, &text));
    assert_string_equal(text, "[]");
    agon_text_free(text);

    assert_ok(ctx, store_open(ctx, folder, STORE_READ, &s));
    assert_ok(ctx, store_query_json(s, "SELECT review, reviewer, seconds, answer AS answer_json FROM inbox ORDER BY number",
                                    NULL, &rows));
    assert_int_equal(json_array_size(rows), 2);
    const json_t *first = json_array_get(rows, 0), *second = json_array_get(rows, 1);
    assert_string_equal(json_string_value(json_object_get(first, "review")), id.text);
    assert_string_equal(json_string_value(json_object_get(json_object_get(first, "answer"), "text")), "it is 42");
    assert_close(json_number_value(json_object_get(first, "seconds")), 2.5, 0);
    assert_true(json_equal(json_object_get(first, "reviewer"), json_object_get(second, "reviewer")));
    assert_memory_equal(json_string_value(json_object_get(first, "reviewer")), "reviewer-", 9);
    json_decref(rows);
    store_close(s);
}

static void workspace__the_only_one_here(void **state) {
    (void)state;
    char *text = NULL, before[1024], path[320];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(agon_workspace_find(ctx, NULL, &text), AGON_ENOTFOUND);
    snprintf(path, sizeof path, "%s/one.agon", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_ok(ctx, agon_workspace_find(ctx, NULL, &text));
    assert_string_equal(text, "one.agon");
    agon_text_free(text);
    snprintf(path, sizeof path, "%s/two.agon", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(agon_workspace_find(ctx, NULL, &text), AGON_EINVAL);
    assert_int_equal(chdir(before), 0);
}

/* Killed at its first write (no file may grow), it leaves nothing that the next call would take for somebody's run file. */
static void init__killed_where_it_writes__leaves_no_run_file(void **state) {
    (void)state;
    char output[300], model[2048];
    int status;
    snprintf(output, sizeof output, "%s/run.yaml", folder);
    setenv("AGON_MODEL", golden_path(model, "tiny-text.gguf"), 1);
    pid_t child = fork();
    if (child == 0) {
        agon_ctx *own = test_ctx(1, NULL);
        char *plan = NULL;
        const struct rlimit none = {0, 0};
        signal(SIGXFSZ, SIG_DFL);
        setrlimit(RLIMIT_FSIZE, &none);
        _exit(agon_init_run_file(own, NULL, output, &plan) == AGON_OK ? 1 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    unsetenv("AGON_MODEL");
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
    assert_int_equal(access(output, F_OK), -1);
}

int main(void) {
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(init__killed_where_it_writes__leaves_no_run_file),
        CASE(status__has_the_fixed_form),
        CASE(log__goes_on_from_a_number),
        CASE(why__every_step_names_what_it_explains),
        CASE(run__second_runner_is_refused_while_readers_work),
        CASE(verify__finds_a_flipped_bit_in_every_text_of_the_database),
        CASE(reviews__cited_spans_and_answers),
        CASE(workspace__the_only_one_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
