/* SentencePiece-style tokenizers against Hugging Face tokenizers (tests/golden/tokenizer_spm.json, scripts/reference/tokenizer.py). */
#include "../../weights_fixtures.h"
#include "model/tokenizer_private.h"
#include <time.h>

#define MARK "\xe2\x96\x81"

static agon_ctx *ctx;
static json_t *golden;

static int set_up(void **state) {
    char path[4096];
    const char *root = getenv("AGON_SOURCE");
    (void)state;
    ctx = test_ctx(1, NULL);
    snprintf(path, sizeof path, "%s/tests/golden/tokenizer_spm.json", root ? root : ".");
    assert_ok(ctx, json_read_file(ctx, path, &golden));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    json_decref(golden);
    agon_ctx_free(ctx);
    return 0;
}

/* The golden tokenizer in the form of one variant. */
static json_t *variant_json(const json_t *variant) {
    json_t *root = json_deep_copy(json_object_get(golden, "tokenizer")), *model = json_object_get(root, "model"), *token, *entry;
    const char *merges = json_string_value(json_object_get(variant, "merges"));
    bool strings = strcmp(merges, "strings") == 0;
    json_t *list = json_array();
    size_t i;
    json_array_foreach(json_object_get(model, strings ? "cuts" : merges), i, entry) {
        if (strings)
            json_array_append_new(list, json_sprintf("%s %s", json_string_value(json_array_get(entry, 0)), json_string_value(json_array_get(entry, 1))));
        else
            json_array_append(list, entry);
    }
    json_object_set_new(model, "merges", list);
    json_object_set(model, "fuse_unk", json_object_get(variant, "fuse_unk"));
    static const char *const keys[] = {"normalizer", "pre_tokenizer", "decoder"};
    for (i = 0; i < 3; i++)
        json_object_set(root, keys[i], json_object_get(variant, keys[i]));
    json_array_foreach(json_object_get(root, "added_tokens"), i, token) {
        if (i < 3)
            json_object_set(token, "normalized", json_object_get(variant, "normalized"));
    }
    return root;
}

static agon_status open_json(const json_t *root, const char *config, tokenizer **out) {
    char *text = json_dumps(root, 0);
    agon_status s = tokenizer_from_json(ctx, "spm", text, strlen(text), config, config ? strlen(config) : 0, NULL, 0, out);
    free(text);
    return s;
}

#define CONFIG "{\"bos_token\":\"<s>\",\"eos_token\":\"</s>\",\"unk_token\":\"<unk>\",\"add_bos_token\":true}"

static tokenizer *open_variant(const json_t *variant) {
    json_t *root = variant_json(variant);
    tokenizer *t = NULL;
    assert_ok(ctx, open_json(root, CONFIG, &t));
    json_decref(root);
    return t;
}

static const json_t *variant_named(const char *name) {
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(golden, "variants"), i, v) {
        if (strcmp(json_string_value(json_object_get(v, "name")), name) == 0)
            return v;
    }
    fail_msg("no variant %s", name);
    return NULL;
}

static size_t text_at(size_t i, char out[4096]) {
    const char *hex = json_string_value(json_array_get(json_object_get(golden, "texts"), i));
    size_t n = strlen(hex) / 2;
    for (size_t k = 0; k < n; k++) {
        unsigned byte;
        sscanf(hex + 2 * k, "%2x", &byte);
        out[k] = (char)byte;
    }
    out[n] = 0;
    return n;
}

static size_t n_texts(void) {
    return json_array_size(json_object_get(golden, "texts"));
}

static void assert_ids(const char *what, size_t text, const token_list *got, const json_t *want) {
    bool equal = got->n == json_array_size(want);
    for (size_t i = 0; equal && i < got->n; i++)
        equal = got->ids[i] == json_integer_value(json_array_get(want, i));
    if (equal)
        return;
    char bytes[4096];
    text_at(text, bytes);
    print_message("got ");
    for (size_t i = 0; i < got->n; i++)
        print_message(" %d", got->ids[i]);
    char *wanted = json_dumps(want, 0);
    fail_msg("%s, text %zu '%s': not %s", what, text, bytes, wanted);
}

/* The pieces that a stream of tokens gives. */
static void stream(const tokenizer *t, const json_t *ids, bool special, buffer *out) {
    bool first = true;
    for (size_t i = 0; i < json_array_size(ids); i++) {
        int32_t id = (int32_t)json_integer_value(json_array_get(ids, i));
        size_t n;
        const char *bytes = first ? tokenizer_first_bytes(t, id, &n) : tokenizer_bytes(t, id, &n);
        if (!special && tokenizer_is_special(t, id))
            continue;
        assert_true(buffer_append(out, bytes, n));
        first = false;
    }
}

static void check_decoded(const char *what, size_t i, const tokenizer *t, const json_t *ids, bool special, const char *want, size_t n_want) {
    int32_t list[1024];
    size_t n = json_array_size(ids), m = 0;
    buffer pieces = {0};
    for (size_t k = 0; k < n; k++)
        list[k] = (int32_t)json_integer_value(json_array_get(ids, k));
    char *got = tokenizer_decode(t, list, n, special, &m);
    if (m != n_want || memcmp(got, want, m) != 0)
        fail_msg("%s, text %zu decodes to '%s', not to '%s'", what, i, got, want);
    stream(t, ids, special, &pieces);
    assert_int_equal(pieces.size, m);
    if (m)
        assert_memory_equal(pieces.data, got, m);
    buffer_free(&pieces);
    free(got);
}

