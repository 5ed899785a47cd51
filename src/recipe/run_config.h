/* What a run file says: values by their keys.
 *
 * One table (run_file_keys.h) holds each key's type, default, range and comment; the reader, the canonical
 * form that the journal pins and the commented file that `agon init` writes all follow from it. */
#ifndef RECIPE_RUN_CONFIG_H
#define RECIPE_RUN_CONFIG_H

#include "agon.h"
#include "base/json.h"
#include "role/backend.h"

typedef struct text_items {
    char **items;
    size_t n;
} text_items;

typedef struct run_config {
    char *name, *recipe, *model, *dtype, *numerics, *oracle;
    int64_t seed, iterations;
    struct {
        text_items cells;
        char *file;
    } tasks;
    struct {
        char *command;
        double timeout;
    } verifier;
    struct {
        backend_config by;
        char *adapter; /* of a trained attacker: see role/attacker_adapter.h */
        int64_t queries, waves, variations;
        double untargeted, floor;
    } attacker;
    struct {
        backend_config by;
        int64_t samples, max_tokens;
        double temperature, top_p;
    } learner;
    struct {
        backend_config by;
        int64_t examples, epochs, least_calibration, votes;
        double lr, alpha, delta;
    } critic;
    struct {
        char *form, *words;
        int64_t queries, samples, learnability;
    } refine;
    struct {
        char *backend;
        int64_t labels, audits, demonstrations, calibration, gate_items;
        double error_rate;
    } human;
    struct {
        double real_share, replay_share, new_share, near_duplicate;
        int64_t documents, gold, per_query, per_cell;
    } build;
    struct {
        char *objective, *data, *bad_rows, *schedule;
        text_items set, lora_targets;
        unsigned targets; /* those of lora_targets, 0: all; read by run_file.c */
        int64_t rank, epochs, batch, checkpoint_every, max_length;
        double lora_alpha, lr, warmup, small_loss, small_loss_ramp;
        double clip_norm, beta1, beta2, eps, weight_decay;
    } train;
    struct {
        int64_t tasks, documents, general, gsm8k, ifeval, xstest_safe, xstest_unsafe;
        bool arms;
    } evaluate;
    struct {
        double alpha, task_margin, general_margin, perplexity_margin, safety_limit, safety_margin, audit_agreement, over_approval;
        int64_t rejections, monitor_prompts, approval_items;
        bool critic;
        char *react;
    } gate;
    char *source; /* path it was read from */
    bool *given;  /* by key: see run_config_gives */
} run_config;

/* The values of YAML text, each checked by itself (its type, its range), with the defaults of what it does not have; `where` names it. *out new.
 * AGON_EINVAL / AGON_EFORMAT: "file:line: unknown key 'x' in section 'y'; did you mean 'z'?" and the like. */
AGON_MUST_CHECK agon_status run_config_parse(agon_ctx *ctx, const char *where, const char *text, size_t n, run_config **out);
/* Does the text have this key? Else its value is the default. */
bool run_config_gives(const run_config *config, const char *section, const char *name);
void run_config_free(run_config *config);
/* Everything that decides the run's content, defaults included. New reference; NULL on memory. */
json_t *run_config_json(const run_config *config);
/* Whether the key has its default. */
bool run_config_is_preset(const run_config *config, const char *section, const char *name);
/* A commented run file with these values. New string; NULL on memory. */
char *run_config_write(const run_config *config);

#endif
