/* agon review: the human in the loop, in a terminal; works beside a run. Keys may come from a file or pipe. */
#include "cli/cli.h"
#include "cli/review.h"
#include <stdlib.h>
#include <string.h>

typedef struct session {
    agon_ctx *ctx;
    const char *workspace, *reviewer;
    json_t *items;
    size_t at, answered;
    char note[160]; /* about the last key; stands in the head of the next screen */
} session;

static agon_status load_items(session *s) {
    char *text = NULL;
    agon_status status = agon_reviews_json(s->ctx, s->workspace, &text);
    json_t *items = text ? json_loads(text, 0, NULL) : NULL;
    agon_text_free(text);
    if (status)
        return status;
    json_decref(s->items);
    s->items = items;
    s->at = 0;
    return AGON_OK;
}

static agon_status record(session *s, const json_t *item, const char *verdict, const char *text, double seconds) {
    agon_review_answer a = agon_review_answer_default();
    a.review = member_text(item, "id");
    a.verdict = verdict;
    a.text = text;
    a.reviewer = s->reviewer;
    a.seconds = seconds;
    agon_status status = agon_review(s->ctx, s->workspace, &a);
    if (!status) {
        snprintf(s->note, sizeof s->note, "recorded: %s%s", verdict, text ? " with a new answer" : "");
        s->answered++;
        s->at++;
    }
    return status;
}

/* The verdict a key stands for; NULL: none for this kind. */
static const char *verdict_of(const char *kind, int key) {
    bool pair = strcmp(kind, "pair") == 0, demonstration = strcmp(kind, "demonstration") == 0;
    switch (key) {
    case 'a':
    case 'A':
        return pair ? "A" : demonstration ? NULL : "accept";
    case 'b':
    case 'B':
        return pair ? "B" : NULL;
    case 'r':
        return "reject";
    case 's':
        return "skip";
    default:
        return NULL;
    }
}

/* A text of the reviewer's own: a correction rejects what stood there, a demonstration is accepted as it is. */
static agon_status write_answer(session *s, const json_t *item, int key, double began) {
    const char *problem = "nothing was written";
    char *text = key == 'e' ? review_edit(member_text(item, "response"), &problem)
                            : review_line("the answer (one line; empty: none): ");
    if (!text) {
        snprintf(s->note, sizeof s->note, "%s", problem ? problem : "nothing was written");
        return AGON_OK;
    }
    bool demonstration = strcmp(member_text(item, "kind"), "demonstration") == 0;
    agon_status status = record(s, item, demonstration ? "accept" : "reject", text, seconds_now() - began);
    free(text);
    return status;
}

/* Shows the item and takes one key; *over when the reviewer left. */
static agon_status one_item(session *s, bool *over) {
    const terminal t = terminal_look(stdout);
    const json_t *item = json_array_get(s->items, s->at);
    char head[400];
    snprintf(head, sizeof head, "review %zu of %zu  %.20s  %.20s%s%s", s->at + 1, json_array_size(s->items),
             member_text(item, "kind"), member_text(item, "purpose"), *s->note ? "  |  " : "", s->note);
    s->note[0] = 0;
    review_draw(stdout, &t, item, head);
    double began = seconds_now();
    int key = review_key();
    const char *verdict = verdict_of(member_text(item, "kind"), key);
    if (key == EOF || key == 'q') {
        *over = true;
        return AGON_OK;
    }
    if (verdict)
        return record(s, item, verdict, NULL, seconds_now() - began);
    if ((key == 'e' || key == 'w') && strcmp(member_text(item, "kind"), "held_out") != 0)
        return write_answer(s, item, key, began);
    if (key == 'p' && s->at > 0)
        s->at--;
    else if (key == 'p')
        snprintf(s->note, sizeof s->note, "this is the first");
    else
        snprintf(s->note, sizeof s->note, "that key does nothing here");
    return AGON_OK;
}

/* What came while the last list was worked through is asked for at its end. */
static agon_status review_all(session *s) {
    bool over = false;
    agon_status status = load_items(s);
    while (!status && !over && json_array_size(s->items)) {
        while (!status && !over && s->at < json_array_size(s->items))
            status = one_item(s, &over);
        if (!status && !over)
            status = load_items(s);
    }
    if (!status && *s->note)
        puts(s->note);
    if (!status)
        printf("%zu answered, %zu still open\n", s->answered, json_array_size(s->items) - s->at);
    return status;
}