/* What the reference writes of a tokenizer that has a Metaspace decoder only is "<0x0A>": agon's are the bytes. */
static bool has_byte_text(const json_t *variant, const char *decoded) {
    const json_t *type = json_object_get(json_object_get(variant, "decoder"), "type");
    return strcmp(json_string_value(type), "Metaspace") == 0 && strstr(decoded, "<0x");
}

static void spm__ids_and_texts_equal_the_reference(void **state) {
    (void)state;
    size_t v;
    json_t *variant;
    assert_true(n_texts() > 50 && json_array_size(json_object_get(golden, "variants")) == 8);
    json_array_foreach(json_object_get(golden, "variants"), v, variant) {
        const char *name = json_string_value(json_object_get(variant, "name"));
        tokenizer *t = open_variant(variant);
        for (size_t i = 0; i < n_texts(); i++) {
            char text[4096];
            size_t n = text_at(i, text);
            const json_t *ids = json_array_get(json_object_get(variant, "ids"), i), *plain = json_array_get(json_object_get(variant, "plain_ids"), i);
            const json_t *decoded = json_array_get(json_object_get(variant, "decoded"), i), *hidden = json_array_get(json_object_get(variant, "hidden"), i);
            token_list list = {0};
            assert_ok(ctx, tokenizer_encode(ctx, t, text, n, true, &list));
            assert_ids(name, i, &list, ids);
            list.n = 0;
            assert_ok(ctx, tokenizer_encode(ctx, t, text, n, false, &list));
            assert_ids(name, i, &list, json_is_null(plain) ? ids : plain);
            token_list_free(&list);
            if (json_is_true(json_object_get(variant, "normalized"))) /* 0.23 writes these tokens in their normal form */
                continue;
            const char *shown = json_is_null(decoded) ? text : json_string_value(decoded);
            size_t n_shown = json_is_null(decoded) ? n : json_string_length(decoded);
            if (!has_byte_text(variant, shown))
                check_decoded(name, i, t, ids, true, shown, n_shown);
            if (json_is_string(hidden) && !has_byte_text(variant, json_string_value(hidden)))
                check_decoded(name, i, t, ids, false, json_string_value(hidden), json_string_length(hidden));
        }
        tokenizer_free(t);
    }
}

static void spm__bytes_that_are_no_text_are_byte_tokens(void **state) {
    (void)state;
    static const char text[] = "a\xff\xc3( \xed\xa0\x80 \xe2\x82\xac\xf0\x9f";
    tokenizer *t = open_variant(variant_named("prepend"));
    token_list list = {0};
    size_t m;
    assert_ok(ctx, tokenizer_encode(ctx, t, text, sizeof text - 1, true, &list));
    char *back = tokenizer_decode(t, list.ids, list.n, true, &m);
    assert_int_equal(m, sizeof text - 1);
    assert_memory_equal(back, text, m);
    assert_int_equal(tokenizer_find(t, "<0xFF>"), list.ids[1]);
    assert_string_equal(tokenizer_bytes(t, list.ids[1], &m), "\xff");
    assert_int_equal(m, 1);
    free(back);
    token_list_free(&list);
    tokenizer_free(t);
}

