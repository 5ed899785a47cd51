/* Plain prose that another model wrote (data/real.txt and its README), as real data, which the lineage never produced: it keeps the fresh-data floor
 * and the model's English (loop section 1, BUILD).
 * It is not the held-out text, and shares no 8-word sequence with it. */
#include "base/ctx.h"
#include "base/share.h"
#include "recipe/choose.h"
#include <stdlib.h>

enum { PIECES_ONCE = 26 }; /* as many there were before rules 20, and such runs go on with them */

/* The pieces chosen: `n` from the place `from` on, the first following the last. */
typedef struct prose {
    cast *c;
    const perplexity_suite *p;
    size_t from, n;
} prose;

static size_t place(const prose *d, size_t i) {
    return (d->from + i) % perplexity_n_documents(d->p);
}

static agon_status add_document(void *arg, size_t i, json_t *ids) {
    const prose *d = arg;
    cast *c = d->c;
    store_id id;
    const text_record t = {.run = run_id(c->run),
                           .kind = "document",
                           .body = perplexity_document(d->p, place(d, i)),
                           .iteration = c->actors.iteration,
                           .producer = "data/real.txt",
                           .oracle = "open"};
    agon_status s = store_add_text(c->actors.store, &t, &id);
    return s ? s : json_append(c->actors.ctx, ids, json_string(id.text));
}

/* *ids new: of the documents' text records. */
static agon_status record_documents(const prose *d, json_t **ids) {
    cast *c = d->c;
    char hex[HASH_HEX_SIZE];
    hash256 h = perplexity_hash(d->p);
    hash_hex(&h, hex);
    json_t *input = json_pack("{ss}", "hash", hex);
    if (d->from > 0)
        json_object_set_new(input, "from", json_integer((json_int_t)d->from));
    const step_key key = {.path = cast_path(c, "prose"), .kind = "read_documents"};
    agon_status s = step_list(c->run, &key, input, d->n, add_document, (void *)d, ids);
    json_decref(input);
    return s;
}

static void say_pieces(const prose *d, size_t n_read) {
    if (n_read == 0)
        return;
    const bool again = n_read + d->n > perplexity_n_documents(d->p);
    cast_say(d->c, json_pack("{s{sI sI sb}}", "prose", "from", (json_int_t)d->from + 1, "n", (json_int_t)d->n, "again", again), "prose: %zu pieces, from the %zuth on%s", d->n,
             d->from + 1, again ? "; the version in place has read some of them, since there are no others left" : ", which the version in place has not read");
}

agon_status prose_examples(cast *c, size_t documents, size_t n_read, example_list *out) {
    perplexity_suite *p = NULL;
    char *path = NULL;
    json_t *ids = NULL;
    if (documents == 0 || !c->model)
        return AGON_OK;
    if (c->rules < 20 && documents > PIECES_ONCE)
        documents = PIECES_ONCE;
    agon_status s = share_find(c->actors.ctx, "data/real.txt", &path);
    if (!s)
        s = perplexity_open(c->actors.ctx, model_tokenizer(c->model), model_get_config(c->model)->max_context, path, n_read + documents, &p);
    const size_t n = s ? 0 : perplexity_n_documents(p);
    const prose d = {c, p, n ? n_read % n : 0, n < documents ? n : documents};
    if (!s)
        s = record_documents(&d, &ids);
    if (!s)
        say_pieces(&d, n_read);
    for (size_t k = 0; !s && k < d.n; k++) {
        const char *id = json_string_value(json_array_get(ids, k));
        const size_t i = place(&d, k);
        example e = {.objective = "sft",
                     .origin = "real",
                     .prompt = "",
                     .chosen = arena_copy(c->memory, perplexity_document(p, i)),
                     .raw = true,
                     .n_texts = 1,
                     .n_tokens = (int64_t)perplexity_n_scored(p, i)};
        e.texts[0] = id ? arena_copy(c->memory, id) : NULL;
        s = e.chosen && e.texts[0] ? example_add(c, out, &e) : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for documents");
    }
    json_decref(ids);
    perplexity_free(p);
    free(path);
    return s;
}
