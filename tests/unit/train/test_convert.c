/* Other people's formats to ours, and files divided without leaks. */
#include "train/convert.h"
#include "base/file.h"
#include "base/json.h"
#include "test.h"
#include <sys/resource.h>
#include <unistd.h>

typedef struct world {
    agon_ctx *ctx;
    char folder[64], from[96], to[96], other[96];
} world;

static int setup(void **state) {
    static world w;
    w.ctx = test_ctx(1, NULL);
    strcpy(w.folder, "/tmp/agon-convert-XXXXXX");
    assert_non_null(mkdtemp(w.folder));
    snprintf(w.from, sizeof w.from, "%s/from", w.folder);
    snprintf(w.to, sizeof w.to, "%s/to", w.folder);
    snprintf(w.other, sizeof w.other, "%s/other", w.folder);
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    world *w = *state;
    unlink(w->from), unlink(w->to), unlink(w->other);
    rmdir(w->folder);
    agon_ctx_free(w->ctx);
    return 0;
}

static agon_status convert(world *w, data_format format, const char *text, bool skip_bad, convert_report *r) {
    assert_ok(w->ctx, file_write(w->ctx, w->from, text, strlen(text)));
    unlink(w->to);
    return convert_file(w->ctx, w->from, format, w->to, skip_bad, r);
}

static char *read_back(world *w, const char *path) {
    char *text = NULL;
    size_t n;
    assert_ok(w->ctx, file_read(w->ctx, path, 1 << 20, &text, &n));
    return text;
}