/* Ends of tokens are offsets into the text as it was given. */
static void spm__ends_count_the_texts_own_bytes(void **state) {
    (void)state;
    static const char text[] = "the  \xc3\xa9\xe2\x9c\xa8</s> the";
    static const char *const names[] = {"prepend", "first", "legacy"};
    for (size_t v = 0; v < 3; v++) {
        tokenizer *t = open_variant(variant_named(names[v]));
        token_list list = {0};
        buffer ends = {0};
        token_sink sink = {.ids = &list, .ends = &ends};
        assert_ok(ctx, tokenizer_encode_run(ctx, t, text, sizeof text - 1, true, TEXT_BEGINS, &sink));
        const size_t *at = (const size_t *)(const void *)ends.data;
        assert_int_equal(ends.size, list.n * sizeof *at);
        for (size_t i = 0; i < list.n; i++)
            assert_true(at[i] <= sizeof text - 1 && (i == 0 || at[i] >= at[i - 1]));
        assert_int_equal(at[list.n - 1], sizeof text - 1);
        buffer_free(&ends);
        token_list_free(&list);
        tokenizer_free(t);
    }
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Nothing cuts these texts into words: quadratic merging would take hours. */
static void spm__long_texts_are_not_quadratic(void **state) {
    (void)state;
    tokenizer *t = open_variant(variant_named("prepend"));
    size_t n = 1 << 20;
    char *text = malloc(n);
    static const char *const fills[] = {"a", " ", "the learner ", "\xe2\x82\xac", "<s", "\xff"};
    for (size_t f = 0; f < sizeof fills / sizeof *fills; f++) {
        for (size_t i = 0; i < n; i++)
            text[i] = fills[f][i % strlen(fills[f])];
        double start = seconds();
        token_list list = {0};
        assert_ok(ctx, tokenizer_encode(ctx, t, text, n, true, &list));
        assert_true(list.n > 0);
        if (seconds() - start > 20)
            fail_msg("1 MB of '%s' took %g s", fills[f], seconds() - start);
        token_list_free(&list);
    }
    free(text);
    tokenizer_free(t);
}

/* A vocabulary whose merges could spell a special token. */
static void spm__text_makes_no_special_token(void **state) {
    (void)state;
    json_t *root = variant_json(variant_named("prepend")), *model = json_object_get(root, "model");
    json_t *vocab = json_object_get(model, "vocab"), *merges = json_object_get(model, "merges");
    static const char *const parts[][2] = {{"<", "/"}, {"s", ">"}, {"</", "s>"}};
    for (size_t i = 0; i < 3; i++) {
        char both[8];
        snprintf(both, sizeof both, "%s%s", parts[i][0], parts[i][1]);
        for (int k = 0; k < 3; k++) {
            const char *text = k < 2 ? parts[i][k] : both;
            if (!json_object_get(vocab, text))
                json_object_set_new(vocab, text, json_integer((json_int_t)json_object_size(vocab) + 8));
        }
        json_array_append_new(merges, json_pack("[s,s]", parts[i][0], parts[i][1]));
    }
    tokenizer *t = NULL;
    token_list list = {0};
    assert_ok(ctx, open_json(root, CONFIG, &t));
    assert_ok(ctx, tokenizer_encode(ctx, t, "</s>", 4, false, &list));
    assert_int_equal(list.n, 3);
    for (size_t i = 0; i < list.n; i++)
        assert_false(tokenizer_is_special(t, list.ids[i]));
    assert_int_equal(list.ids[2], tokenizer_find(t, "s>"));
    token_list_free(&list);
    tokenizer_free(t);
    json_decref(root);
}

/* Whether a text goes on is decided by what stands before it, not by the list its ids are put on. */
static void spm__texts_behind_nothing_or_bos_begin(void **state) {
    (void)state;
    const int32_t bos = 1, word = 300, end = 2;
    static const char *const names[] = {"prepend", "first", "always", "legacy", "never"};
    static const struct { const char *behind_word, *behind_end; } want[] = {
        {"t|he| the|", " the| the|"}, {"t|he| the|", "t|he| the|"}, {"t|he| the|", " the| the|"}, {"t|he| the|", " the| the|"}, {"t|he| the|", "t|he| the|"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        tokenizer *t = open_variant(variant_named(names[i]));
        token_list own = {0}, list = {0};
        assert_ok(ctx, tokenizer_encode(ctx, t, "the the", 7, false, &own));
        assert_ok(ctx, tokenizer_encode_more(ctx, t, NULL, 0, "the the", 7, false, &list));
        assert_ok(ctx, tokenizer_encode_more(ctx, t, &bos, 1, "the the", 7, false, &list));
        assert_int_equal(list.n, 2 * own.n);
        for (size_t k = 0; k < list.n; k++)
            assert_int_equal(list.ids[k], own.ids[k % own.n]);
        for (int k = 0; k < 2; k++) {
            char joined[64] = "";
            list.n = 0;
            assert_ok(ctx, tokenizer_encode_more(ctx, t, k ? &end : &word, 1, "the the", 7, false, &list));
            for (size_t j = 0; j < list.n; j++) {
                size_t m;
                const char *bytes = tokenizer_bytes(t, list.ids[j], &m);
                strncat(joined, bytes, m);
                strcat(joined, "|");
            }
            assert_string_equal(joined, k ? want[i].behind_end : want[i].behind_word);
        }
        token_list_free(&own);
        token_list_free(&list);
        tokenizer_free(t);
    }
}

/* The file with something else at a path of its keys. */
static agon_status open_changed(const char *first, const char *second, const char *json, tokenizer **out) {
    json_t *root = variant_json(variant_named("prepend")), *value = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    json_object_set_new(second ? json_object_get(root, first) : root, second ? second : first, value);
    agon_status s = open_json(root, CONFIG, out);
    json_decref(root);
    return s;
}

static void spm__says_what_it_does_not_know(void **state) {
    (void)state;
    static const struct {
        const char *first, *second, *json, *part;
    } cases[] = {
        {"normalizer", NULL, "null", "pre-tokenizer"},
        {"normalizer", NULL, "{\"type\":\"NFKC\"}", "normalizer 'NFKC'"},
        {"normalizer", NULL, "{\"type\":\"Precompiled\"}", "normalizer 'Precompiled'"},
        {"normalizer", NULL, "{\"type\":\"Prepend\",\"prepend\":\"x\"}", "normalizer 'Prepend'"},
        {"pre_tokenizer", NULL, "{\"type\":\"ByteLevel\"}", "pre-tokenizer 'ByteLevel'"},
        {"pre_tokenizer", NULL, "{\"type\":\"Metaspace\",\"replacement\":\"_\"}", "replacement"},
        {"pre_tokenizer", NULL, "{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"prepend\"}", "prepend_scheme"},
        {"pre_tokenizer", NULL, "{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"first\"}", "behind a Prepend"},
        {"decoder", NULL, "null", "decoder"},
        {"decoder", NULL, "{\"type\":\"ByteLevel\"}", "decoder 'ByteLevel'"},
        {"decoder", NULL, "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}", "decoder 'Strip'"},
        {"decoder", NULL, "{\"type\":\"Fuse\"}", "writes \"\xe2\x96\x81\" as a space"},
        {"model", "ignore_merges", "true", "ignore_merges"},
        {"model", "dropout", "0.5", "dropout"},
        {"model", "type", "\"Unigram\"", "a Unigram tokenizer; agon reads BPE"},
        {"model", "type", "\"WordPiece\"", "a WordPiece tokenizer; agon reads BPE"},
        {"model", "byte_fallback", "false", "unk_token"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tokenizer *t = NULL;
        assert_refused(ctx, open_changed(cases[i].first, cases[i].second, cases[i].json, &t), AGON_EUNSUPPORTED, "spm: ", cases[i].part);
        assert_null(t);
    }
    json_t *root = variant_json(variant_named("prepend"));
    tokenizer *t = NULL;
    json_object_del(json_object_get(json_object_get(root, "model"), "vocab"), "<0x7F>");
    assert_refused(ctx, open_json(root, CONFIG, &t), AGON_EUNSUPPORTED, "spm: ", "lacks the token of a byte, <0x7F>");
    json_decref(root);
}

/* ---- GGUF --------------------------------------------------------------------------------------------- */

static bool equal_ids(const tokenizer *t, const tokenizer *u, const char *text, size_t n, bool special) {
    token_list a = {0}, b = {0};
    assert_ok(ctx, tokenizer_encode(ctx, t, text, n, special, &a));
    assert_ok(ctx, tokenizer_encode(ctx, u, text, n, special, &b));
    bool equal = a.n == b.n && (a.n == 0 || memcmp(a.ids, b.ids, a.n * sizeof *a.ids) == 0);
    token_list_free(&a);
    token_list_free(&b);
    return equal;
}

static void assert_same_tokenizer(const char *what, const tokenizer *t, const tokenizer *u) {
    for (size_t i = 0; i < n_texts(); i++) {
        char text[4096];
        size_t n = text_at(i, text);
        if (memmem(text, n, "<strip>", 7)) /* options GGUF cannot store */
            continue;
        for (int special = 0; special < 2; special++)
            if (!equal_ids(t, u, text, n, special))
                fail_msg("%s, text %zu: other ids", what, i);
    }
    assert_int_equal(tokenizer_n_vocabulary(t), tokenizer_n_vocabulary(u));
    for (int32_t id = 0; (size_t)id < tokenizer_n_vocabulary(t); id++) {
        size_t n, m;
        const char *a = tokenizer_bytes(t, id, &n), *b = tokenizer_bytes(u, id, &m);
        assert_int_equal(n, m);
        assert_memory_equal(a, b, n);
        a = tokenizer_first_bytes(t, id, &n), b = tokenizer_first_bytes(u, id, &m);
        assert_int_equal(n, m);
        assert_memory_equal(a, b, n);
    }
    assert_int_equal(tokenizer_bos(t), tokenizer_bos(u));
    assert_int_equal(tokenizer_eos(t), tokenizer_eos(u));
    assert_true(t->add_bos == u->add_bos);
}

static tokenizer *open_model(const char *path) {
    weights *w = NULL;
    tokenizer *t = NULL;
    assert_ok(ctx, weights_open(ctx, path, &w));
    assert_ok(ctx, tokenizer_new(ctx, w, &t));
    weights_free(w);
    return t;
}

/* A folder's tokenizer, written as GGUF, read, written as a folder, read. */
static void spm__round_trips_keep_tokens(void **state) {
    (void)state;
    static const char *const names[] = {"prepend", "replace", "first", "always", "never"};
    fixture_folder f = fixture_folder_new();
    char file[256], folder[256];
    for (size_t v = 0; v < sizeof names / sizeof *names; v++) {
        tokenizer *t = open_variant(variant_named(names[v]));
        model_config c = fixture_config("llama");
        c.n_vocabulary = tokenizer_n_vocabulary(t);
        char name[32];
        snprintf(name, sizeof name, "%s.gguf", names[v]);
        assert_ok(ctx, export_gguf(ctx, fixture_path(file, &f, name), &c, t, "f32", fixture_source, &c));
        tokenizer *u = open_model(file);
        assert_same_tokenizer(names[v], t, u);
        assert_true((u->spaces != NULL) && u->family == t->family);
        assert_ok(ctx, export_hf(ctx, fixture_path(folder, &f, names[v]), &c, u, "f32", 0, fixture_source, &c));
        tokenizer *again = open_model(folder);
        assert_same_tokenizer(names[v], t, again);
        tokenizer_free(again);
        tokenizer_free(u);
        tokenizer_free(t);
    }
    fixture_remove(&f);
}

static void spm__what_scores_cannot_say_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *name, *part;
    } cases[] = {{"trained", "GGUF has scores and no merges, by which "}, {"legacy", "would become one token"}};
    fixture_folder f = fixture_folder_new();
    char file[256];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tokenizer *t = open_variant(variant_named(cases[i].name));
        model_config c = fixture_config("llama");
        c.n_vocabulary = tokenizer_n_vocabulary(t);
        assert_refused(ctx, export_gguf(ctx, fixture_path(file, &f, "m.gguf"), &c, t, "f32", fixture_source, &c), AGON_EUNSUPPORTED, cases[i].part,
                       "; use format hf");
        assert_false(file_exists(file));
        tokenizer_free(t);
    }
    fixture_remove(&f);
}

