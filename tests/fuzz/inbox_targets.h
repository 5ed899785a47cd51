/* What the fuzz target of reviewers' answers does with one input: rows of the inbox as somebody writes them who does not go by store_inbox_add.
 * test_workspace_corpus.c runs the same function over the kept corpus and its mutations, without a fuzzer. */
#ifndef TESTS_FUZZ_INBOX_TARGETS_H
#define TESTS_FUZZ_INBOX_TARGETS_H

#include "step/items.h"
#include "workspace_targets.h"

enum { INBOX_QUERIES = 3, INBOX_ANSWERS = 5 };

/* Actors over the workspace in `folder`, and the lists that every opening makes again. */
typedef struct inbox_stand {
    agon_ctx *ctx;
    store *store;
    run *run;
    arena *memory;
    actors actors;
    query_list queries;
    answer_list answers;
    preference_list preferences;
    collected_reviews collected;
} inbox_stand;

/* Answers, each a text of its own, in one step. */
static inline agon_status inbox_answers(inbox_stand *x) {
    static const char *const texts[INBOX_ANSWERS] = {"one", "two", "three", "four", "five"};
    json_t *result = NULL, *ids = json_array();
    const step_key key = {.path = "answers"};
    bool done = false;
    agon_status s = step_begin(x->run, &key, json_null(), &done, &result);
    for (size_t i = 0; i < INBOX_ANSWERS && !s && !done; i++) {
        store_id id;
        const text_record t = {.run = run_id(x->run), .kind = "response", .body = texts[i], .iteration = 1, .slot = texts[i],
                               .parent = x->queries.items[i % INBOX_QUERIES].id, .producer = "base"};
        s = store_add_text(x->store, &t, &id);
        json_array_append_new(ids, json_string(id.text));
    }
    if (!s && !done) {
        result = json_incref(ids);
        s = step_commit(x->run, result);
    }
    for (size_t i = 0; i < INBOX_ANSWERS && !s; i++) {
        answer *y = answer_list_add(&x->answers);
        y->query = i % INBOX_QUERIES;
        y->draft = SIZE_MAX;
        y->kind = "response";
        y->text = arena_copy(x->memory, texts[i]);
        snprintf(y->id, sizeof y->id, "%s", json_string_value(json_array_get(result, i)));
    }
    json_decref(result);
    json_decref(ids);
    return s;
}

/* Begins the run or goes on with it: three queries, five answers, three questions about them, two pairs of them. */
static inline agon_status inbox_open(agon_ctx *ctx, const char *folder, inbox_stand *x) {
    const run_options o = {.name = "main", .seed = 7, .config = json_null()};
    static const size_t which[] = {0, 1, 2};
    static const answer_pair pairs[] = {{0, 3}, {1, 4}};
    draw draws[INBOX_QUERIES];
    const size_t cell = task_cell_find("arithmetic", "two_digit_sum");
    *x = (inbox_stand){.ctx = ctx};
    for (size_t i = 0; i < INBOX_QUERIES; i++)
        draws[i] = (draw){cell, task_seed(7, "draw", cell, i), PERTURBATION_NONE};
    TRY(arena_new(ctx, 0, &x->memory));
    x->queries.memory = x->answers.memory = x->memory;
    TRY(store_open(ctx, folder, STORE_RUN, &x->store));
    TRY(run_begin(ctx, x->store, &o, &x->run));
    x->actors = (actors){.ctx = ctx, .store = x->store, .run = x->run, .iteration = 1, .base = "base"};
    TRY(draw_queries(&x->actors, "draw", draws, INBOX_QUERIES, &x->queries));
    TRY(inbox_answers(x));
    TRY(ask_reviewers(&x->actors, "ask/1", &x->queries, &x->answers, which, 3, "verdict", "train", 1, false));
    return ask_preferences(&x->actors, "ask/2", &x->queries, &x->answers, pairs, 2, "train", 1);
}

static inline void inbox_close(inbox_stand *x) {
    collected_reviews_free(&x->collected);
    preference_list_free(&x->preferences);
    query_list_free(&x->queries);
    answer_list_free(&x->answers);
    run_end(x->run);
    store_close(x->store);
    arena_free(x->memory);
}

/* What became of the answers, in words. */
static inline char *inbox_outcome(const inbox_stand *x, size_t n_labels) {
    buffer b = {0};
    char line[400];
    snprintf(line, sizeof line, "%zu labels, the last %lld\n", n_labels, (long long)x->collected.last);
    FUZZ_CHECK(buffer_text(&b, line), "memory");
    for (size_t i = 0; i < x->answers.n; i++) {
        const answer *y = &x->answers.items[i];
        FUZZ_CHECK(y->query < x->queries.n && (y->draft == SIZE_MAX || y->draft < x->answers.n) && y->text, "answer %zu", i);
        snprintf(line, sizeof line, "%s %s %d %s %s %zu\n", y->id, y->kind, (int)y->outcome, y->source ? y->source : "-", y->label, strlen(y->text));
        FUZZ_CHECK(buffer_text(&b, line), "memory");
    }
    for (size_t i = 0; i < x->preferences.n; i++) {
        const preference *p = &x->preferences.items[i];
        FUZZ_CHECK(p->chosen < x->answers.n && p->rejected < x->answers.n && p->chosen != p->rejected, "preference %zu", i);
        snprintf(line, sizeof line, "%zu > %zu %s %d\n", p->chosen, p->rejected, p->label, p->superseded);
        FUZZ_CHECK(buffer_text(&b, line), "memory");
    }
    return buffer_take(&b);
}

