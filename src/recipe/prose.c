/* Plain prose that another model wrote (data/real.txt and its README), as real data, which the lineage never produced: it keeps the fresh-data floor
 * and the model's English (loop section 1, BUILD).
 * It is not the held-out text, and shares no 8-word sequence with it. */
#include "base/ctx.h"
#include "base/share.h"
#include "recipe/choose.h"
#include <stdlib.h>

typedef struct prose {
    cast *c;
    const perplexity_suite *p;
} prose;

static agon_status add_document(void *arg, size_t i, json_t *ids) {
    const prose *d = arg;
    cast *c = d->c;
    store_id id;
    const text_record t = {.run = run_id(c->run),
                           .kind = "document",
                           .body = perplexity_document(d->p, i),
                           .iteration = c->actors.iteration,
                           .producer = "data/real.txt",
                           .oracle = "open"};
    agon_status s = store_add_text(c->actors.store, &t, &id);
    return s ? s : json_append(c->actors.ctx, ids, json_string(id.text));
}

/* *ids new: of the documents' text records. */
static agon_status record_documents(cast *c, const perplexity_suite *p, json_t **ids) {
    char hex[HASH_HEX_SIZE];
    hash256 h = perplexity_hash(p);
    hash_hex(&h, hex);
    prose d = {c, p};
    json_t *input = json_pack("{ss}", "hash", hex);
    const step_key key = {.path = cast_path(c, "prose"), .kind = "read_documents"};
    agon_status s = step_list(c->run, &key, input, perplexity_n_documents(p), add_document, &d, ids);
    json_decref(input);
    return s;
}

agon_status prose_examples(cast *c, size_t documents, example_list *out) {
    perplexity_suite *p = NULL;
    char *path = NULL;
    json_t *ids = NULL;
    if (documents == 0 || !c->model)
        return AGON_OK;
    agon_status s = share_find(c->actors.ctx, "data/real.txt", &path);
    if (!s)
        s = perplexity_open(c->actors.ctx, model_tokenizer(c->model), model_get_config(c->model)->max_context, path, documents, &p);
    if (!s)
        s = record_documents(c, p, &ids);
    for (size_t i = 0; !s && i < perplexity_n_documents(p); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
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