static bool make_the_same(const json_t *a, const json_t *b) {
    char x[64], y[64];
    for (int k = 0; k < 2; k++)
        snprintf(k ? y : x, 64, "%s%s", json_string_value(json_array_get(k ? b : a, 0)), json_string_value(json_array_get(k ? b : a, 1)));
    return strcmp(x, y) == 0;
}

/* The second way to make a token moves to the end of the merges: one score cannot say that. */
static void spm__merges_of_a_token_stand_together(void **state) {
    (void)state;
    json_t *root = variant_json(variant_named("prepend")), *merges = json_object_get(json_object_get(root, "model"), "merges");
    fixture_folder f = fixture_folder_new();
    char file[256];
    tokenizer *t = NULL;
    size_t i = 1;
    while (!make_the_same(json_array_get(merges, i - 1), json_array_get(merges, i)))
        i++;
    json_t *moved = json_incref(json_array_get(merges, i));
    json_array_remove(merges, i);
    json_array_append_new(merges, moved);
    assert_ok(ctx, open_json(root, CONFIG, &t));
    model_config c = fixture_config("llama");
    c.n_vocabulary = tokenizer_n_vocabulary(t);
    assert_refused(ctx, export_gguf(ctx, fixture_path(file, &f, "m.gguf"), &c, t, "f32", fixture_source, &c), AGON_EUNSUPPORTED,
                   "one score a token", "stand apart");
    tokenizer_free(t);
    json_decref(root);
    fixture_remove(&f);
}

