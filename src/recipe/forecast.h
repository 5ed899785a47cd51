/* The memory a run of a local model takes at its peak, before any of it runs: the largest of its phases, each beside what stays in memory
 * between them (weights packed for training, adapters, the critic's working memory). */
#ifndef RECIPE_FORECAST_H
#define RECIPE_FORECAST_H

#include "generate/generate.h"
#include "recipe/run_config.h"
#include "train/train.h"

typedef enum phase { PHASE_GENERATION, PHASE_SCORING, PHASE_TRAINING, N_PHASES } phase;

/* Bytes beyond what the process holds. */
typedef struct phase_memory {
    size_t least; /* with less the phase is refused */
    size_t most;  /* what it takes where the room is there */
} phase_memory;

/* Say what is kept first (forecast_keep, forecast_scoring with `kept`), then the phases, each as often as there are kinds of it. */
typedef struct forecast {
    agon_ctx *ctx;
    const model *m;
    size_t rank;    /* of its adapters */
    unsigned targets; /* the layers they are on, 0: all */
    size_t at_once; /* works that score or train beside one another */
    size_t kept;    /* between phases */
    size_t resident, room; /* of the process when the forecast began; bytes that can be had beyond */
    phase_memory phases[N_PHASES]; /* 0: there is no such phase */
} forecast;

forecast forecast_new(agon_ctx *ctx, const model *m, size_t rank, size_t at_once);
/* Adapters that stay. */
void forecast_keep(forecast *f, size_t n_adapters);
/* Another one, of a rank of its own. */
void forecast_keep_adapter(forecast *f, const adapter *a);
void forecast_generation(forecast *f, size_t requests, size_t samples, size_t prompt, size_t answer);
/* A forward over n_tokens, n_scored of them scored; kept: its working memory stays. */
void forecast_scoring(forecast *f, size_t n_tokens, size_t n_scored, bool kept);
/* Rows as `train` takes them; their tokens are not read. */
void forecast_training(forecast *f, const train_row *rows, size_t n_rows, const train_options *o);

/* The phase with the highest peak, and that peak of the whole process. */
phase forecast_peak(const forecast *f, size_t *bytes);
/* AGON_ENOMEM: `where` (the run file) asks for a phase that cannot be done in the room there is; the sentence names the largest such phase. */
AGON_MUST_CHECK agon_status forecast_check(const forecast *f, const char *where);
/* {"peak_mib", "phase", "available_mib" (what it may have in all; null: not known), "generation_mib", "scoring_mib", "training_mib"}: the process's memory in each
 * phase, null where there is none. New. */
json_t *forecast_json(const forecast *f);
/* "about 812 MiB at its peak (training), 3,500 MiB can be had". */
void forecast_words(const forecast *f, char *text, size_t size);

/* Of a recipe that attacks, trains and gates: its longest queries, answers, held-out items and training rows, from the run file, the files it names and a
 * few tasks of each family. queries: the tasks of tasks.file that the run has recorded, so that the file is not read; NULL: none yet. n_adapters: what is
 * trained in all; writes: the critic writes its critiques. */
AGON_MUST_CHECK agon_status forecast_run(agon_ctx *ctx, const model *m, const run_config *config, const json_t *queries, size_t n_adapters, bool writes,
                                         forecast *out);

#endif
