/* Descriptions of trainings (training.json, online.json): everything the result is a function of, so that a folder is never
 * continued with something else. */
#ifndef API_MANIFEST_H
#define API_MANIFEST_H

#include "base/ctx.h"
#include "base/file.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* A key that only one of them has, or whose values differ; not how far it came. NULL: they describe the same. Borrowed. */
static inline const char *manifest_difference(json_t *found, json_t *wanted) {
    for (int way = 0; way < 2; way++) {
        const char *key;
        json_t *value;
        json_object_foreach(way ? wanted : found, key, value) {
            bool progress = strcmp(key, "done") == 0 || strcmp(key, "rounds") == 0 || strcmp(key, "summary") == 0;
            if (!progress && !json_equal(value, json_object_get(way ? found : wanted, key)))
                return key;
        }
    }
    return NULL;
}

/* AGON_EINVAL: the folder `output`, which is to be begun over, is the one that the model or the adapter (NULL: none) is read from. */
static inline agon_status output_is_no_input(agon_ctx *ctx, const char *output, const char *model, const char *adapter) {
    const bool is_model = file_same(output, model);
    if (!is_model && !(adapter && file_same(output, adapter)))
        return AGON_OK;
    return ctx_fail(ctx, AGON_EINVAL, "%s is where the %s is read from, which --overwrite would delete; give another output folder", output,
                    is_model ? "model" : "adapter");
}

/* AGON_EINVAL names the folder, the first difference and how to mend it. */
static inline agon_status manifest_same(agon_ctx *ctx, const char *folder, json_t *found, json_t *wanted) {
    const char *key = manifest_difference(found, wanted);
    if (!key)
        return AGON_OK;
    char *was = json_dumps(json_object_get(found, key), JSON_ENCODE_ANY | JSON_COMPACT);
    char *is = json_dumps(json_object_get(wanted, key), JSON_ENCODE_ANY | JSON_COMPACT);
    agon_status s = ctx_fail(ctx, AGON_EINVAL, "%s holds a training with %s %.100s, not %.100s; give back what it was begun with, another output "
                             "folder, or --overwrite", folder, key, was ? was : "left out", is ? is : "left out");
    free(was);
    free(is);
    return s;
}

#endif