/* From what a GGUF file stores, with the golden vocabulary. */
static agon_status open_parts(const tokenizer *t, void (*change)(tokenizer_parts *), tokenizer **out) {
    tokenizer_parts parts;
    tokenizer_get_parts(t, &parts);
    if (change)
        change(&parts);
    return tokenizer_from_parts(ctx, "parts", &parts, 0, out);
}

static float all_scores[4096];
static void without_scores(tokenizer_parts *p) {
    p->scores = NULL;
}
static void not_finite(tokenizer_parts *p) {
    for (size_t i = 0; i < p->n; i++)
        all_scores[i] = NAN;
    p->scores = all_scores;
}
static void all_alike(tokenizer_parts *p) {
    for (size_t i = 0; i < p->n; i++)
        all_scores[i] = -1000;
    p->scores = all_scores;
}
static void unknown_spaces(tokenizer_parts *p) {
    p->spaces = "first nothing else";
}
static void other_model(tokenizer_parts *p) {
    p->model = "t5";
}

static void spm__scores_order_merges(void **state) {
    (void)state;
    tokenizer *t = open_variant(variant_named("prepend")), *u = NULL;
    assert_refused(ctx, open_parts(t, without_scores, &u), AGON_EFORMAT, "parts: ", "tokenizer.ggml.scores");
    assert_refused(ctx, open_parts(t, not_finite, &u), AGON_EFORMAT, "parts: ", "no finite number");
    assert_refused(ctx, open_parts(t, unknown_spaces, &u), AGON_EUNSUPPORTED, "parts: ", "tokenizer.agon.spaces is 'first nothing else'");
    assert_refused(ctx, open_parts(t, other_model, &u), AGON_EUNSUPPORTED, "parts: ", "a 't5' tokenizer; agon reads BPE");
    /* Among equal scores the leftmost pair goes first: that has no ranks. */
    assert_ok(ctx, open_parts(t, all_alike, &u));
    char *json = NULL, *config = NULL;
    assert_refused(ctx, tokenizer_export_json(ctx, u, &json, &config), AGON_EUNSUPPORTED, "the same score", "tokenizer.json");
    token_list list = {0};
    assert_ok(ctx, tokenizer_encode(ctx, u, "ababab", 6, true, &list));
    assert_true(list.n > 0);
    token_list_free(&list);
    tokenizer_free(u);
    tokenizer_free(t);
}

