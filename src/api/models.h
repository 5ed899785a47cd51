/* The handles of agon.h's model functions. */
#ifndef API_MODELS_H
#define API_MODELS_H

#include "eval/reward.h"
#include "model/model.h"
#include "store/store.h"
#include "train/train.h"
#include <jansson.h>
#include <limits.h>

struct agon_tokenizer {
    tokenizer *t; /* borrowed from the model, or own */
    bool own;
};

/* The last training that changed all weights of a model, so that the same call may go on with it. */
typedef struct model_training {
    json_t *manifest; /* what agon_train says of it; NULL: none */
    char *output;     /* the folder, resolved */
    hash256 base;     /* the model's id when it began */
    bool from_file;   /* which was the file's */
} model_training;

struct agon_model {
    model *m;
    agon_tokenizer tokenizer;
    model_training begun;
};

struct agon_adapter {
    adapter *a;
    char *workspace; /* the folder it is a version of; NULL: of none */
    char version[STORE_ID_SIZE];
};

/* The tokens of a request's prompt, borrowed: those given, or of its text; then *made is new (free). AGON_EINVAL, AGON_EUNSUPPORTED. */
AGON_MUST_CHECK agon_status request_prompt(agon_ctx *ctx, const agon_tokenizer *t, const agon_generate_request *r, int32_t **made,
                                           const int32_t **ids, size_t *n);

/* When `name` is a workspace or WORKSPACE:ID, all of *out is filled (its owner frees it, also after a failure): the version's adapter, its id and the
 * workspace's folder. Else nothing is. */
AGON_MUST_CHECK agon_status versions_adapter(agon_ctx *ctx, const model *m, const char *name, agon_adapter *out);

/* AGON_EINVAL: a name of the base that an adapter's folder cannot say. */
AGON_MUST_CHECK agon_status base_name_check(agon_ctx *ctx, const char *name);

/* The cache folder, ${XDG_CACHE_HOME:-~/.cache}/agon: *out new. */
AGON_MUST_CHECK agon_status models_cache(agon_ctx *ctx, char **out);

/* The file the front door fetches into the cache. */
#define MODELS_DEFAULT_FILE "SmolLM2-135M-Instruct.Q4_1.gguf"

#endif
