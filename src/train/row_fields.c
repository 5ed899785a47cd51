/* The fields of a row by name: which an objective reads, in rows of which kind; what is passed over is counted, and what is misspelt refused. */
#include "base/nearest.h"
#include "train/row_reader.h"
#include <string.h>

static const struct {
    const char *key;
    unsigned readers; /* of objective_needs: any of them reads it */
    unsigned rows;    /* in rows of these kinds */
} optional_fields[N_OPTIONAL_FIELDS] = {
    {"label", NEEDS_LABEL | TAKES_LABEL, ROW_SINGLE | ROW_PAIR},
    {"labels", NEEDS_TARGETS | NEEDS_LABEL, ROW_STEPS | ROW_GROUP},
    {"reward", NEEDS_REWARD | NEEDS_ADVANTAGE | TAKES_REWARD, ROW_SINGLE},
    {"rewards", NEEDS_REWARD | NEEDS_ADVANTAGE | TAKES_REWARD, ROW_PAIR | ROW_GROUP},
    {"margin", NEEDS_REWARD | TAKES_REWARD, ROW_PAIR},
    {"advantage", NEEDS_ADVANTAGE, ROW_SINGLE},
    {"advantages", NEEDS_ADVANTAGE, ROW_GROUP},
    {"critique", NEEDS_HEAD, ROW_SINGLE},
    {"critiques", NEEDS_HEAD, ROW_GROUP},
    {"chosen_critique", NEEDS_HEAD, ROW_PAIR},
    {"rejected_critique", NEEDS_HEAD, ROW_PAIR},
    {"spans", ~0u, ROW_SINGLE | ROW_GROUP},
    {"log_probs", TAKES_OLD, ROW_SINGLE | ROW_GROUP},
    {"finish", ~0u, ROW_SINGLE},
    {"finishes", ~0u, ROW_GROUP},
    {"chosen_finish", ~0u, ROW_PAIR},
    {"rejected_finish", ~0u, ROW_PAIR},
};

unsigned row_kind_of(const row_reader *r, const json_t *object) {
    return r->needs & NEEDS_TARGETS                                                  ? ROW_STEPS
           : json_object_get(object, "chosen") || json_object_get(object, "rejected") ? ROW_PAIR
           : json_object_get(object, "completions")                                    ? ROW_GROUP
                                                                                        : ROW_SINGLE;
}

const char *row_optional_field(size_t i) {
    return optional_fields[i].key;
}

/* A pair whose chosen side is certainly the better one says by its label what its places say. */
static bool adds_nothing(const json_t *object, const char *key, const json_t *value) {
    return strcmp(key, "label") == 0 && json_object_get(object, "chosen") &&
           (json_is_true(value) || (json_is_number(value) && json_number_value(value) == 1));
}

void row_count_unread(row_reader *r, const json_t *object) {
    const unsigned kind = row_kind_of(r, object);
    for (size_t i = 0; i < N_OPTIONAL_FIELDS; i++) {
        const json_t *value = json_object_get(object, optional_fields[i].key);
        bool every = optional_fields[i].readers == ~0u, is_read = (every || (r->needs & optional_fields[i].readers)) && (kind & optional_fields[i].rows);
        if (!json_absent(value) && !is_read && !adds_nothing(object, optional_fields[i].key, value))
            r->d->unread[i]++;
    }
}

/* What other tools call log_probs of tokens is refused where they would be read; elsewhere, as a "log_prob" that is one number, it is the user's own. */
static bool means(const row_reader *r, const char *key, const json_t *value, const char *name) {
    if (strcmp(name, "log_probs") != 0)
        return is_misspelling(key, name);
    return json_is_array(value) && (r->needs & TAKES_OLD) && (is_misspelling(key, name) || strcmp(key, "old") == 0);
}

agon_status row_check_fields(row_reader *r, const char *where, json_t *object) {
    static const char *const others[] = {"prompt", "completion", "messages", "chosen", "rejected", "completions", "weight", "dimension", "adapter"};
    enum { N_OTHERS = sizeof others / sizeof *others };
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        const char *meant = NULL;
        bool known = false;
        for (size_t i = 0; i < N_OTHERS + N_OPTIONAL_FIELDS && !known; i++) {
            const char *name = i < N_OTHERS ? others[i] : optional_fields[i - N_OTHERS].key;
            known = strcmp(key, name) == 0;
            meant = !meant && means(r, key, value, name) && !json_object_get(object, name) ? name : meant;
        }
        if (!known && meant)
            return ctx_fail(r->ctx, AGON_EINVAL, "%s: there is no field '%.60s'; did you mean '%s'?", where, key, meant);
    }
    return AGON_OK;
}
