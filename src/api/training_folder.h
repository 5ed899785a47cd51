/* The folder of a training (training.c, online_runs.c): it carries the lock, the manifest and the result.
 *
 * The manifest is a JSON file with everything the result is a function of, so that a folder is never continued with something
 * else; beside it how far the training came ("rounds"; "validated"), and at the end "done" and its "summary". */
#ifndef API_TRAINING_FOLDER_H
#define API_TRAINING_FOLDER_H

#include "base/ctx.h"
#include "model/model.h"
#include <jansson.h>

/* Begins as {.ctx, .path, .lock = -1}; the manifest is the caller's to fill in and this folder's to free. */
typedef struct training_folder {
    agon_ctx *ctx;
    const char *path; /* as the caller gave it */
    char *manifest_path;
    json_t *manifest;
    int lock;   /* the open folder; -1: none */
    bool began; /* by this call: the manifest in it is this one */
} training_folder;

/* Makes the folder and takes its lock; `manifest` is that file's name. AGON_EBUSY: another training writes to it. */
AGON_MUST_CHECK agon_status training_folder_open(training_folder *f, const char *manifest);
void training_folder_close(training_folder *f); /* also after a failure */
/* The path of a file in it, new. */
AGON_MUST_CHECK agon_status training_folder_file(const training_folder *f, const char *name, char **out);

/* Writes the manifest as it stands, whole. */
AGON_MUST_CHECK agon_status training_folder_write(const training_folder *f);
/* What an earlier call wrote, new. AGON_EFORMAT says what mends a damaged one. */
AGON_MUST_CHECK agon_status training_folder_read(const training_folder *f, json_t **found);
/* Whether the folder holds a training whose manifest lacks `key`: begun before there was one. Before it is opened; no lock is needed, what the file says
 * was written once. */
bool training_folder_lacks(const char *path, const char *manifest, const char *key);
/* A key that only one of two manifests has, or whose values differ; not how far it came. NULL: they describe the same. Borrowed. */
const char *manifest_difference(json_t *found, json_t *wanted);
/* The same, of manifests that tell what their rows became as tokens; found ones of before they did go by the other keys, as they did then. rows:
 * "data" or "prompts", of which other tokens came `by` something. */
AGON_MUST_CHECK agon_status training_folder_same_tokens(const training_folder *f, json_t *found, const char *rows, const char *by);
/* AGON_EINVAL: the folder, which is to be begun over, is the one that the model or the adapter (NULL: none) is read from. */
AGON_MUST_CHECK agon_status training_folder_no_input(const training_folder *f, const char *model, const char *adapter);
/* Adds to the sentence on a file of the folder that cannot be gone on with which it is, and what mends it. */
AGON_MUST_CHECK agon_status training_folder_damaged(agon_ctx *ctx, agon_status s, const char *path);

/* Ends it: `summary` (taken; NULL: no memory) and "done" are written. of_call, NULL or a member of the summary that is this call's and
 * stays out of the file. *text new: the whole summary. */
AGON_MUST_CHECK agon_status training_folder_finish_take(training_folder *f, json_t *summary, const char *of_call, char **text);
/* Whether the result of a training that is done is whole in the folder, or (not NULL) in the one `below` it. AGON_ENOTFOUND: a file is gone. Then it is read as by
 * whoever uses it, on `base` where it is an adapter: the status of what cannot be read (an empty file, one cut short), or AGON_EMISMATCH where the adapter is not the
 * one that `made`, the summary or its part, calls "id". */
AGON_MUST_CHECK agon_status training_folder_has_result(const training_folder *f, const model *base, const char *below, const json_t *made);
/* The summary of a training that an earlier call ended, with "already_done"; *text new. */
AGON_MUST_CHECK agon_status training_folder_done(const training_folder *f, json_t *found, char **text);

#endif