/* Damaged files: whatever comes, a status and no crash (the sanitizer builds watch). */
static void spm__survives_mutations(void **state) {
    (void)state;
    json_t *root = variant_json(variant_named("first"));
    char *whole = json_dumps(root, 0);
    size_t n_whole = strlen(whole);
    char *text = malloc(n_whole + 1);
    uint32_t x = 5;
    for (int round = 0; round < 120; round++) {
        memcpy(text, whole, n_whole + 1);
        for (int k = 0; k < 1 + round % 3; k++) {
            x = x * 1664525u + 1013904223u;
            text[(x >> 8) % n_whole] = "\"{}[]:,0\\e\xff "[(x >> 3) % 12];
        }
        tokenizer *t = NULL;
        if (tokenizer_from_json(ctx, "mutated", text, n_whole, CONFIG, strlen(CONFIG), NULL, 0, &t) == AGON_OK) {
            token_list list = {0};
            assert_ok(ctx, tokenizer_encode(ctx, t, "Any text </s> \xff", 15, true, &list));
            size_t n;
            free(tokenizer_decode(t, list.ids, list.n, true, &n));
            token_list_free(&list);
        }
        tokenizer_free(t);
    }
    tokenizer *t = open_variant(variant_named("first"));
    tokenizer_parts parts;
    tokenizer_get_parts(t, &parts);
    const char **tokens = malloc(parts.n * sizeof *tokens);
    int32_t *types = malloc(parts.n * sizeof *types);
    for (int round = 0; round < 120; round++) {
        memcpy(tokens, parts.tokens, parts.n * sizeof *tokens);
        memcpy(types, parts.types, parts.n * sizeof *types);
        memcpy(all_scores, parts.scores, parts.n * sizeof *all_scores);
        for (int k = 0; k < 5; k++) {
            static const char *const texts[] = {"", "a", "\xff\xfe", " ", "<0x", "the", "\xe2\x96", MARK MARK};
            x = x * 1664525u + 1013904223u;
            size_t i = (x >> 8) % parts.n;
            if (i > 260 || i < 3)
                tokens[i] = texts[x >> 29];
            types[i] = (int32_t)(x >> 5) % 9;
            all_scores[i] = k == 4 ? INFINITY : (float)(int32_t)x;
        }
        tokenizer_parts changed = parts;
        changed.tokens = tokens, changed.types = types, changed.scores = all_scores;
        tokenizer *u = NULL;
        if (tokenizer_from_parts(ctx, "mutated", &changed, 0, &u) == AGON_OK) {
            token_list list = {0};
            char *json = NULL, *config = NULL;
            assert_ok(ctx, tokenizer_encode(ctx, u, "Any  text </s> \xff", 16, true, &list));
            if (tokenizer_export_json(ctx, u, &json, &config) == AGON_OK) {
                free(json);
                free(config);
            }
            token_list_free(&list);
        }
        tokenizer_free(u);
    }
    free(types);
    free(tokens);
    tokenizer_free(t);
    free(text);
    free(whole);
    json_decref(root);
}

/* ---- chats ---------------------------------------------------------------------------------------------- */

static tokenizer *chat_tokenizer(const json_t *chat) {
    json_t *root = variant_json(variant_named(json_string_value(json_object_get(chat, "form"))));
    json_array_extend(json_object_get(root, "added_tokens"), json_object_get(chat, "added"));
    json_t *config = json_pack("{s:s,s:s,s:O}", "bos_token", "<s>", "eos_token", "</s>", "chat_template", json_object_get(chat, "template"));
    char *text = json_dumps(config, 0);
    tokenizer *t = NULL;
    assert_ok(ctx, open_json(root, text, &t));
    free(text);
    json_decref(config);
    json_decref(root);
    return t;
}

static size_t read_messages(const json_t *json, chat_message out[16]) {
    size_t n = json_array_size(json);
    assert_true(n <= 16);
    for (size_t i = 0; i < n; i++)
        out[i] = (chat_message){json_string_value(json_object_get(json_array_get(json, i), "role")),
                                json_string_value(json_object_get(json_array_get(json, i), "content"))};
    return n;
}

/* The answer as it is trained: [/INST]'s space is its own, and what stands before its end. */
static void check_answer_mask(const char *name, const tokenizer *t, const token_list *ids, const buffer *mask) {
    static const struct {
        const char *name, *answer;
    } answers[] = {{"llama2", " Hello. "}, {"mistral-v1", " Hello."}, {"mistral-v3", " Hello."}, {"mistral-v0.1", "Hello."},
                   {"mistral-v0.2", "Hello."}, {"zephyr", "Hello."}};
    buffer text = {0};
    size_t i = 0, n, ends = 0;
    while (strcmp(answers[i].name, name) != 0)
        i++;
    for (size_t k = 0; k < ids->n; k++) {
        const char *bytes = tokenizer_bytes(t, ids->ids[k], &n);
        ends += mask->data[k] && ids->ids[k] == tokenizer_eos(t);
        if (mask->data[k] && !tokenizer_is_special(t, ids->ids[k]))
            buffer_append(&text, bytes, n);
    }
    assert_non_null(text.data);
    /* Behind a token, Prepend puts a space more. */
    bool more = t->spaces && strcmp(name, "mistral-v3") == 0 && text.data[1] == ' ';
    assert_string_equal(text.data + more, answers[i].answer);
    assert_int_equal(ends, 1);
    buffer_free(&text);
}

/* A prompt and the answer behind it, each for itself, are the conversation. */
static void check_answer_behind_prompt(const tokenizer *t, const chat_message *messages, size_t n, const token_list *whole) {
    token_list list = {0};
    assert_ok(ctx, chat_encode(ctx, t, messages, n - 1, true, &list, NULL));
    assert_true(chat_begins_text(t, list.ids, list.n) == (strcmp(chat_template_name(t), "zephyr") != 0));
    assert_ok(ctx, chat_encode_answer(ctx, t, messages[n - 1].content, strlen(messages[n - 1].content), false, true, &list));
    assert_true(list.n < whole->n);
    assert_int_equal(whole->ids[list.n], tokenizer_eos(t));
    assert_memory_equal(list.ids, whole->ids, list.n * sizeof *list.ids);
    token_list_free(&list);
}

