/* make_workspace FOLDER [reviews | held-out] [hold] [inbox]: a small finished run for the tests of the commands; with "reviews" three
 * open questions, with "hold" the runner's lock is kept until stdin ends, with "inbox" the answers are printed. */
#include "workspace.h"

static store_id add_text(run *r, const char *kind, const char *parent, const char *body, const json_t *meta) {
    store_id id;
    text_record t = {.run = run_id(r), .kind = kind, .iteration = 1, .parent = parent, .family = "addition", .body = body,
                     .meta = meta};
    if (store_add_text(run_store(r), &t, &id) != AGON_OK)
        exit(1);
    return id;
}

static void add_review(run *r, const char *kind, const char *query, const char *response, const char *other,
                       const char *critique, double priority) {
    review_record v = {.run = run_id(r), .kind = kind, .query = query, .response = response, .other = other,
                       .critique = critique, .purpose = "train", .iteration = 1, .priority = priority};
    if (store_add_review(run_store(r), &v, NULL) != AGON_OK)
        exit(1);
}

static agon_status add_reviews(agon_ctx *ctx, store *s, bool held_out) {
    json_t *config = json_object(), *result = NULL, *meta = json_pack("{ss si}", "seed", "4711", "difficulty", 2);
    run_options options = {.name = "questions", .seed = 3, .config = config};
    run *r = NULL;
    bool done = false;
    TRY(run_begin(ctx, s, &options, &r));
    TRY(run_stage(r, 1, "escalate"));
    step_key key = {.path = "iteration/1/escalate"};
    TRY(step_begin(r, &key, NULL, &done, &result));
    if (!done) {
        store_id query = add_text(r, "query", NULL, "What is 42 + 25?", meta);
        store_id a = add_text(r, "response", query.text, "42 + 25 = 78, so the answer is 78.\033[2J", NULL);
        store_id b = add_text(r, "response", query.text, "42 + 25 = 67", NULL);
        store_id critique = add_text(r, "critique", a.text, "It says \"42 + 25 = 78\", but 42 + 25 = 67.", NULL);
        if (held_out) {
            add_review(r, "held_out", query.text, b.text, NULL, NULL, 1);
        } else {
            add_review(r, "verdict", query.text, a.text, NULL, critique.text, 3);
            add_review(r, "pair", query.text, a.text, b.text, NULL, 2);
            add_review(r, "demonstration", query.text, NULL, NULL, NULL, 1);
        }
        result = json_object();
        TRY(step_commit(r, result));
    }
    run_end(r);
    json_decref(result);
    json_decref(meta);
    json_decref(config);
    return AGON_OK;
}

static agon_status print_inbox(store *s) {
    json_t *rows = NULL, *row;
    size_t i;
    TRY(store_query_json(s, "SELECT reviewer, seconds, answer AS answer_json FROM inbox ORDER BY number", NULL, &rows));
    json_array_foreach(rows, i, row) {
        char *text = json_dumps(row, JSON_COMPACT);
        puts(text ? text : "");
        free(text);
    }
    json_decref(rows);
    return AGON_OK;
}

int main(int argc, char **argv) {
    agon_ctx *ctx = test_ctx(1, NULL);
    store *s = NULL;
    hash256 head;
    bool reviews = false, held_out = false, hold = false, inbox = false;
    for (int i = 2; i < argc; i++) {
        reviews |= strcmp(argv[i], "reviews") == 0;
        held_out |= strcmp(argv[i], "held-out") == 0;
        hold |= strcmp(argv[i], "hold") == 0;
        inbox |= strcmp(argv[i], "inbox") == 0;
    }
    if (argc < 2)
        return 2;
    agon_status status = store_open(ctx, argv[1], STORE_RUN, &s);
    if (!status)
        status = recipe_run(ctx, s, 1, NULL, NULL, &head);
    if (!status && (reviews || held_out))
        status = add_reviews(ctx, s, held_out);
    if (!status && inbox)
        status = print_inbox(s);
    if (status)
        fprintf(stderr, "%s\n", agon_error(ctx));
    puts("ready");
    fflush(stdout);
    while (!status && hold && getchar() != EOF)
        ;
    store_close(s);
    agon_ctx_free(ctx);
    return status ? 1 : 0;
}