static void convert__makes_our_rows(void **state) {
    world *w = *state;
    const struct {
        data_format format;
        const char *in, *out;
    } cases[] = {
        {DATA_ALPACA, "{\"instruction\":\"Add\",\"input\":\"1 2\",\"output\":\"3\"}",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"Add\\n\\n1 2\"},{\"role\":\"assistant\",\"content\":\"3\"}]}"},
        {DATA_ALPACA, "{\"instruction\":\"Hi\",\"input\":\"\",\"output\":\"Yes\",\"system\":\"Be\"}",
         "{\"messages\":[{\"role\":\"system\",\"content\":\"Be\"},{\"role\":\"user\",\"content\":\"Hi\"},"
         "{\"role\":\"assistant\",\"content\":\"Yes\"}]}"},
        {DATA_SHAREGPT, "{\"conversations\":[{\"from\":\"human\",\"value\":\"a\"},{\"from\":\"gpt\",\"value\":\"b\"},"
                        "{\"from\":\"human\",\"value\":\"unanswered\"}]}",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}"},
        {DATA_GSM8K, "{\"question\":\"2+2?\",\"answer\":\"four\\n#### 4\"}",
         "{\"prompt\":[{\"role\":\"user\",\"content\":\"2+2?\"}],\"completion\":[{\"role\":\"assistant\",\"content\":"
         "\"four\\n#### 4\"}]}"},
        {DATA_HH, "{\"chosen\":\"\\r\\n\\r\\nHuman: Hi\\r\\n\\r\\nAssistant: a\\r\\nb\",\"rejected\":\"\\r\\n\\r\\nHuman: Hi\\r\\n\\r\\nAssistant: c\"}",
         "{\"prompt\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"chosen\":[{\"role\":\"assistant\",\"content\":\"a\\nb\"}],"
         "\"rejected\":[{\"role\":\"assistant\",\"content\":\"c\"}]}"},
        {DATA_HH, "{\"chosen\":\"\\n\\nHuman: Hi\\n\\nAssistant: Yes?\\n\\nHuman: Go\\n\\nAssistant: Gone.\",\"rejected\":"
                  "\"\\n\\nHuman: Hi\\n\\nAssistant: Yes?\\n\\nHuman: Go\\n\\nAssistant: No\\n\\nnever\"}",
         "{\"prompt\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":\"Yes?\"},{\"role\":"
         "\"user\",\"content\":\"Go\"}],\"chosen\":[{\"role\":\"assistant\",\"content\":\"Gone.\"}],\"rejected\":[{\"role\":"
         "\"assistant\",\"content\":\"No\\n\\nnever\"}]}"},
        {DATA_SPIN, "{\"real\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}],\"generated\":"
                    "[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"b\"}]}",
         "{\"prompt\":[{\"role\":\"user\",\"content\":\"q\"}],\"chosen\":[{\"role\":\"assistant\",\"content\":\"a\"}],"
         "\"rejected\":[{\"role\":\"assistant\",\"content\":\"b\"}]}"},
        {DATA_GSM8K, "{\"question\":\"2+2?\",\"answer\":\"four\",\"weight\":0.5,\"adapter\":\"ann\",\"dimension\":\"brief\",\"source\":\"x\"}",
         "{\"prompt\":[{\"role\":\"user\",\"content\":\"2+2?\"}],\"completion\":[{\"role\":\"assistant\",\"content\":\"four\"}],"
         "\"weight\":0.5,\"adapter\":\"ann\",\"dimension\":\"brief\"}"},
        {DATA_TRL, "{\"prompt\":\"a\",\"completion\":\"b\"}", "{\"prompt\":\"a\",\"completion\":\"b\"}"},
        /* UltraFeedback's binarized pairs: the prompt as a text, and again in both lists. */
        {DATA_TRL, "{\"prompt\":\"q\",\"chosen\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}],"
                   "\"rejected\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"b\"}],\"weight\":2}",
         "{\"chosen\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}],"
         "\"rejected\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"b\"}],\"weight\":2}"},
        {DATA_TRL, "{\"prompt\":\"q\",\"chosen\":[{\"role\":\"assistant\",\"content\":\"a\"}],\"rejected\":\"b\",\"margin\":1}",
         "{\"prompt\":[{\"role\":\"user\",\"content\":\"q\"}],\"chosen\":[{\"role\":\"assistant\",\"content\":\"a\"}],"
         "\"rejected\":[{\"role\":\"assistant\",\"content\":\"b\"}],\"margin\":1}"},
        {DATA_TRL, "{\"prompt\":[{\"from\":\"human\",\"value\":\"q\"}],\"chosen\":{\"from\":\"gpt\",\"value\":\"a\"},\"rejected\":{\"role\":\"assistant\",\"content\":\"b\"}}",
         "{\"prompt\":[{\"role\":\"user\",\"content\":\"q\"}],\"chosen\":[{\"role\":\"assistant\",\"content\":\"a\"}],"
         "\"rejected\":[{\"role\":\"assistant\",\"content\":\"b\"}]}"},
        {DATA_ORCA, "{\"system\":\"\",\"question\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}",
         "{\"prompt\":[{\"role\":\"user\",\"content\":\"q\"}],\"chosen\":[{\"role\":\"assistant\",\"content\":\"a\"}],"
         "\"rejected\":[{\"role\":\"assistant\",\"content\":\"b\"}]}"},
        {DATA_ORCA, "{\"system\":\"Be\",\"question\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}",
         "{\"prompt\":[{\"role\":\"system\",\"content\":\"Be\"},{\"role\":\"user\",\"content\":\"q\"}],\"chosen\":[{\"role\":\"assistant\",\"content\":\"a\"}],"
         "\"rejected\":[{\"role\":\"assistant\",\"content\":\"b\"}]}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int told = 0; told < 2; told++) {
            convert_report r;
            assert_ok(w->ctx, convert(w, told ? cases[i].format : DATA_AUTO, cases[i].in, false, &r));
            assert_int_equal(r.n_rows, 1);
            assert_int_equal(r.by_format[cases[i].format], 1);
            assert_int_equal(r.n_cut, strstr(cases[i].in, "unanswered") ? 1 : 0);
            char *text = read_back(w, w->to);
            json_t *got = json_loads(text, 0, NULL), *want = json_loads(cases[i].out, 0, NULL);
            if (!json_equal(got, want))
                fail_msg("case %zu: %s", i, text);
            json_decref(got), json_decref(want);
            free(text);
            convert_report_free(&r);
        }
}

static void convert__names_the_bad_row(void **state) {
    world *w = *state;
    const struct {
        data_format format;
        const char *in, *words;
    } cases[] = {
        {DATA_AUTO, "{\"foo\": 1}", "no known format"},
        {DATA_AUTO, "", "no rows"},
        {DATA_ALPACA, "{\"instruction\":\"a\"}", "output"},
        {DATA_ALPACA, "{\"instruction\":\"a\",\"output\":\"\"}", "output is empty"},
        {DATA_SHAREGPT, "{\"conversations\":[]}", "conversations"},
        {DATA_SHAREGPT, "{\"conversations\":[{\"from\":\"alien\",\"value\":\"x\"}]}", "alien"},
        {DATA_SHAREGPT, "{\"conversations\":[{\"from\":\"human\",\"value\":\"x\"}]}", "no answer"},
        {DATA_HH, "{\"chosen\":\"Human: a\",\"rejected\":\"b\"}", "begin"},
        {DATA_HH, "{\"chosen\":\"\\n\\nHuman: a\\n\\nAssistant: b\",\"rejected\":\"\\n\\nHuman: c\\n\\nAssistant: d\"}", "differ"},
        {DATA_HH, "{\"chosen\":\"\\n\\nHuman: a\",\"rejected\":\"\\n\\nHuman: a\"}", "messages"},
        {DATA_SPIN, "{\"real\":[],\"generated\":1}", "generated"},
        {DATA_TRL, "{\"prompt\":[{\"from\":\"martian\",\"value\":\"q\"}],\"chosen\":\"a\",\"rejected\":\"b\"}", "prompt[0] is no message"},
        {DATA_TRL, "{\"prompt\":\"q\",\"chosen\":[\"a\"],\"rejected\":\"b\"}", "chosen[0] is no message"},
        {DATA_ORCA, "{\"question\":\"q\",\"chosen\":[\"a\"],\"rejected\":\"b\"}", "must be texts"},
        {DATA_SPIN, "{\"real\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}],\"generated\":"
                    "[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}]}", "are the same"},
        {DATA_HH, "{\"chosen\":\"\\n\\nHuman: a\\n\\nAssistant: b\",\"rejected\":\"\\n\\nHuman: a\\n\\nAssistant: b\"}", "are the same"},
        {DATA_HH, "{\"chosen\":\"\\n\\nHuman: a\\n\\nAssistant: b\",\"rejected\":\"\\n\\nHuman: a\\n\\nAssistant:\"}", "rejected is empty"},
        {DATA_TRL, "{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"b\"}", "are the same"},
        {DATA_TRL, "{\"prompt\":\"a\",\"completion\":\"\"}", "completion is empty"},
        {DATA_TRL, "{\"prompt\":\"a\",\"completion\":\" \"}", "completion is empty"},
        {DATA_TRL, "{\"prompt\":\"a\",\"completion\":null}", "completion is empty"},
        {DATA_TRL, "{\"prompt\":\"a\",\"completions\":[\"b\",\"\"],\"labels\":[1,0]}", "completions[1] is empty"},
        {DATA_TRL, "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"\"}]}", "messages[1] is an empty answer"},
        {DATA_GSM8K, "{\"question\":\"a\"", ":1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        convert_report r;
        agon_status s = convert(w, cases[i].format, cases[i].in, false, &r);
        if (s == AGON_OK || !strstr(agon_error(w->ctx), cases[i].words) || !strstr(agon_error(w->ctx), w->from))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, agon_error(w->ctx), cases[i].words);
        assert_int_not_equal(access(w->to, F_OK), 0); /* nothing half-written */
    }
    data_format f;
    assert_int_equal(data_format_find(w->ctx, "alpacca", &f), AGON_EINVAL);
    assert_non_null(strstr(agon_error(w->ctx), "did you mean alpaca"));
}

static void names(const json_t *list, size_t i, const char *words) {
    const char *sentence = json_string_value(json_object_get(json_array_get(list, i), "sentence"));
    if (!sentence || !strstr(sentence, words))
        fail_msg("\"%s\" does not say \"%s\"", sentence ? sentence : "", words);
}

static void convert__skips_and_counts(void **state) {
    world *w = *state;
    convert_report r;
    /* One JSON list, as Alpaca and ShareGPT are handed around; and lines. */
    assert_ok(w->ctx, convert(w, DATA_AUTO, " [{\"instruction\":\"a\",\"output\":\"b\"}, 3, {\"x\":1},\n{\"question\":\"q\",\"answer\":\"r\"}]",
                              true, &r));
    assert_int_equal(r.n_rows, 2);
    assert_int_equal(r.n_skipped, 2);
    assert_int_equal(r.by_format[DATA_ALPACA] + r.by_format[DATA_GSM8K], 2);
    assert_int_equal(json_array_size(r.skipped), 2);
    names(r.skipped, 0, "row 2: must be");
    names(r.skipped, 1, "row 3: the fields");
    convert_report_free(&r);
    assert_ok(w->ctx, convert(w, DATA_AUTO, "{\"question\":\"q\",\"answer\":\"r\"}\n{broken\n{\"question\":NaN}\n", true, &r));
    assert_int_equal(r.n_rows, 1);
    assert_int_equal(r.n_skipped, 2);
    names(r.skipped, 0, ":2: ");
    names(r.skipped, 1, ":3: ");
    convert_report_free(&r);
    assert_ok(w->ctx, convert(w, DATA_AUTO, "{\"question\":\"q\",\"answer\":\"r\"}\n{\"conversations\":[{\"from\":\"human\",\"value\":\"a\"},{\"from\":\"gpt\","
                              "\"value\":\"b\"},{\"from\":\"human\",\"value\":\"c\"}]}\n", false, &r));
    assert_int_equal(r.n_cut, 1);
    names(r.cut, 0, ":2: 1 turn after the last answer is left out");
    convert_report_free(&r);
}

static size_t count_lines(const char *text) {
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static agon_status split(world *w, uint64_t seed, split_part parts[2], split_report *r) {
    unlink(w->to), unlink(w->other);
    return split_file(w->ctx, w->from, seed, parts, 2, r);
}

static void split__keeps_prompts_together(void **state) {
    world *w = *state;
    char *text = malloc(1 << 16), *at = text;
    for (int i = 0; i < 100; i++) /* every prompt three times, once as messages, once a duplicate */
        at += sprintf(at, "{\"prompt\":\"q%d\",\"completion\":\"a\"}\n{\"completion\":\"a\",\"prompt\":\"q%d\"}\n"
                          "{\"messages\":[{\"role\":\"user\",\"content\":\"q%d\"},{\"role\":\"assistant\",\"content\":\"b\"}]}\n",
                      i, i, i);
    assert_ok(w->ctx, file_write(w->ctx, w->from, text, strlen(text)));
    free(text);
    split_part parts[2] = {{w->to, 0.8, 0}, {w->other, 0.2, 0}};
    split_report r;
    assert_ok(w->ctx, split(w, 7, parts, &r));
    assert_int_equal(r.n_duplicates, 100);
    assert_int_equal(r.n_guessed, 0);
    assert_int_equal(parts[0].n_rows, 160);
    assert_int_equal(parts[1].n_rows, 40);
    char *train = read_back(w, w->to), *test = read_back(w, w->other);
    assert_int_equal(count_lines(train), 160);
    for (int i = 0; i < 100; i++) {
        char mark[16];
        snprintf(mark, sizeof mark, "\"q%d\"", i);
        assert_int_equal(strstr(train, mark) != NULL, strstr(test, mark) == NULL);
    }
    /* The seed decides, the order of the lines does not. */
    assert_ok(w->ctx, split(w, 7, parts, &r));
    char *again = read_back(w, w->to);
    assert_string_equal(train, again);
    free(again);
    assert_ok(w->ctx, split(w, 8, parts, &r));
    again = read_back(w, w->to);
    assert_string_not_equal(train, again);
    free(train), free(test), free(again);
    assert_int_equal(split_file(w->ctx, w->from, 7, parts, 2, &r), AGON_EINVAL); /* the parts are there */
    parts[0].share = 0.9;
    assert_int_equal(split(w, 7, parts, &r), AGON_EINVAL);
    assert_ok(w->ctx, file_write(w->ctx, w->from, "{\"text\":\"one\"}\n", 15));
    parts[0].share = 0.8;
    assert_int_equal(split(w, 7, parts, &r), AGON_EINVAL);
}

/* A path that is given twice would lose a part's rows, and parts before one that fails would stand in the way of the next call. */
static void split__all_parts_or_none(void **state) {
    world *w = *state;
    char text[512] = "", spelt[256], nowhere[256];
    split_report r;
    for (int i = 0; i < 10; i++)
        sprintf(text + strlen(text), "{\"text\":\"%d\"}\n", i);
    assert_ok(w->ctx, file_write(w->ctx, w->from, text, strlen(text)));
    const char *name = strrchr(w->to, '/') + 1;
    snprintf(spelt, sizeof spelt, "%.*s./%s", (int)(name - w->to), w->to, name);
    snprintf(nowhere, sizeof nowhere, "%s/no/part", w->from);
    const struct { const char *second; agon_status status; const char *says; } cases[] = {
        {w->to, AGON_EINVAL, "are one file; give each a path of its own"}, {spelt, AGON_EINVAL, "are one file"}, {nowhere, AGON_ENOTFOUND, "no/part"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        split_part parts[2] = {{w->to, 0.8, 0}, {cases[i].second, 0.2, 0}};
        assert_int_equal(split(w, 7, parts, &r), cases[i].status);
        assert_non_null(strstr(agon_error(w->ctx), cases[i].says));
        assert_int_not_equal(access(w->to, F_OK), 0);
    }
}

static size_t peak_bytes(void) {
    struct rusage used;
    assert_int_equal(getrusage(RUSAGE_SELF, &used), 0);
    return (size_t)used.ru_maxrss << 10;
}

/* Rows are held once: a part of a gibibyte and more is no buffer of that size. */
static void split__holds_rows_once(void **state) {
    world *w = *state;
    enum { ROWS = 2000, ROW = 16 << 10 };
    split_part parts[2] = {{w->to, 0.99, 0}, {w->other, 0.01, 0}};
    split_report r;
    FILE *file = fopen(w->from, "w");
    for (int i = 0; i < ROWS; i++)
        fprintf(file, "{\"prompt\":\"q%d\",\"completion\":\"%0*d\"}\n", i, ROW, i);
    fclose(file);
    const size_t before = peak_bytes();
    assert_ok(w->ctx, split(w, 7, parts, &r));
    const size_t more = peak_bytes() - before;
    assert_int_equal(parts[0].n_rows, ROWS - ROWS / 100);
    byte_reader part;
    assert_ok(w->ctx, byte_reader_open(w->ctx, w->to, &part));
    assert_true(part.size > (size_t)parts[0].n_rows * ROW);
    byte_reader_close(&part);
#if !defined(__SANITIZE_ADDRESS__) /* which keeps what was freed */
    assert_true(more < (size_t)ROWS * ROW * 3 / 2);
#else
    (void)more;
#endif
}

static void split__ends_when_interrupted(void **state) {
    world *w = *state;
    split_part parts[2] = {{w->to, 0.5, 0}, {w->other, 0.5, 0}};
    split_report r;
    static const char rows[] = "{\"text\":\"1\"}\n{\"text\":\"2\"}\n";
    assert_ok(w->ctx, file_write(w->ctx, w->from, rows, strlen(rows)));
    agon_interrupt(w->ctx);
    assert_int_equal(split(w, 7, parts, &r), AGON_EINTERRUPTED);
    agon_interrupt_clear(w->ctx);
    assert_int_not_equal(access(w->to, F_OK), 0);
}

/* Every prompt in three pairs, whose answers begin alike in one of them. */
static void expect_pairs_together(world *w, const char *before, const char *after, size_t n_guessed) {
    char *text = malloc(1 << 16), *at = text;
    split_part parts[2] = {{w->to, 0.8, 0}, {w->other, 0.2, 0}};
    split_report r;
    static const char *const answers[3][2] = {{"Yes", "No"}, {"I think it is", "I think not"}, {"The one", "The other"}};
    for (int i = 0; i < 50; i++)
        for (int k = 0; k < 3; k++) {
            char begin[256];
            snprintf(begin, sizeof begin, "%sq%d?%s", before, i, after);
            at += sprintf(at, "{\"chosen\":\"%s %s\",\"rejected\":\"%s %s\"}\n", begin, answers[k][0], begin, answers[k][1]);
        }
    assert_ok(w->ctx, file_write(w->ctx, w->from, text, strlen(text)));
    free(text);
    assert_ok(w->ctx, split(w, 7, parts, &r));
    assert_int_equal(r.n_guessed, n_guessed);
    assert_int_equal(parts[0].n_rows, 120);
    char *train = read_back(w, w->to), *test = read_back(w, w->other);
    for (int i = 0; i < 50; i++) {
        char mark[16];
        snprintf(mark, sizeof mark, "q%d?", i);
        assert_int_equal(strstr(train, mark) != NULL, strstr(test, mark) == NULL);
    }
    free(train), free(test);
}

static void split__finds_the_prompt_of_two_texts(void **state) {
    world *w = *state;
    expect_pairs_together(w, "\\n\\nHuman: And ", " Say. What\\n\\nAssistant:", 0);
    expect_pairs_together(w, "\\r\\n\\r\\nHuman: Hi\\r\\n\\r\\nAssistant: Hm.\\r\\n\\r\\nHuman: ", " What\\r\\n\\r\\nAssistant:", 0);
    expect_pairs_together(w, "Is this ", "", 150);
    expect_pairs_together(w, "Say yes or no to ", "\\nanswer:\\n\\n", 150);
}

static void convert__refinements_become_each_kind_of_row(void **state) {
    world *w = *state;
    static const char row[] = "{\"prompt\":\"2+2?\",\"draft\":\"It is 5, I am sure.\",\"critique\":\"5 is too much.\","
                              "\"refined\":\"It is 4, I am sure.\"}";
#define USER "[{\"role\":\"user\",\"content\":\"2+2?\"}"
#define DRAFT "{\"role\":\"assistant\",\"content\":\"It is 5, I am sure.\"}"
#define REFINED "[{\"role\":\"assistant\",\"content\":\"It is 4, I am sure.\"}]"
    const struct {
        data_format format;
        const char *out;
    } cases[] = {
        {DATA_REFINE_SFT, "{\"prompt\":" USER "],\"completion\":" REFINED "}\n"},
        {DATA_REFINE_PAIRS, "{\"prompt\":" USER "],\"chosen\":" REFINED ",\"rejected\":[" DRAFT "]}\n"},
        {DATA_REFINE_GUIDED, "{\"prompt\":" USER "," DRAFT ",{\"role\":\"user\",\"content\":\"5 is too much.\\n\\nGive the corrected "
                             "answer.\"}],\"completion\":" REFINED "}\n"},
        {DATA_REFINE_CRITIC, "{\"prompt\":" USER "," DRAFT ",{\"role\":\"user\",\"content\":\"Say what is wrong with this answer.\"}],"
                             "\"completion\":[{\"role\":\"assistant\",\"content\":\"5 is too much.\"}]}\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        convert_report r;
        assert_ok(w->ctx, convert(w, cases[i].format, row, false, &r));
        char *got = read_back(w, w->to);
        assert_string_equal(got, cases[i].out);
        free(got);
    }
}

static void convert__fixes_change_only_what_is_flagged(void **state) {
    world *w = *state;
    convert_report r;
    assert_ok(w->ctx, convert(w, DATA_REFINE_SFT,
                              "{\"prompt\":\"q\",\"draft\":\"the cat sat on teh mat\",\"spans\":[{\"quote\":\"teh\",\"fix\":\"the\"},"
                              "{\"start\":4,\"end\":7,\"fix\":\"dog\"}]}", false, &r));
    char *got = read_back(w, w->to);
    assert_non_null(strstr(got, "the dog sat on the mat"));
    free(got);
    /* Of several places the one that is meant; a quote with edits takes whole characters. */
    static const char *const good[][2] = {
        {"{\"prompt\":\"q\",\"draft\":\"5 and 5 and 5\",\"spans\":[{\"quote\":\"5\",\"near\":7,\"fix\":\"6\"}]}", "5 and 6 and 5"},
        {"{\"prompt\":\"q\",\"draft\":\"caf\u00e9 noir\",\"spans\":[{\"start\":3,\"end\":5,\"fix\":\"e\"}]}", "cafe noir"},
        {"{\"prompt\":\"q\",\"draft\":\"une tasse de caf\u00e9\",\"spans\":[{\"quote\":\"une tasse de caf\u00e8\",\"fix\":\"rien\"}]}", "\"rien\""},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_ok(w->ctx, convert(w, DATA_REFINE_SFT, good[i][0], false, &r));
        got = read_back(w, w->to);
        if (!strstr(got, good[i][1]))
            fail_msg("%s is not in %s", good[i][1], got);
        free(got);
    }
    static const char *const bad[][2] = {
        {"{\"prompt\":\"q\",\"draft\":\"5 and 5\",\"spans\":[{\"quote\":\"5\",\"fix\":\"6\"}]}", "spans[0]: the quote stands in the draft more than once"},
        {"{\"prompt\":\"q\",\"draft\":\"caf\u00e9 noir\",\"spans\":[{\"start\":3,\"end\":4,\"fix\":\"e\"}]}", "cut a character"},
        {"{\"prompt\":\"q\",\"draft\":\"caf\u00e9 noir\",\"spans\":[{\"start\":4,\"end\":6,\"fix\":\"e\"}]}", "cut a character"},
        {"{\"prompt\":\"q\",\"draft\":\"a b\",\"spans\":[{\"quote\":\"zzzz\",\"fix\":\"c\"}]}", "does not stand in the draft"},
        {"{\"prompt\":\"q\",\"draft\":\"a b\",\"spans\":[{\"start\":0,\"end\":2,\"fix\":\"c\"},{\"start\":1,\"end\":3,\"fix\":\"d\"}]}", "overlap"},
        {"{\"prompt\":\"q\",\"draft\":\"a b\",\"spans\":[{\"start\":0,\"end\":9,\"fix\":\"c\"}]}", "no part of the draft"},
        {"{\"prompt\":\"q\",\"draft\":\"a b\",\"refined\":\"a b\"}", "nothing was mended"},
        {"{\"prompt\":\"q\",\"draft\":\"a b\"}", "refined is missing"},
        {"{\"prompt\":\"q\",\"draft\":\"a b\",\"refined\":\"a c\",\"draft_score\":0.5,\"refined_score\":0.55}", "gains less"},
        {"{\"prompt\":\"q\",\"draft\":\"a b\",\"critique\":\"1 2 3 4 5 6 7 8\",\"refined\":\"1 2 3 4 5 6 7 8\"}", "copies the critique"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(convert(w, DATA_REFINE_SFT, bad[i][0], false, &r), AGON_EINVAL);
        if (!strstr(agon_error(w->ctx), bad[i][1]))
            fail_msg("%s: %s", bad[i][1], agon_error(w->ctx));
    }
    assert_int_equal(convert(w, DATA_REFINE_PAIRS, "{\"prompt\":\"q\",\"draft\":\"aaaaaaaaaa\",\"refined\":\"bbbbbbbbbb\"}", false, &r),
                     AGON_EINVAL);
    assert_non_null(strstr(agon_error(w->ctx), "another answer"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convert__makes_our_rows),
        cmocka_unit_test(convert__names_the_bad_row),
        cmocka_unit_test(convert__skips_and_counts),
        cmocka_unit_test(convert__refinements_become_each_kind_of_row),
        cmocka_unit_test(convert__fixes_change_only_what_is_flagged),
        cmocka_unit_test(split__keeps_prompts_together),
        cmocka_unit_test(split__all_parts_or_none),
        cmocka_unit_test(split__holds_rows_once),
        cmocka_unit_test(split__ends_when_interrupted),
        cmocka_unit_test(split__finds_the_prompt_of_two_texts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