static void spm_chat__renders_as_the_reference(void **state) {
    (void)state;
    size_t i, k;
    json_t *chat, *c;
    json_array_foreach(json_object_get(golden, "chats"), i, chat) {
        const char *name = json_string_value(json_object_get(chat, "name"));
        tokenizer *t = chat_tokenizer(chat);
        assert_non_null(chat_template_name(t));
        assert_string_equal(chat_template_name(t), name);
        assert_true(tokenizer_is_stop(t, tokenizer_eos(t)) && tokenizer_end_of_turn(t) == tokenizer_find(t, "</s>"));
        json_array_foreach(json_object_get(chat, "cases"), k, c) {
            chat_message messages[16];
            size_t n = read_messages(json_object_get(c, "messages"), messages);
            token_list list = {0};
            buffer mask = {0};
            assert_ok(ctx, chat_encode(ctx, t, messages, n, json_is_true(json_object_get(c, "open")), &list, &mask));
            const json_t *want = json_object_get(c, "ids");
            for (size_t at = 0; at < list.n || at < json_array_size(want); at++)
                if (at >= list.n || list.ids[at] != json_integer_value(json_array_get(want, at)))
                    fail_msg("%s, %s, case %zu: id %zu of %zu is %d, want %d", name, json_string_value(json_object_get(chat, "form")), k, at, list.n,
                             at < list.n ? list.ids[at] : -1, (int)json_integer_value(json_array_get(want, at)));
            assert_int_equal(mask.size, list.n);
            if (k == 2)
                check_answer_mask(name, t, &list, &mask);
            buffer_free(&mask);
            token_list_free(&list);
        }
        tokenizer_free(t);
    }
}

static void spm_chat__answers_follow_prompts(void **state) {
    (void)state;
    size_t i;
    json_t *chat;
    const chat_message messages[] = {{"user", "Hi"}, {"assistant", "The answer"}};
    json_array_foreach(json_object_get(golden, "chats"), i, chat) {
        tokenizer *t = chat_tokenizer(chat);
        token_list whole = {0};
        assert_ok(ctx, chat_encode(ctx, t, messages, 2, false, &whole, NULL));
        check_answer_behind_prompt(t, messages, 2, &whole);
        token_list_free(&whole);
        tokenizer_free(t);
    }
}

static void spm_chat__turns_alternate(void **state) {
    (void)state;
    size_t i;
    json_t *chat;
    const chat_message twice[] = {{"user", "a"}, {"user", "b"}}, answer[] = {{"assistant", "a"}};
    json_array_foreach(json_object_get(golden, "chats"), i, chat) {
        tokenizer *t = chat_tokenizer(chat);
        token_list list = {0};
        if (strcmp(chat_template_name(t), "zephyr") != 0) {
            assert_refused(ctx, chat_encode(ctx, t, twice, 2, true, &list, NULL), AGON_EINVAL, "message 1: template ", "by turns");
            assert_refused(ctx, chat_encode(ctx, t, answer, 1, true, &list, NULL), AGON_EINVAL, "message 0: template ", "a user first");
        }
        assert_int_equal(list.n, 0);
        tokenizer_free(t);
    }
}

/* Templates near to a family that write something else than it does. */
static void spm_chat__near_templates_are_refused(void **state) {
    (void)state;
#define EACH(user, answer) "{{ bos_token }}{% for m in messages %}{% if u %}{{ " user " }}{% else %}{{ " answer " }}{% endif %}{% endfor %}"
    static const char *const templates[] = {
        EACH("'[INST] ' + m.content + ' [/INST]'", "' ' + m.content + eos_token"),
        EACH("'[INST] ' + m.content + ' [/INST]'", "m.content + eos_token + '\n'"),
        EACH("'[INST] ' + m.content + ' [/INST] '", "m.content + eos_token"),
        EACH("' [INST] ' + m.content + ' [/INST]'", "m.content + eos_token"),
        EACH("'[INST] <<SYS>>' + m.content + ' [/INST]'", "m.content + eos_token"),
        "{% set system_message = 'You are Bot.' %}" EACH("'[INST] ' + m.content + ' [/INST]'", "m.content + eos_token"),
        "{% if s %}{{ '[INST] ' + system_message + '\n\n' + m.content + '[/INST]' }}{% endif %}" EACH("'[INST] ' + m.content + '[/INST]'",
                                                                                                       "' ' + m.content + eos_token"),
    };
    json_t *chat = json_deep_copy(json_array_get(json_object_get(golden, "chats"), 0));
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++) {
        json_object_set_new(chat, "template", json_string(templates[i]));
        tokenizer *t = chat_tokenizer(chat);
        if (chat_template_name(t))
            fail_msg("template %zu is taken for %s: %s", i, chat_template_name(t), templates[i]);
        tokenizer_free(t);
    }
    json_decref(chat);
}