static int import(const char *workspace, const char *reviewer, const char *path, bool json) {
    agon_ctx *ctx = open_context("review");
    if (!ctx)
        return EXIT_SYSTEM;
    int code = review_import(ctx, workspace, reviewer, path, json);
    close_context(ctx);
    return code;
}

static int review(const char *workspace, const char *reviewer, const char *id, const char *verdict, const char *text,
                  bool json) {
    session s = {.ctx = open_context("review"), .workspace = workspace, .reviewer = reviewer};
    agon_status status;
    if (!s.ctx)
        return EXIT_SYSTEM;
    if (id) {
        json_t *item = json_pack("{ss}", "id", id);
        status = record(&s, item, verdict, text, 0);
        json_decref(item);
        if (!status && !json)
            puts(s.note);
        json_t *answer = json_pack("{ss ss ss?}", "review", id, "verdict", verdict, "text", text);
        if (!status && json)
            print_json(answer);
        json_decref(answer);
    } else if (json) {
        status = load_items(&s);
        if (!status)
            print_json(s.items);
    } else {
        end_by_signals(); /* every answer is stored at once */
        status = review_all(&s);
    }
    int code = status ? fail_with("review", status, s.ctx) : EXIT_FINE;
    json_decref(s.items);
    close_context(s.ctx);
    return code;
}

static int run(int argc, char **argv) {
    const char *workspace = NULL, *reviewer = getenv("AGON_REVIEWER"), *of_answers = NULL, *id = NULL, *text = NULL, *verdict = NULL, *file = NULL;
    bool json = false;
    const option_spec specs[] = {{.name = "--workspace", .text = &workspace}, {.name = "--reviewer", .text = &reviewer, .given = &of_answers},
                                 {.name = "--answer", .text = &id},           {.name = "--text", .text = &text},
                                 {.name = "--json", .flag = &json},           {.name = "--import", .text = &file},
                                 {0}};
    size_t n;
    int code;
    if (!parse_options(&command_review, argc, argv, specs, &verdict, 1, &n, &code))
        return code;
    if (id ? !verdict : verdict || text)
        return usage_error(&command_review, id ? "--answer ID needs a verdict: accept, reject, A, B or skip"
                                               : "a verdict or text goes with --answer ID");
    if (file && id)
        return usage_error(&command_review, "--import takes its answers from the file; --answer answers one item");
    if (file)
        return import(workspace, reviewer, file, json);
    if (of_answers && json && !id)
        return usage_error(&command_review, "%s has no effect where --json lists what is open", of_answers);
    return review(workspace, reviewer, id, verdict, text, json);
}

const command command_review = {
    "review",
    "answers the run's open questions; works while it is going",
    "review [--workspace DIR] [--reviewer NAME] [--answer ID VERDICT [--text T] | --import FILE] [--json]\n\n"
    "One key each: a accept (or A of a pair), b B of a pair, r reject, e edit in $VISUAL or $EDITOR, w write the answer,\n"
    "s skip, p previous, q quit. What the critique cites stands out in the answer. The run takes answers up at its next\n"
    "iteration; until then an item may be answered again. Keys are read from stdin also where it is no terminal.\n\n"
    "  --workspace DIR  the run's folder (default: the only *.agon folder here)\n"
    "  --reviewer NAME  a pseudonym to record (default: $AGON_REVIEWER, else one made from this machine and user)\n"
    "  --json           the open items, and nothing else; with --answer what was recorded\n"
    "  --answer ID VERDICT  answers one item: accept, reject, skip, or for a pair A or B\n"
    "  --text T         with --answer: the corrected or written answer\n"
    "  --import FILE    answers from JSON lines (-: stdin): {\"id\", \"verdict\", \"text\"?, \"note\"?, \"reviewer\"?, \"seconds\"?};\n"
    "                   all lines are read before one is recorded\n\n"
    "  agon review --answer 3fa9c1 reject --text '42 + 25 = 67'",
    run,
};
