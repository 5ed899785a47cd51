/* Recipes: what `agon run`, `verify`, `unseal` and `init` call. */
#ifndef RECIPE_RECIPE_H
#define RECIPE_RECIPE_H

#include "model/model.h"
#include "recipe/run_config.h"
#include "step/step.h"

/* For the live view; comes on the caller's thread, often; everything borrowed for the call. */
typedef struct recipe_progress {
    int64_t iteration; /* from 1; 0 before the first */
    const char *stage; /* attack, respond, critique, decide, refine, build, train, evaluate, gate, ... */
    size_t done, total; /* of the stage, in `unit`s; total 0: not known */
    const char *unit;   /* "queries", "answers", "steps" */
    const char *message; /* a line worth printing once (stage finished, attack that worked); NULL mostly */
    const json_t *data;  /* of a training's steps {"loss", "grad_norm", "lr"}; with a message: its figures; {"attack": {"query", "answer", "critique"}},
                            {"families": [{"family", "before", "after", "n"}]}, ... NULL none */
} recipe_progress;
typedef void (*recipe_observer)(void *arg, const recipe_progress *progress);

/* Runs the recipe that `config` names in the workspace, or resumes it; all state is in the store (STORE_RUN). *summary new:
 * what the closing table prints:
 *   {"run", "recipe", "oracle", "state", "iterations", "model",
 *    "version": {"id", "status"}, "seconds", "journal_seconds", "tokens": {...},
 *    "families": [{"family", "n", "before", "after", "gain", "ci95": [lo, hi]}], "held_out": {"n", "before", "after", "gain", "ci95", "same"?},
 *    "general": [{"suite", "n", "before", "after", "verdict"}], "gate": {"verdict", "reason", "figures": {...}},
 *    "labels": {"verifier", "critic", "human", "simulated", "demonstration"},
 *    "budget": {"labels": n, "used": n, "audits", "audits_agreed", "right_at_least": of automatic labels, lower end at 95%,
 *               "audited": {"verifier" | "critic": {"labels", "audits", "agreed", "right_at_least"}} by whose label was audited,
 *               "resolved": escalations a reviewer decided, "demonstrations", "trained_on": of them, "token_share": of the loss},
 *    "answers_waiting": n, "learnability": {...}, "critic": [{"iteration", "n", "auroc_before", "auroc_new", "auroc", "ece": of the one that stands,
 *    "stands": "the new one" | "the old one" | "as it was", "p": one-sided, of "the new one ranks no better" (null: not tested), "families", "people":
 *    answers it earned trust on, "trust": families as in trust_json}],
 *    "gate_critic": where gate.critic asked, of the last iteration: {"iteration", "version", "taught": verdicts, "taught_by_people": of answers that no verifier
 *    could judge, "examined": others of those, "auroc", "ece" on them},
 *    "arms": where recipe loop trained them: [{"arm": "loop" (the version it ends with) | "random_labels" | "real_only" | "shuffled", "version", "n",
 *            "before", "after", "gain", "ci95", "examples", "loss_tokens", "labels_right": share of the answers learnt from that the verifier passes,
 *            "difference": {"gain": of the loop's version over this one, "ci95", "p": two-sided exact McNemar}, "tokens_wanted"?: it had fewer}]}
 * AGON_EINTERRUPTED after agon_interrupt: run again to go on. AGON_ENOMEM before any work where a phase of it cannot be done in the memory there
 * is; else the observer is told the forecast first. */
AGON_MUST_CHECK agon_status recipe_run(agon_ctx *ctx, store *s, const run_config *config,
                                       recipe_observer observer, void *arg, json_t **summary);

/* What a run will cost before anything starts: {"tokens": {"generated", "scored", "trained", "equivalents"}, "minutes": x at the rate
 * measured on this machine in about a second (rate 0: leave minutes out), "labels": {"expert", ...}}. *cost new. */
AGON_MUST_CHECK agon_status recipe_cost(agon_ctx *ctx, const run_config *config, double tokens_per_second,
                                        json_t **cost);

/* What the run will not be able to do with the tasks of its run file, each one sentence; an array, new. */
AGON_MUST_CHECK agon_status recipe_warnings(agon_ctx *ctx, const run_config *config, json_t **out);

/* What a run with this local model will take of the process's memory before anything starts: {"peak_mib", "phase", "available_mib", ...} as
 * forecast_json says, new; NULL where only the run's own first step knows (recipe train). */
AGON_MUST_CHECK agon_status recipe_memory(agon_ctx *ctx, const model *m, const run_config *config, json_t **out);

/* Executes again up to `n` reproducible steps and batch items of the run (NULL: the latest), chosen evenly by `seed`, and compares their
 * results bit for bit. The store may be open in any mode. *report new: {"executed", "equal", "skipped", "problem": text or null}.
 * Damage is in the report; a status is for what kept it from looking. */
AGON_MUST_CHECK agon_status recipe_reexecute(agon_ctx *ctx, store *s, const char *run, size_t n, uint64_t seed,
                                             json_t **report);

/* Opens the sealed ledger of a finished run and says what was true: *report new:
 *   {"run", "gates": [{"iteration", "truth", "true_gain", "true_ci95", "estimate", "ci95", "covered", "verdict",
 *                       "judge_only": {"estimate", "ci95"}, "labels_only": {"estimate", "ci95"}}],
 *    "label_noise": [{"source", "family", "difficulty", "n", "wrong", "accepted_wrong"}],
 *    "critic": [{"critic": "reward" | "gate", "family", "n", "auroc"}],
 *    "arms": [{"arm", "before", "after", "gain", "ci95", "examples", "loss_tokens"}], "labels": {...},
 *    "recovered": {"pgr": x, null where the oracle arm is not above labels_only, "ci95", "gap", "gap_is_noise"}, null without arms}
 * AGON_EREFUSED while a run holds the workspace, or for a run that is not finished. */
AGON_MUST_CHECK agon_status recipe_unseal(agon_ctx *ctx, store *s, const char *run, json_t **report);

#endif