/* A line of the input is an answer: which question, by whom and how long it took, then the JSON as it is. Lines from a line "-" on are answered
 * after the run has looked into the inbox once. *rest: behind that line, or NULL. */
static inline void inbox_answer(const char *folder, const char *text, size_t n, const char **rest) {
    static const char *const reviewers[] = {"reviewer-1", "", "\xff", "a\nb", "reviewer-2"};
    static const double seconds[] = {2, 0, -1, 1e308, 9e18};
    char path[300];
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    const char *end = text + n;
    fuzz_in(path, folder, "agon.db");
    FUZZ_CHECK(sqlite3_open(path, &db) == SQLITE_OK, "%s", path);
    fuzz_sql(db, "PRAGMA synchronous=OFF; PRAGMA foreign_keys=OFF; BEGIN");
    FUZZ_CHECK(sqlite3_prepare_v2(db, "INSERT INTO inbox (review, reviewer, seconds, answer, time_ms) VALUES (coalesce((SELECT id FROM review_item ORDER BY rowid"
                                      " LIMIT 1 OFFSET ?1), 'none'), ?2, ?3, ?4, 1)", -1, &s, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    *rest = NULL;
    while (text < end && !*rest) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((line_end ? line_end : end) - text);
        if (length == 1 && *text == '-') {
            *rest = line_end ? line_end + 1 : end;
        } else if (length > 2) {
            unsigned by = (unsigned char)text[1];
            sqlite3_bind_int(s, 1, (unsigned char)text[0] % 6);
            sqlite3_bind_text(s, 2, reviewers[by % 5], -1, SQLITE_STATIC);
            sqlite3_bind_double(s, 3, seconds[by / 5 % 5]);
            sqlite3_bind_text(s, 4, text + 2, (int)(length - 2), SQLITE_STATIC);
            FUZZ_CHECK(sqlite3_step(s) == SQLITE_DONE, "%s", sqlite3_errmsg(db));
            sqlite3_reset(s);
        }
        text += length + 1;
    }
    sqlite3_finalize(s);
    fuzz_sql(db, "COMMIT");
    sqlite3_close(db);
}

static inline agon_status inbox_collect(inbox_stand *x, int n_looks, char **outcome) {
    size_t n_labels = 0, n = 0;
    for (int i = 0; i < n_looks; i++) {
        TRY(collect_reviews(&x->actors, i ? "collect/2" : "collect/1", &x->queries, &x->answers, &x->preferences, &x->collected, NULL, &n));
        n_labels += n;
    }
    *outcome = inbox_outcome(x, n_labels);
    return AGON_OK;
}

/* Answers of any kind are collected, or refused in a sentence; collected, they come to the same in a replay, and the journal is whole. */
static inline agon_status fuzz_inbox(agon_ctx *ctx, const uint8_t *data, size_t n) {
    static char *image;
    static size_t n_image;
    char folder[64], path[300], *outcome = NULL, *again = NULL;
    const char *rest = NULL;
    inbox_stand x;
    journal_report report;
    json_t *status = NULL;
    fuzz_folder(folder);
    fuzz_in(path, folder, "agon.db");
    if (!image) {
        agon_status made = inbox_open(ctx, folder, &x);
        FUZZ_CHECK(!made, "%s", agon_error(ctx));
        inbox_close(&x);
        fuzz_load(path, &image, &n_image);
    }
    fuzz_write_file(folder, "agon.db", image, n_image);
    inbox_answer(folder, (const char *)data, n, &rest);
    agon_status s = inbox_open(ctx, folder, &x);
    FUZZ_CHECK(!s, "%s", agon_error(ctx));
    fuzz_give_back(ctx, "status", store_status(x.store, NULL, &status), &status);
    s = inbox_collect(&x, 1, &outcome);
    if (!fuzz_said(ctx, "collecting", s) && rest) {
        const char *none;
        size_t n_labels = 0;
        free(outcome);
        inbox_answer(folder, rest, (size_t)((const char *)data + n - rest), &none);
        outcome = NULL;
        s = collect_reviews(&x.actors, "collect/2", &x.queries, &x.answers, &x.preferences, &x.collected, NULL, &n_labels);
        if (!fuzz_said(ctx, "collecting again", s))
            outcome = inbox_outcome(&x, 0);
    }
    inbox_close(&x);
    if (!s) {
        agon_status replayed = inbox_open(ctx, folder, &x);
        FUZZ_CHECK(!replayed && !inbox_collect(&x, rest ? 2 : 1, &again), "%s", agon_error(ctx));
        const char *a = rest ? strchr(outcome, '\n') : outcome, *b = rest ? strchr(again, '\n') : again; /* the sum of labels is not kept */
        FUZZ_CHECK(strcmp(a, b) == 0, "a replay comes to\n%s, not to\n%s", again, outcome);
        FUZZ_CHECK(journal_verify(ctx, x.store, &report) == AGON_OK && (report.ok || strstr(report.problem, "inbox row")), "%s",
                   report.problem);
        inbox_close(&x);
    }
    free(outcome);
    free(again);
    fuzz_remove(folder);
    return AGON_OK;
}

#endif