/* `text` with the first `from` in it made `to`, new string; NULL: it is not in there. */
static char *changed_text(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    buffer out = {0};
    if (at)
        buffer_printf(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return at ? buffer_take(&out) : NULL;
}

/* The families' own templates with one thing changed. */
static void spm_chat__changed_templates_are_refused(void **state) {
    (void)state;
    static const char *const changes[][2] = {
        /* ends of the other role, none, and more than one */
        {" [/INST]' }}{% else", "[/INST]' }}{% else"}, {"[/INST]'", "' + eos_token"}, {" + eos_token", ""}, {"eos_token", "' [/INST]'"},
        {"eos_token", "eos_token + eos_token"}, {"eos_token", "eos_token + '\\n'"},
        /* what stands before and behind a content */
        {"{{ ' ' ", "{{ '  ' "}, {"{{ ' ' ", "{{ '' "}, {"'[INST] '", "'[INST]'"}, {"' [INST] '", "'[INST] '"}, {"' [INST] '", "' [INST]'"},
        {"{% endfor %}", "{% endfor %}{{ ' ' }}"}, {"{% endfor %}", "{% endfor %}{{ '[INST] ' }}"},
        {"{% endfor %}", "{% endfor %}{% if add_generation_prompt %}{{ ' ' }}{% endif %}"},
        /* the system message: where, in which order, with what */
        {"{% if loop.first and system_message is defined %}", "{% if system_message is defined %}{# loop.first and system_message is defined #}"},
        {"{% if loop.last and system_message is defined %}", "{% if loop.first and system_message is defined %}{# loop.last and system_message is defined #}"},
        {"system_message + '\\n\\n' + message['content']", "message['content'] + '\\n\\n' + system_message"},
        {"system_message + '\\n\\n' + message['content']", "system_message + '\\n' + message['content']"},
        {"system_message + '\\n\\n' + message['content']", "system_message + '\\n\\n' + message['content'] + '\\n\\n' + system_message"},
        {"'\\n<</SYS>>\\n\\n' + ", "'\\n<</SYS>>\\n' + "}, {"'<<SYS>>\\n' + system_message", "'<<SYS>>\\n' + message['content']"},
        {"'<<SYS>>\\n' + system_message", "'<<SYS>>\\nBe safe. ' + system_message"}, {"'<<SYS>>\\n' + system_message", "'<<SYS>>\\n' + system_message.strip()"},
        /* roles by another name, and contents that are changed */
        {"message['role'] == 'user' %}", "message['role'] != 'user' %}"}, {"== 'assistant'", "== 'system'"}, {"message['content'] + ' [/INST]' }}", "message['content'] | upper + ' [/INST]' }}"},
        {"message['content'] + '[/INST]' }}{% else", "message['content'] | trim + '[/INST]' }}{% else"},
        /* BOS in another place */
        {"{{ bos_token }}", "{{ bos_token + ' ' }}"}, {"'[INST] ' + message", "bos_token + '[INST] ' + message"}, {"{% endfor %}", "{% endfor %}{{ bos_token }}"},
    };
    size_t n_changed = 0, n_taken = 0;
    for (size_t i = 0; i < json_array_size(json_object_get(golden, "chats")); i++) {
        json_t *chat = json_deep_copy(json_array_get(json_object_get(golden, "chats"), i));
        char *own = strdup(json_string_value(json_object_get(chat, "template")));
        assert_non_null(own);
        for (size_t k = 0; strstr(own, "[INST]") && k < sizeof changes / sizeof *changes; k++) {
            char *text = changed_text(own, changes[k][0], changes[k][1]);
            if (!text)
                continue;
            json_object_set_new(chat, "template", json_string(text));
            tokenizer *t = chat_tokenizer(chat);
            if (chat_template_name(t)) {
                print_error("\"%s\" for \"%s\" is taken for %s\n", changes[k][1], changes[k][0], chat_template_name(t));
                n_taken++;
            }
            n_changed++;
            tokenizer_free(t);
            free(text);
        }
        free(own);
        json_decref(chat);
    }
    assert_int_equal(n_taken, 0);
    assert_true(n_changed >= 60);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spm__ids_and_texts_equal_the_reference),
        cmocka_unit_test(spm__bytes_that_are_no_text_are_byte_tokens),
        cmocka_unit_test(spm__ends_count_the_texts_own_bytes),
        cmocka_unit_test(spm__long_texts_are_not_quadratic),
        cmocka_unit_test(spm__text_makes_no_special_token),
        cmocka_unit_test(spm__texts_behind_nothing_or_bos_begin),
        cmocka_unit_test(spm__says_what_it_does_not_know),
        cmocka_unit_test(spm__round_trips_keep_tokens),
        cmocka_unit_test(spm__what_scores_cannot_say_is_refused),
        cmocka_unit_test(spm__merges_of_a_token_stand_together),
        cmocka_unit_test(spm__scores_order_merges),
        cmocka_unit_test(spm__survives_mutations),
        cmocka_unit_test(spm_chat__renders_as_the_reference),
        cmocka_unit_test(spm_chat__answers_follow_prompts),
        cmocka_unit_test(spm_chat__turns_alternate),
        cmocka_unit_test(spm_chat__near_templates_are_refused),
        cmocka_unit_test(spm_chat__changed_templates_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
