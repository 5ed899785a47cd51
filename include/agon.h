/* agon: the superalignment loop as a C library.
 *
 * This header is the contract: what it does not mention is private. It compiles alone as C17 and
 * inside extern "C".
 *
 * In this order: the context; the loop (runs, workspaces, reviews); models, scoring and generation; rows, training and evaluation; files of rows;
 * experiments; models in and out, and this machine. Each part needs only what stands before it.
 *
 * Conventions
 *   status     every fallible function returns agon_status: 0 is success, negatives say why. The
 *              sentence for a person is in agon_error(ctx). `out` parameters are written only on
 *              success.
 *   ownership  new: the caller frees. borrowed: valid until the sentence in the comment says. taken:
 *              the callee frees, even on failure (functions whose name ends in _take).
 *   options    begin with agon_X_options_default(), which sets struct_size and every default, and change what differs. NULL
 *              means the defaults, where nothing in the struct must be given. A program built against an older header
 *              keeps the defaults of what was added since.
 *   strings    UTF-8, NUL-terminated unless a length is beside them.
 *   JSON       a text, new (agon_text_free). In the comments {"key": what it is} lists its keys; one with a ? behind it
 *              is there only where the comment says. Keys are added in later versions, so ignore unknown ones.
 *   NULL       is refused (AGON_EINVAL, with the name of what is missing) where a comment does not allow it, in an array
 *              too, whose pointer may be NULL only where its number is 0. Functions without a status return 0, -1, NAN
 *              or NULL for it; freeing it does nothing.
 *   log_prob   natural logarithm (nats).
 *   threads    one agon_ctx per thread; models are shared read-only between contexts.
 *   rounding   and the rest of the caller's floating-point environment change no result: a call and its callbacks run in the system's default one.
 *
 * For who knows other programs: agon_model_open and agon_generate are llama.cpp's llama_model_load_from_file and decoding loop with
 * its samplers (all requests go into one call, there is no context to keep); agon_score gives log_probs of given tokens. SFTTrainer,
 * DPOTrainer, KTOTrainer, RewardTrainer and PRMTrainer of TRL are agon_dataset_open with "sft", "dpo", "kto", "bt", "prm", and agon_train;
 * GRPOTrainer, RLOOTrainer and OnlineDPOTrainer are agon_train_online. agon_run is the loop around them. Whole programs: examples/c.
 */
#ifndef AGON_H
#define AGON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AGON_VERSION "0.1.0"

#if defined(__GNUC__)
#define AGON_MUST_CHECK __attribute__((warn_unused_result))
#define AGON_API __attribute__((visibility("default")))
#else
#define AGON_MUST_CHECK
#define AGON_API
#endif

typedef enum agon_status {
    AGON_OK = 0,
    AGON_EINVAL = -1,   /* the caller's input is wrong: option, row, file content */
    AGON_ENOTFOUND = -2, /* a file, model, record or name does not exist */
    AGON_EFORMAT = -3,  /* a file is damaged, truncated or of an unknown format */
    AGON_EIO = -4,      /* the operating system refused: disk full, permission, network */
    AGON_ENOMEM = -5,   /* memory exhausted, or a prediction says it would be */
    AGON_ENUMERIC = -6, /* a value that must be finite is not */
    AGON_EBUSY = -7,    /* somebody else holds it (a second runner on a workspace) */
    AGON_EMISMATCH = -8, /* recorded and recomputed state disagree (journal, hash, numerics) */
    AGON_EUNSUPPORTED = -9, /* understood, but this build or model cannot do it */
    AGON_EREFUSED = -10, /* a rule forbids it (a sealed answer asked for training or a gate) */
    AGON_EINTERRUPTED = -11, /* stopped on request; run again to go on */
    AGON_EBUDGET = -12, /* a declared budget is used up */
    AGON_EREMOTE = -13, /* a remote or command backend failed after its retries */
} agon_status;

/* Short name of a status, e.g. "EINVAL". Static storage. */
AGON_API const char *agon_status_name(agon_status status);

/* The arithmetic contract, see docs/numerics.md. */
typedef enum agon_numerics {
    AGON_NUMERICS_PORTABLE = 0, /* equal bits on every CPU */
    AGON_NUMERICS_NATIVE = 1,   /* bf16 products in the order of VDPBF16PS: up to twice as fast on AMD Zen 4 and later */
    AGON_NUMERICS_DEFAULT = 2,  /* for a new context: AGON_NUMERICS from the environment ("portable", "native",
                                   "portable-bf16-attention", "native-bf16-attention"), else portable */
    AGON_NUMERICS_PORTABLE_BF16_ATTENTION = 3, /* the same orders, but operands of attention's products are rounded to bf16 too: */
    AGON_NUMERICS_NATIVE_BF16_ATTENTION = 4,   /* faster, and for AMX the only attention on its tiles */
} agon_numerics;

typedef struct agon_ctx agon_ctx;

typedef struct agon_ctx_options {
    size_t struct_size;     /* sizeof(agon_ctx_options) */
    int n_threads;          /* up to 1024; 0: one per core the process may use */
    agon_numerics numerics; /* as asked for, whatever the environment says; default: AGON_NUMERICS_DEFAULT */
    const char *cpu;        /* NULL: AGON_CPU from the environment, else the best present;
                               "portable", "avx2", "avx512", "amx", "neon" */
    const char *memory;     /* what the process may use in all: MiB ("8192") or "unlimited". NULL: AGON_MEMORY from the environment,
                               else what the system has available. What would not fit is refused before it begins */
} agon_ctx_options;

AGON_API agon_ctx_options agon_ctx_options_default(void);

/* Makes a context: error message, worker threads, CPU path. *out is new; free with agon_ctx_free. AGON_EINVAL: a
 * struct_size that is not known, too many threads, a CPU path that is unknown or absent here, unknown numerics, a limit
 * of memory that is none. AGON_ENOMEM. `options` may be NULL. On failure there is no context to ask, so the reason is written to `reason`
 * [reason_size] when it is not NULL. */
AGON_API AGON_MUST_CHECK agon_status agon_ctx_new(const agon_ctx_options *options, agon_ctx **out,
                                                  char *reason, size_t reason_size);
AGON_API void agon_ctx_free(agon_ctx *ctx);

/* The last failure's sentence (one line, safe on a terminal), "" after none. Borrowed until the ctx's next call. */
AGON_API const char *agon_error(const agon_ctx *ctx);

/* Asks work under way with this context to stop at the next safe point with AGON_EINTERRUPTED; later calls stop at
 * once as well, until agon_interrupt_clear. Both are safe to call from a signal handler and from any thread. */
AGON_API void agon_interrupt(agon_ctx *ctx);
AGON_API void agon_interrupt_clear(agon_ctx *ctx);

/* AGON_VERSION as the library was built with it, which may be newer than this header; static. */
AGON_API const char *agon_version(void);

/* Frees a text or JSON that a function here made new. */
AGON_API void agon_text_free(char *text); /* NULL is fine */

/* ---- the loop: runs ------------------------------------------------------------------------------------- */

/* What a run reports while it works; everything borrowed for the call. */
typedef struct agon_progress {
    size_t struct_size;
    int64_t iteration;   /* from 1; 0 before the first */
    const char *stage;   /* attack, respond, critique, decide, refine, build, train, evaluate, gate, ... */
    size_t done, total;  /* of the stage, in `unit`s; total 0: not known */
    const char *unit;    /* "queries", "answers", "steps" */
    const char *message; /* a line worth printing once, or NULL */
    const char *data;    /* JSON: of a training's steps {"loss", "grad_norm", "lr"}; with a message its figures, such as {"attack": {"query", "answer", "critique"}} or
                            {"families": [{"family", "before", "after", "n"}]}; NULL: none */
} agon_progress;
/* Called on the thread that called agon_run, often; it should return soon. It may call agon_interrupt. */
typedef void (*agon_run_observer)(void *arg, const agon_progress *progress);

typedef struct agon_run_options {
    size_t struct_size;
    const char *workspace;      /* NULL: the run file's stem + ".agon" in the current folder; made if need be */
    agon_run_observer observer; /* NULL: none */
    void *arg;
} agon_run_options;
AGON_API agon_run_options agon_run_options_default(void);

/* Runs the recipe a run file names, or goes on with it, in the numerics it names (ctx keeps its own). Before any work messages tell
 * the forecast, {"memory"}, and what the run will not be able to do, {"warning"}, as agon_init_run_file has them.
 *
 * *summary, new, is JSON:
 *   "run", "recipe", "oracle", "state", "iterations", "model", "version": {"id", "status"}, "seconds", "tokens", "workspace",
 *   "model_option": the run file's model or null
 *   "families": [{"family", "n", "before", "after", "gain", "ci95"}], "held_out", "general"
 *   "gate": {"verdict", "incumbent": the version before, "reason", "figures"}
 *   "labels", "budget", "learnability", "critic"; "critiques": as agon_status_json has it
 *   "reviews": open review items; "answers_waiting": as agon_status_json has it
 *   "examples": recipe loop, what the last iteration trained on: {"n", "real": no version of the lineage wrote them, "new": it did, "replayed"}
 *   "example": id of a training example or null
 *   "arms"?: where control arms were trained, [{"arm": "loop" (the version it ends with), then "random_labels", "real_only",
 *       "shuffled", "version", "n", "before", "after", "gain", "ci95", "examples", "loss_tokens", "labels_right", "difference"?:
 *       of the loop's version less this one, {"gain", "ci95", "p"}, "tokens_wanted"?: it had fewer}]
 *
 * AGON_EBUSY: another process runs here. AGON_EINVAL: a folder that is no workspace. AGON_EINTERRUPTED after agon_interrupt: all that
 * was done is kept, and the same call goes on. AGON_EMISMATCH: the run file changed since the run began (iterations, gate.rejections
 * and recipe loop's evaluate.arms may). AGON_ENOMEM before any work: its largest phase does not fit. */
AGON_API AGON_MUST_CHECK agon_status agon_run(agon_ctx *ctx, const char *run_file,
                                              const agon_run_options *options, char **summary);
/* The workspace agon_run uses when none is given; *path new (agon_text_free). */
AGON_API AGON_MUST_CHECK agon_status agon_run_workspace(agon_ctx *ctx, const char *run_file, char **path);

/* Writes a commented run file to `output`, which must not exist. `queries` NULL or a JSONL file of the user's own
 * queries, {"query", "answer"?, "verifier"?, "arguments"?, "group"?}, every row of which is checked (AGON_EINVAL
 * names the bad ones with file:line, at most 20; nothing is written). *json, new: {"output", "queries": {"n", "with_answer",
 * "with_verifier", "unverifiable", "duplicates", "joined", "joined_sets", "held_out", "held_out_sets", "verifiers", "exact_by_default"} or null, "cost":
 * {"tokens", "minutes"?, "labels", "memory": {"peak_mib", "phase", "available_mib", "generation_mib", "scoring_mib",
 * "training_mib"}?}, "tokens_per_second"?, "warnings": [what the run will not be able to do]}. ?: null without a model. */
AGON_API AGON_MUST_CHECK agon_status agon_init_run_file(agon_ctx *ctx, const char *queries, const char *output,
                                                        char **json);

/* ---- workspaces ----------------------------------------------------------------------------------------
 *
 * A workspace is the folder of a run (docs/architecture.md). `workspace` NULL: the only *.agon folder in the current
 * folder; AGON_ENOTFOUND or AGON_EINVAL says what there is instead. `run` NULL: the latest run in it. Everything here
 * works while another process runs the loop, except where the comment says otherwise. *json new: agon_text_free. */

/* The folder itself; *path new (agon_text_free). */
AGON_API AGON_MUST_CHECK agon_status agon_workspace_find(agon_ctx *ctx, const char *workspace, char **path);

/* How a run stands:
 *   "run", "iteration", "stage", "updated_ms", "progress", "tokens": {...}, "counters": {...}
 *   "state": "running"; "done"; "halted": stopped before its end, the same `agon run` goes on (after too many rejections with a larger
 *       gate.rejections); "waiting": people must answer first (agon_review), all held-out answers of the gate, or anything where there is
 *       nothing to train on, and then the same `agon run` goes on
 *   "versions": in order of creation, [{"id", "parent", "role", "iteration", "status": "base|candidate|promoted|rejected|rolled_back",
 *       "reason", "held_out": {"n", "before", "after", "ci95": [lo, hi]} or null, "gate": {"incumbent": the version before, "G1": the
 *       gain on that as the gate has it} or null}]. `before`: the base on the same items, both are fractions; ci95 is the interval of
 *       after - before
 *   "other_versions": critics and attackers
 *   "labels": {"verifier", "critic", "human", "simulated", ...}
 *   "audits": [{"source": of the audited label, "audits", "agreed"}]
 *   "critiques": of each critic and form, [{"critic": "verifier" | "model", "form", "n", "claims", "hold", "fail", "unverifiable",
 *       "faithful": hold / (hold + fail) or null, "ci95": as if all claims of a critique were one, "checks": {"quote" | "said" |
 *       "arithmetic" | "count" | "verdict" | "answer" | "consistent": {"holds", "fails"}}}]
 *   "answers_waiting": of reviewers, not taken in yet
 *   "arms": of the control arms {"run", "state", "iteration", "stage", "rows": as agon_run has them, or null} or null
 *   "attacker": the trained one of the run file, {"version", "adapter": its folder, "object", "prompts": [templates]}, or null,
 *   "externals": who plays roles from elsewhere, {role: {"version", "backend", "url", "name", "command", "script"}}, or null */
AGON_API AGON_MUST_CHECK agon_status agon_status_json(agon_ctx *ctx, const char *workspace, const char *run,
                                                      char **json);
/* The last `limit` (0: all) events, of the run and its control arms, whose number is above `after`, oldest first:
 * [{"number", "time_ms", "iteration", "stage", "message", "data"}]. */
AGON_API AGON_MUST_CHECK agon_status agon_log_json(agon_ctx *ctx, const char *workspace, const char *run,
                                                   int64_t after, size_t limit, char **json);
/* The record whose id begins with `id` (at least 4 digits): {"table", "id", "record", "from": [{"id", "table",
 * "because"}], "referred_by": [...]}; the record of a critique has "claims" too: [{"claim": its words, "holds": true, false
 * or null: cannot be checked, "checks": {name: passed}}], worked out now. AGON_ENOTFOUND; AGON_EINVAL when several begin
 * so. */
AGON_API AGON_MUST_CHECK agon_status agon_show_json(agon_ctx *ctx, const char *workspace, const char *id,
                                                    char **json);
/* Where a record came from, up to the queries' seeds, breadth first: [{"depth", "table", "id", "of": id of the
 * record it explains (absent in the first), "because", "record"}]. Errors as agon_show_json. */
AGON_API AGON_MUST_CHECK agon_status agon_why_json(agon_ctx *ctx, const char *workspace, const char *id,
                                                   char **json);
/* Checks chain, records, counters, descent and objects, and executes up to `sample` reproducible steps of the latest
 * run again, chosen by `seed`: {"ok", "problem": text or null, "runs", "steps", "items", "records", "objects",
 * "unreferenced_objects", "reexecuted": {"executed", "equal", "skipped", "problem"} or null}. Damage is AGON_OK with
 * "ok": false; a status says what kept it from looking. */
AGON_API AGON_MUST_CHECK agon_status agon_verify_json(agon_ctx *ctx, const char *workspace, size_t sample,
                                                      uint64_t seed, char **json);
/* Opens the sealed ledger of a finished run and says what was true: {"run", "gates": [{"iteration", "true_gain",
 * "true_ci95", "estimate", "ci95", "covered", "judge_only", "labels_only", "verdict"}], "label_noise": [{"source",
 * "family", "difficulty", "n", "wrong"}], "critic": [{"family", "n", "auroc"}], "arms": [{"arm", "before", "after",
 * "gain", "ci95", "examples", "loss_tokens", and more, see docs/cli.md}], "arms_left_out": [{"arm", "why"}], "labels":
 * {...}, "recovered": {"pgr": share of the gap between labels_only and oracle, null where there is none, "ci95": over
 * tasks alone, so nothing of how another seed would end, "gap", "gap_is_noise"}, null without those two arms}.
 * The log keeps that it was opened (stage "unseal"): sealed runs that begin here afterwards hold out other tasks.
 * AGON_EREFUSED while a run is going or when it did not finish. */
AGON_API AGON_MUST_CHECK agon_status agon_unseal_json(agon_ctx *ctx, const char *workspace, const char *run,
                                                      char **json);

/* ---- reviews: questions to a human, answered at any time, also while a run is going ------------------------ */

/* Open items, most urgent first: [{"id", "kind": "verdict|pair|demonstration|audit|held_out", "purpose", "iteration",
 * "priority", "query", "response", "other", "critique" (texts or null), "spans": [[start, end]] bytes of the
 * response that the critique cites, "claims"?: of the critique, as agon_show_json has them, without what a verifier says}]. */
AGON_API AGON_MUST_CHECK agon_status agon_reviews_json(agon_ctx *ctx, const char *workspace, char **json);

typedef struct agon_review_answer {
    size_t struct_size;
    const char *review;   /* id of an item, or a unique beginning of it (at least 4 digits) */
    const char *verdict;  /* "accept", "reject", "skip"; for a pair "A", "B" (or "reject" both) */
    const char *text;     /* the corrected or new answer; NULL: none. A demonstration's "accept" needs one */
    const char *note;     /* NULL: none */
    const char *reviewer; /* a pseudonym; NULL: one made from this machine and user, which tells neither */
    double seconds;       /* the human's time; 0: not measured */
} agon_review_answer;
AGON_API agon_review_answer agon_review_answer_default(void);
/* Puts an answer into the inbox; the run collects it at its next iteration. An item may be answered again, and
 * the last answer counts: until it is collected as if it were the first, later as a correction, which costs no further
 * label and takes what the answer before left out of training. A later skip changes nothing. "held_out" items are
 * answers that measure versions: the gate takes their verdicts once all are there, a skip leaves the query out, and
 * what is answered later changes nothing. AGON_EINVAL: a verdict that the item's kind does not take, a text for held_out; AGON_ENOTFOUND. */
AGON_API AGON_MUST_CHECK agon_status agon_review(agon_ctx *ctx, const char *workspace,
                                                 const agon_review_answer *answer);

/* ---- models ----------------------------------------------------------------------------------------
 *
 * A model argument is a GGUF file or a Hugging Face folder. Tokens are int32_t ids of the model's own
 * vocabulary. What is called "new" here is released by the function named beside it. */

AGON_API void agon_tokens_free(int32_t *tokens); /* NULL is fine */

/* The path of a model: `name` itself when it exists, else a model of that name taken in by agon_import; NULL
 * or "": AGON_MODEL from the environment, else SmolLM2-135M-Instruct in the cache folder
 * (${XDG_CACHE_HOME:-~/.cache}/agon). *path new: agon_text_free. AGON_ENOTFOUND says where it looked. */
AGON_API AGON_MUST_CHECK agon_status agon_model_find(agon_ctx *ctx, const char *name, char **path);

/* A tokenizer without the weights. *out new. `chat_template`: a family's name to use instead of the
 * file's template, or NULL. AGON_EUNSUPPORTED names what the file asks for. */
typedef struct agon_tokenizer agon_tokenizer;
AGON_API AGON_MUST_CHECK agon_status agon_tokenizer_open(agon_ctx *ctx, const char *path,
                                                         const char *chat_template, agon_tokenizer **out);
AGON_API void agon_tokenizer_free(agon_tokenizer *t);

/* Ids of text[n]. parse_special: "<|im_end|>" and the like (the chat template's turn tokens too) become their
 * tokens, else they stay text; with_bos: BOS first where the model's files ask for one. Bytes that are not UTF-8 are
 * encoded one by one. *ids new (agon_tokens_free), never NULL. */
AGON_API AGON_MUST_CHECK agon_status agon_tokenize(agon_ctx *ctx, const agon_tokenizer *t, const char *text,
                                                   size_t n, bool parse_special, bool with_bos,
                                                   int32_t **ids, size_t *n_ids);
/* The same of a text that goes on from a prompt: `chat`: the whole answer to a conversation that agon_chat_tokenize opened, up to
 * the token that ends it; else what follows the ids prompt[n_prompt] of a raw text. SentencePiece tokenizers (Llama 2, Mistral 7B)
 * put a space in front of a text of its own, and not here; behind no prompt, or BOS alone, a text is one of its own. *ids as above. */
AGON_API AGON_MUST_CHECK agon_status agon_tokenize_answer(agon_ctx *ctx, const agon_tokenizer *t, const int32_t *prompt, size_t n_prompt,
                                                          const char *text, size_t n, bool parse_special, bool chat, int32_t **ids,
                                                          size_t *n_ids);
/* Bytes of one token inside a text, borrowed until the tokenizer is freed; *n 0 where there is no such token. */
AGON_API const char *agon_token_bytes(const agon_tokenizer *t, int32_t id, size_t *n);
/* Bytes of the ids, which may end inside a character; *text new (agon_text_free), NUL-terminated; *n without the
 * NUL. AGON_EINVAL names an id that is not in the vocabulary. */
AGON_API AGON_MUST_CHECK agon_status agon_detokenize(agon_ctx *ctx, const agon_tokenizer *t, const int32_t *ids,
                                                     size_t n_ids, bool show_special, char **text, size_t *n);

typedef struct agon_message {
    const char *role; /* "system", "user", "assistant" */
    const char *content;
} agon_message;

/* A conversation in the model's chat template, with the opening of an answer at the end when `open_answer`. Special
 * strings inside content stay text, those of the template's turn tokens too where the file does not call them
 * special. *mask, when mask is not NULL: new (free with agon_text_free), one byte a token, 1 on answers. */
AGON_API AGON_MUST_CHECK agon_status agon_chat_tokenize(agon_ctx *ctx, const agon_tokenizer *t,
                                                        const agon_message *messages, size_t n_messages,
                                                        bool open_answer, int32_t **ids, size_t *n_ids, char **mask);
/* The token that ends an answer in a conversation; -1: none. */
AGON_API int32_t agon_end_of_turn(const agon_tokenizer *t);
/* The token that ends a text outside a conversation; -1: none. Reward heads trained on raw texts are read after it. */
AGON_API int32_t agon_end_of_text(const agon_tokenizer *t);
/* The name of the chat template in use, NULL: unknown. Static storage. */
AGON_API const char *agon_chat_template(const agon_tokenizer *t);

typedef struct agon_model agon_model;
typedef struct agon_adapter agon_adapter;

typedef struct agon_model_options {
    size_t struct_size;
    bool f32;                  /* matrix products in f32; default bf16 operands, f32 accumulation */
    const char *chat_template; /* as in agon_tokenizer_open */
} agon_model_options;
AGON_API agon_model_options agon_model_options_default(void);

/* *out new (agon_model_free). Weights are read-only and may be shared between contexts. AGON_ENOTFOUND: a file is not there;
 * AGON_EFORMAT: damaged; AGON_EUNSUPPORTED: an architecture, quantisation or tokenizer that agon does not have, by name; AGON_ENOMEM. */
AGON_API AGON_MUST_CHECK agon_status agon_model_open(agon_ctx *ctx, const char *path,
                                                     const agon_model_options *options, agon_model **out);
AGON_API void agon_model_free(agon_model *m);
/* Borrowed until agon_model_free. */
AGON_API const agon_tokenizer *agon_model_tokenizer(const agon_model *m);
/* {"path", "id", "architecture", "layers", "width", "heads", "kv_heads", "vocabulary", "context", "tied_embeddings",
 * "chat_template", "dtype"}; *json new. "context" is what the model is run on: no more than its sliding window where
 * it has one, since up to the window it attends to everything. Reads every byte for the id. */
AGON_API AGON_MUST_CHECK agon_status agon_model_describe(agon_ctx *ctx, const agon_model *m, char **json);

/* A PEFT folder (LoRA) for this model, or a version of a workspace: "quickstart.agon:3fa9c1" (id or its beginning),
 * "quickstart.agon" for the latest promoted one. NULL: the base, *out NULL. *out new; free before the model.
 * AGON_EINVAL: a version that sits on another base. */
AGON_API AGON_MUST_CHECK agon_status agon_adapter_open(agon_ctx *ctx, const agon_model *m, const char *folder,
                                                       agon_adapter **out);
AGON_API void agon_adapter_free(agon_adapter *a);
/* The dimensions an adapter was trained for (Panacea, agon train --dimensions): how many, and the i-th's name (NULL
 * after the last; borrowed). 0: it takes no preference vector. Such an adapter opens at the even vector. */
AGON_API size_t agon_adapter_n_dimensions(const agon_adapter *a);
AGON_API const char *agon_adapter_dimension(const agon_adapter *a, size_t i);
/* The adapter at a preference vector [n]: numbers from 0 on that sum to 1, one a dimension. *out new; `a` stays as
 * it is, so one batch of requests may use several vectors. AGON_EINVAL says what is wrong with the vector;
 * AGON_ENOMEM. */
AGON_API AGON_MUST_CHECK agon_status agon_adapter_at(agon_ctx *ctx, const agon_adapter *a, const double *preference, size_t n,
                                                     agon_adapter **out);

/* Contexts (a deployment, a group of users, one user) weigh an adapter's dimensions in their own way. Each has a
 * preference vector: the projection onto the simplex of base + its offset; a context that was never seen has the
 * base. */
typedef struct agon_contexts_options {
    size_t struct_size;
    double prior;       /* standard deviation of each entry of an offset: the smaller, the more pairs it takes to leave the base */
    const double *base; /* [n_base] numbers from 0 on that sum to 1; 0: all dimensions alike */
    size_t n_base;
    const char *const *dimensions; /* [n_dimensions] names in the adapter's order; 0: those of the first row's object, or none */
    size_t n_dimensions;
} agon_contexts_options;
AGON_API agon_contexts_options agon_contexts_options_default(void); /* prior 0.5 */
/* Fits the vectors of the contexts to pairs, rows of the JSONL file `from`: {"context": NAME, "chosen_rewards",
 * "rejected_rewards": a number for each dimension, as a list or {dimension: number}, "source": who supplied the pair
 * (else "unknown")}. Rewards are standardised per dimension over all pairs; a context's offset maximises sum log
 * sigmoid(vector . (chosen - rejected)) with a Gaussian prior to the base. `to` is written whole or not at all,
 * never over a file; *json new, its content: {"format", "dimensions": [names] or null, "base", "prior", "scale":
 * {"mean", "deviation"}, "pairs", "contexts": {NAME: {"vector", "offset", "pairs", "sources": {NAME: n},
 * "log_likelihood", "base_log_likelihood": sums in nats, "held_out": {"pairs", "right", "base_right": shares ranked
 * rightly in five-fold cross-validation} or null for one pair}}}. AGON_EINVAL, AGON_EFORMAT name file and line: no
 * context, dimensions missing or not finite, two equal sides; or the dimension that does not vary. `options` may be
 * NULL. */
AGON_API AGON_MUST_CHECK agon_status agon_contexts_fit(agon_ctx *ctx, const char *from, const agon_contexts_options *options, const char *to,
                                                       char **json);
/* Opens such a file. *out new. AGON_ENOTFOUND, AGON_EFORMAT. */
typedef struct agon_contexts agon_contexts;
AGON_API AGON_MUST_CHECK agon_status agon_contexts_open(agon_ctx *ctx, const char *path, agon_contexts **out);
AGON_API void agon_contexts_free(agon_contexts *c);
AGON_API size_t agon_contexts_n_dimensions(const agon_contexts *c);
AGON_API bool agon_contexts_has(const agon_contexts *c, const char *context); /* whether there were pairs of it */
/* The vector of a context, to vector [agon_contexts_n_dimensions]: for agon_adapter_at. `context` NULL or one
 * without pairs: the base. `base` [n_base]: another base than the file's; 0: that of the file. `a`: the adapter it
 * is for, NULL where there is none to compare with. AGON_EINVAL: the adapter's dimensions are others, by number,
 * name or order; or no base. */
AGON_API AGON_MUST_CHECK agon_status agon_contexts_vector(agon_ctx *ctx, const agon_contexts *c, const agon_adapter *a, const char *context,
                                                          const double *base, size_t n_base, double *vector);

/* Rewarded soup: the weights of n adapters of m, two or more, interpolated by `weights` [n], which sum to 1, into a
 * PEFT folder `output` that must not exist. Exact: dW = sum weights_i dW_i, its rank the sum of theirs. *json new:
 * {"path", "rank", "id"}. AGON_EINVAL. */
AGON_API AGON_MUST_CHECK agon_status agon_soup(agon_ctx *ctx, const agon_model *m, const agon_adapter *const *adapters, const double *weights,
                                               size_t n, const char *output, char **json);

/* ---- scoring --------------------------------------------------------------------------------------- */

typedef struct agon_score_request {
    const int32_t *prompt; /* [n_prompt], borrowed; n_prompt may be 0: then the first completion token is not
                              scored (its log_prob is 0) */
    size_t n_prompt;
    const int32_t *completion; /* [n_completion]; may be 0 where only `top` is wanted */
    size_t n_completion;
} agon_score_request;

typedef struct agon_top {
    int32_t id;
    float logit; /* not divided by the temperature */
} agon_top;

typedef struct agon_score_result {
    double log_prob;  /* sum over the completion, nats */
    float *log_probs; /* new, [n_completion] */
    agon_top *top;    /* new, [n_top] after the last token, largest first (ties: smaller id) */
    size_t n_top;
} agon_score_result;

/* Scores n requests; log_probs are of log_softmax(logits / temperature), temperature 0.0001 to 1e6, 0 means 1. A
 * result does not depend on the other requests. results [n]: each new (agon_score_result_free); all zero on failure.
 * AGON_EINVAL names the request (from 1, "request 3: ...") where there are several: empty, longer than the model's context, or a
 * token outside the vocabulary. adapter NULL: the base. */
AGON_API AGON_MUST_CHECK agon_status agon_score(agon_ctx *ctx, const agon_model *m, const agon_adapter *adapter,
                                                const agon_score_request *requests, size_t n, double temperature,
                                                size_t n_top, agon_score_result *results);
AGON_API void agon_score_result_free(agon_score_result *r);

typedef struct agon_reward_result {
    double reward;         /* of the whole completion: the head after its last token */
    double *token_rewards; /* new, [n_tokens] the head after each token (process rewards: at the ends of the steps) */
    size_t n_tokens;
} agon_reward_result;

/* Whether the adapter (else the model) has a reward head: a folder of agon train bt, plackett-luce, rm-pointwise,
 * prm or cloud, or any sequence classifier of one label. */
AGON_API bool agon_has_reward(const agon_model *m, const agon_adapter *adapter);
/* Rewards of n completions; the completion should end with its end token, as in training. results [n]: each new
 * (agon_reward_result_free); all zero on failure. AGON_EINVAL: no reward head, no completion, or a request as in
 * agon_score. */
AGON_API AGON_MUST_CHECK agon_status agon_reward(agon_ctx *ctx, const agon_model *m, const agon_adapter *adapter,
                                                 const agon_score_request *requests, size_t n, agon_reward_result *results);
AGON_API void agon_reward_result_free(agon_reward_result *r);
/* One reward of several reward models, adapters of m with a head each, for n completions. With two or more, each
 * member's reward is first brought to its own scale: less the mean and over the standard deviation of its rewards on
 * what it was trained on, which goes with a head wherever it is saved. rule: "mean" (NULL), "wco" the least, "uwo"
 * mean - strength * variance, "lcb" mean - strength * standard deviation (Coste et al. 2023, 2310.02743); strength
 * (up to 1e6) below 0: 0.5 for uwo, 1 for lcb; the others have none. rewards [n]; member_rewards [n_members, n] on the common
 * scale, or NULL. AGON_EINVAL: a member without head or without scale, an unknown rule, a strength of a rule without
 * one; else as agon_reward. */
AGON_API AGON_MUST_CHECK agon_status agon_reward_ensemble(agon_ctx *ctx, const agon_model *m, const agon_adapter *const *members,
                                                          size_t n_members, const char *rule, double strength,
                                                          const agon_score_request *requests, size_t n, double *rewards,
                                                          double *member_rewards);
/* How far apart the members are about completion i, the standard deviation of their rewards, from member_rewards
 * [n_members, n] of agon_reward_ensemble; neither n_members nor n is 0, and i is below n. */
AGON_API double agon_reward_disagreement(const double *member_rewards, size_t n_members, size_t n, size_t i);
/* The response with a critique after it, "RESPONSE\n\nCritique: CRITIQUE", as reward models that were trained on
 * rows with critiques read both. *text new (agon_text_free). */
AGON_API AGON_MUST_CHECK agon_status agon_critique_join(agon_ctx *ctx, const char *response, const char *critique, char **text);

/* ---- generation -------------------------------------------------------------------------------------- */

typedef struct agon_logit_bias {
    int32_t id;
    float bias; /* -100 to 100, added to the token's logit */
} agon_logit_bias;

typedef struct agon_sampling {
    size_t struct_size;
    double temperature; /* 0: greedy, log_probs are then at temperature 1; else 0.0001 to 100 */
    int32_t top_k;      /* 0: off */
    double top_p, min_p;                         /* 1 and 0: off */
    double repetition_penalty;                   /* 1: off */
    double frequency_penalty, presence_penalty;  /* 0: off */
    size_t max_tokens;                           /* of an answer */
    const char *const *stop;                     /* [n_stop] the answer ends before the first of these texts, none of them empty */
    size_t n_stop;
    bool ignore_stop_tokens;                     /* go on to max_tokens, for benchmarks */
    const agon_logit_bias *logit_bias;           /* [n_logit_bias] before the penalties; several of one token add up */
    size_t n_logit_bias;
    const int32_t *allowed; /* [n_allowed] no other token is written; without a stop token among them the answer ends at
                               max_tokens or a stop text. n_allowed 0: any */
    size_t n_allowed;
} agon_sampling;
/* Temperature 1, nothing cut, 256 tokens. Order of the steps: logit_bias, penalties, allowed, temperature, top_k,
 * top_p, min_p. None of them changes a log_prob, which is always of the whole distribution. */
AGON_API agon_sampling agon_sampling_default(void);

typedef struct agon_generate_request {
    const int32_t *prompt; /* [n_prompt], n_prompt >= 1, borrowed; NULL: `text` is the prompt */
    size_t n_prompt;
    size_t n_samples;             /* 0: only checked */
    uint64_t seed;                /* sample k draws from a stream of (seed, prompt, k) and of nothing else */
    const agon_adapter *adapter;  /* NULL: the base */
    const agon_sampling *sampling; /* NULL: the default */
    const char *text; /* borrowed; tokenised as agon_tokenize does with parse_special and with_bos, or with `chat` as one user message */
    bool chat;
} agon_generate_request;
/* A request for n_samples answers to `text` as one user message; both pointers as in the struct. */
AGON_API agon_generate_request agon_chat_request(const char *text, size_t n_samples, uint64_t seed, const agon_adapter *adapter,
                                                 const agon_sampling *sampling);

typedef struct agon_completion {
    int32_t *tokens;  /* [n_tokens] new; with the stop token, when the model wrote one */
    float *log_probs; /* [n_tokens] new; nats, of log_softmax(logits / temperature) before anything is cut: the bits of agon_score */
    size_t n_tokens;
    char *text; /* new, n_text bytes and a NUL; without special tokens and stop text; may end inside a character */
    size_t n_text;
    bool stopped; /* by a stop token or text; false: max_tokens or the model's context ended it */
} agon_completion;
AGON_API void agon_completion_free(agon_completion *c); /* what it holds, not c itself */
AGON_API void agon_completions_free(agon_completion *c, size_t n); /* the same of n, such as all that agon_generate made */

typedef struct agon_generate_options {
    size_t struct_size;
    size_t max_batch;         /* samples a decoding step at most; 0: 64 */
    size_t cache_limit_bytes; /* of keys and values; 0: 1 GiB, or what the longest prompt and answer take */
    /* For each new token, on the caller's thread: its bytes (none for a special token). Not 0 stops with
     * AGON_EINTERRUPTED. NULL: none. */
    int (*on_token)(void *arg, size_t request, size_t sample, int32_t token, const char *bytes, size_t n_bytes);
    /* When a sample is complete, in no promised order: its place in `out` is filled. NULL: none. */
    void (*on_done)(void *arg, size_t request, size_t sample);
    void *arg;
    /* Asked on the caller's thread before each token of a sample, for grammars and the like: may_follow
     * [n_vocabulary] is all 1, set to 0 what may not come after the answer's tokens [n_tokens] so far. It must
     * depend on these alone. Nothing left is AGON_EINVAL. NULL: none. */
    void (*mask)(void *arg, size_t request, size_t sample, const int32_t *tokens, size_t n_tokens, uint8_t *may_follow,
                 size_t n_vocabulary);
} agon_generate_options;
AGON_API agon_generate_options agon_generate_options_default(void);

/* Samples all requests in one continuous batch. out [sum of n_samples], request after request; each new
 * (agon_completion_free), all zero on failure (untouched where there are too many to count). A sample depends on its
 * prompt, seed, number and sampling only, not on the other requests, the batch or the threads. AGON_EINVAL names the
 * request (from 1) where there are several: empty prompt, longer than the model's context, option out of range, a
 * token outside the vocabulary. AGON_EINTERRUPTED after agon_interrupt or by on_token: complete samples stay in `out`, and
 * those begun with the tokens they have (`stopped` false); free them. `options` may be NULL. */
AGON_API AGON_MUST_CHECK agon_status agon_generate(agon_ctx *ctx, const agon_model *m,
                                                   const agon_generate_request *requests, size_t n,
                                                   const agon_generate_options *options, agon_completion *out);

/* ---- objectives, and rows to train on ------------------------------------------------------------------- */

/* An objective on numbers: the request and answer of `agon loss` (docs/cli.md). settings [n_settings]: "beta=0.1".
 * *answer new. AGON_ENOTFOUND: no such objective; AGON_EINVAL names the row or option and the nearest known name. */
AGON_API AGON_MUST_CHECK agon_status agon_loss_json(agon_ctx *ctx, const char *objective,
                                                    const char *const *settings, size_t n_settings,
                                                    const char *request, size_t n, char **answer);
/* [{"name", "summary", "options": [{"name", "default", "min", "max", "help"}]}]; *json new. */
AGON_API AGON_MUST_CHECK agon_status agon_objectives(agon_ctx *ctx, char **json);

/* Rows to train on, as exact tokens and masks. *out new; `t` must outlive it. JSONL rows: {"text"}; {"messages"};
 * {"prompt", "completion"} (+ "label", "weight", "reward", "advantage"); {"prompt", "chosen", "rejected"};
 * {"prompt", "completions", "rewards" or "advantages"}; with "spans", "log_probs" at sampling and critiques:
 * docs/cli.md. Texts are raw, lists of {"role", "content"} go through the chat template. max_length: tokens of
 * prompt and response, 0 = no limit; longer responses are cut, which n_truncated counts; a prompt that fills it, or
 * sides that are equal when cut, make a bad row. AGON_EINVAL, AGON_EFORMAT name file and line. */
typedef struct agon_dataset agon_dataset;
AGON_API AGON_MUST_CHECK agon_status agon_dataset_open(agon_ctx *ctx, const agon_tokenizer *t, const char *path,
                                                       const char *objective, size_t max_length, agon_dataset **out);
typedef struct agon_dataset_options {
    size_t struct_size;
    size_t max_length; /* as above */
    bool skip_bad;     /* rows that cannot be learnt from are left out and counted, not an error */
    size_t group_size; /* completions a group must have; 0: any number the objective takes */
    const char *const *dimensions; /* [n_dimensions] 2 to 16 names; each row's "dimension" is one of them. Borrowed for the call. 0: none */
    size_t n_dimensions;
    const char *const *adapters; /* [n_adapters] 1 to 16 names; each row's "adapter" is one of them: agon_train makes an adapter of each. 0: none */
    size_t n_adapters;
    const char *const *settings; /* [n_settings] of the objective, "squared=1", the same as in its training: some decide what a row must have. Borrowed for the call */
    size_t n_settings;
} agon_dataset_options;
AGON_API agon_dataset_options agon_dataset_options_default(void);
/* The same with options (NULL: the defaults). A row without the fields its objective needs, a completion that is
 * empty or white space only, a pair whose sides are equal (also after cutting), a prompt that leaves no room, a
 * label or weight out of range, a reward that is not finite, a group of the wrong size, equal completions with
 * unequal rewards in a ranking, another dimension or adapter: named by file and line, or counted. AGON_EINVAL too
 * where a dimension or adapter has no rows. */
AGON_API AGON_MUST_CHECK agon_status agon_dataset_open_with(agon_ctx *ctx, const agon_tokenizer *t, const char *path,
                                                            const char *objective, const agon_dataset_options *options,
                                                            agon_dataset **out);
/* Two answers to a prompt in tokens, such as two completions of agon_generate. */
typedef struct agon_pair {
    const int32_t *prompt; /* [n_prompt] */
    size_t n_prompt;
    const agon_completion *chosen, *rejected; /* their tokens count, nothing else is read */
} agon_pair;
/* Pairs in memory, for dpo and the other objectives on pairs: what was sampled is what is trained on, without a file
 * and without encoding its text again (an answer that was cut short gets no end token). pairs [n] are copied. *out
 * new; `t` must outlive it. AGON_ENOTFOUND: no such objective; AGON_EINVAL: it does not take pairs alone, there are
 * none, or names the pair (from 1) with an empty side or two equal ones. */
AGON_API AGON_MUST_CHECK agon_status agon_dataset_from_pairs(agon_ctx *ctx, const agon_tokenizer *t, const agon_pair *pairs, size_t n,
                                                             const char *objective, agon_dataset **out);
/* What was sampled and what it is worth, as rows for any objective that learns from samples, without a file: for dpo
 * and the like the best and the worst answer to each prompt (where all are worth the same, or both are the same
 * tokens, there is no pair), for grpo, rloo and the like all answers to a prompt with their rewards, for ppo each
 * answer by itself, for kto the same with label 1 from a reward of 1/2 on. requests [n] and answers [sum of
 * n_samples] are those of one agon_generate, rewards as many. All is copied; *out new; `t` must outlive it.
 * AGON_ENOTFOUND: no such objective; AGON_EINVAL: it does not learn from samples (dpo-soft: they bring no
 * probabilities), an empty answer or a reward that is not finite (names request and sample, from 1), or nothing is
 * left to learn from. */
AGON_API AGON_MUST_CHECK agon_status agon_dataset_from_samples(agon_ctx *ctx, const agon_tokenizer *t, const agon_generate_request *requests,
                                                               size_t n, const agon_completion *answers, const double *rewards,
                                                               const char *objective, agon_dataset **out);
/* Rows left out that texts name one by one, before "and N more"; JSON has them all. */
enum { AGON_ROWS_NAMED = 20 };
/* {"objective", "rows", "responses", "prompt_tokens", "response_tokens", "supervised_tokens", "longest",
 * "truncated", "double_end": completions that brought their own end token, "skipped", "faults": {reason: count},
 * "skipped_rows": [{"fault", "sentence"}] (all; of very many the first 100,000), "unread": {field: rows that have
 * it, which the objective does not read}, "implicit_prompts": pairs without a prompt of their own, "space_only": pairs whose
 * sides differ only in the white space they end with, "packing": share of the room that best-fit packing fills, "dimensions" and "adapters": {name: rows} where
 * there are any, "spans": {"offsets", "exact", "folded", "fuzzy", "not_found"} where rows have any: how many were given
 * by bytes, and of those by quotes how each was placed}; *json new. */
AGON_API AGON_MUST_CHECK agon_status agon_dataset_report(agon_ctx *ctx, const agon_dataset *d, char **json);
/* Of the report what is not trained on: "skipped", "faults", "skipped_rows", "unread" and "space_only"; and "implicit_prompts"; *json new.
 * The packing, whose time grows with the square of the rows, is not computed. */
AGON_API AGON_MUST_CHECK agon_status agon_dataset_unused(agon_ctx *ctx, const agon_dataset *d, char **json);
AGON_API void agon_dataset_free(agon_dataset *d);
AGON_API size_t agon_dataset_n_rows(const agon_dataset *d);
AGON_API size_t agon_dataset_n_truncated(const agon_dataset *d);
/* Rows of d that stand in `other` too, prompt and responses the same tokens: such rows are not held out. */
AGON_API AGON_MUST_CHECK agon_status agon_dataset_n_shared(agon_ctx *ctx, const agon_dataset *d, const agon_dataset *other, size_t *out);
/* Tokens of all rows, prompts included. */
AGON_API size_t agon_dataset_n_tokens(const agon_dataset *d);
/* Row i exactly as it is trained on: a table of token, mask and text for people, or as_json {"row", "prompt": [ids],
 * "where": "file:line" or null, "responses": [{"tokens", "mask", "text": [of each token]}]}; there rows and
 * responses count from 1. *text new. AGON_EINVAL: there is no such row. */
AGON_API AGON_MUST_CHECK agon_status agon_dataset_preview(agon_ctx *ctx, const agon_dataset *d, size_t i, bool as_json,
                                                          char **text);

/* ---- training ------------------------------------------------------------------------------------------- */

typedef struct agon_metric {
    const char *name;
    double value;
} agon_metric;

typedef struct agon_train_progress {
    size_t step, n_steps; /* step: from 1 */
    double loss, grad_norm, learning_rate;
    size_t tokens, supervised; /* of this step: run, and with a mask above 0 */
    double seconds;            /* wall time of this step */
    const agon_metric *metrics; /* [n_metrics] borrowed for the call */
    size_t n_metrics;
    const char *adapter;        /* whose step, where several adapters are trained; else NULL */
} agon_train_progress;

/* What held-out rows say of the learner after `step` steps. */
typedef struct agon_train_validation {
    size_t step, n_steps; /* step 0: before the first */
    double loss;
    const agon_metric *metrics; /* [n_metrics] the objective's, borrowed for the call */
    size_t n_metrics;
    bool best; /* the least loss after a step so far */
} agon_train_validation;

typedef struct agon_train_options {
    size_t struct_size;
    const char *const *settings; /* [n_settings] the objective's: "beta=0.1" */
    size_t n_settings;
    size_t lora_rank;   /* 0: all weights */
    double lora_alpha;  /* 0: twice the rank */
    const char *adapter; /* PEFT folder to go on from, which is then the reference too (but see `reference`); NULL: none */
    size_t epochs, batch_rows; /* rows an optimiser step */
    size_t max_steps;          /* 0: the epochs decide */
    double learning_rate;      /* NAN: agon_train_learning_rate */
    double weight_decay, clip_norm, warmup; /* decay of matrices, an adapter's factors too: not of embeddings, norms, biases, heads. warmup: share of the steps */
    const char *schedule;      /* of the learning rate: "cosine", "linear", "constant" */
    double temperature;        /* of all log_probs; 0.0001 to 1e6, 0 means 1 */
    uint64_t seed;             /* of the data's order and of new LoRA factors */
    size_t checkpoint_every;   /* steps; 0: about every half minute (results do not depend on it) */
    bool must_resume;          /* AGON_ENOTFOUND when there is nothing to go on with; not with overwrite */
    bool overwrite;            /* start anew over an earlier training */

    /* After each step, on the caller's thread. Not AGON_OK stops with that status, AGON_EINTERRUPTED with a
     * checkpoint too. NULL: none. */
    agon_status (*on_step)(void *arg, const agon_train_progress *progress);
    void (*on_resume)(void *arg, size_t step); /* goes on after this many steps; NULL: none */
    void *arg;

    /* Where the dataset has dimensions (Panacea): one new adapter (lora_rank: its shared singular values; a slot a
     * dimension comes on top) is trained under preference vectors drawn from the simplex, `vectors` a step, each on
     * rows of its own; batch_rows is a multiple of vectors * dimensions. */
    const char *aggregate;     /* of the dimensions' losses: "linear" or "tchebycheff" */
    size_t vectors;
    const double *ideal;       /* [n_ideal] least loss of each dimension, where tchebycheff measures from; 0: zeros */
    size_t n_ideal;

    /* Rows whose labels may be wrong (Han et al. 2018, 1804.06872): at step t only the share 1 - small_loss * min(t
     * / (small_loss_ramp * steps), 1) of a batch is trained on, the rows with the smallest losses under the policy
     * as it is then (of objectives on tokens: the mean over a row's tokens). 0: every row. The objective must give
     * each row a loss of its own: kto, aux-confidence, the policy gradients and dimensions are refused. */
    double small_loss;      /* below 1 */
    double small_loss_ramp; /* share of the steps, from 0 to 1 */
    bool co_teach; /* with small_loss and lora_rank: a second adapter of another seed; each trains on the rows that are easiest for the other */

    double beta1, beta2, eps; /* AdamW (Loshchilov, Hutter 2019, 1711.05101) */

    /* What small_loss ranks and leaves out: "row"; under nll, sft, gce, sce and token-forward also "token" (the
     * supervised tokens of the batch) or "span" (stretches of small_loss_span tokens from each response's start, by
     * the mean over their supervised tokens). */
    const char *small_loss_level;
    size_t small_loss_span;

    /* Held-out rows, read for the same objective (borrowed for the call; NULL: none), are scored without learning from
     * them: before step 1, after each validate_every steps (0: agon_train_validate_every) and after the last. Their
     * loss and metrics are the objective's over all the rows as one step, an option with a ramp at its end. No trained
     * bit depends on it but by `keep`: "last", or "best": the result is the learner after the step with the least
     * held-out loss (the first of equal ones). AGON_EINVAL with dimensions or adapters, in agon_train_online, and where
     * the rows of ppo, grpo and their kin bring no log_probs at sampling. */
    const agon_dataset *validation;
    size_t validate_every;
    const char *keep;
    agon_status (*on_validation)(void *arg, const agon_train_validation *v); /* as on_step; NULL: none */
    const char *base_name; /* what a PEFT adapter says of its base, as in agon_export_named; NULL: the folder m was read from */
    /* Of objectives with a reference: "start", the learner as it begins, or "base", with `adapter`: m without it. AGON_EINVAL: "base" otherwise. */
    const char *reference;
    /* The linear layers of a new adapter (lora_rank), as peft names them: "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj",
     * "down_proj", "all-linear"; n_lora_targets 0: all. AGON_EINVAL: another name, or without lora_rank. */
    const char *const *lora_targets;
    size_t n_lora_targets;
} agon_train_options;
/* One epoch, 8 rows a step, linear over 4 vectors where there are dimensions, AdamW (0.9, 0.999, 1e-8), the learning
 * rate of agon_train_learning_rate, cosine with 3% warm-up, clip_norm 1, all weights, every row (small_loss_ramp
 * 0.1, level "row", spans of 4 tokens where they are selected). */
AGON_API agon_train_options agon_train_options_default(void);

/* Trains m on d with the dataset's objective and leaves the result in the folder `output` (made if need be, with the folders
 * above it): a PEFT adapter (lora_rank above 0 or an adapter given), else a Hugging Face folder in m's dtype.
 *
 * Durable: training.json says what is trained, checkpoint.bin how far; each is replaced whole; steps.jsonl gets a line a step
 * before on_step hears of it. The same call after an interruption at any moment goes on, to the same bits; once
 * done it changes nothing, m neither: open `output` for its result.
 *
 * With more epochs or max_steps than it was begun with, and all else the same, it goes on from where it ended, to the bits of one begun with
 * them, where no step depends on how many there are: a constant schedule without warm-up (or small_loss_ramp, or the objective's), rows with their
 * log_probs at sampling, validate_every given. AGON_EINVAL says what does; AGON_ENOTFOUND: its last state, which stays in `output` for that, is gone.
 *
 * An adapter's training leaves m as it is, and several contexts may train on it at a time.
 *
 * A training of all weights changes m itself, which must have no other user; where the objective has a reference, m's file is opened
 * a second time for it. Within one process the same call goes on also with the m that it left changed, and with `overwrite` begins
 * where it began; AGON_EINVAL where those weights were made in memory by a training before it and no checkpoint has them. Any other
 * call trains m on as it is then. A reward head that m did not have it has after success only.
 *
 * Where the dataset has adapters, one new adapter of lora_rank is trained for each of its names on the rows of that name, all in
 * common steps over one copy of m. Each gets, bit for bit, what a training of it alone on those rows with these options gives, its
 * steps counted in epochs of its own rows. They lie in `output`/NAME, PEFT adapters. AGON_EINVAL with `adapter`, co_teach or dimensions.
 *
 * *summary (`summary` may be NULL) new:
 *   "output", "kind": "peft|hf", "objective", "rows", "steps", "resumed_after", "already_done"
 *   "id"?: SHA-256 of the result's values; where the dataset has adapters instead
 *   "adapters"?: [{"name", "output", "rows", "steps", "id", "selection"?}]
 *   "selection"?: with small_loss, {"rows": of all batches, "kept": trained on, "disagreed": kept rows that the partner did not train on}
 *   "partner"?: with co_teach, {"output": the folder `output`/partner, a PEFT adapter like the first, "id"}
 *   "validation"?: {"rows", "start": the loss before step 1, "last", "best": {"step", "loss"}, "kept": the step after which the result is};
 *       training.json then has "validated": [{"step", "loss", "metrics"}]
 * With small_loss a step's metrics have "kept" rows, with co_teach "partner_loss" and "disagree" (the share of the kept rows that are
 * not the partner's).
 *
 * AGON_EINVAL: an option, a row, or an `output` that holds something else (names the first difference). AGON_EBUSY: another training
 * writes there. AGON_EINTERRUPTED: stopped, with a checkpoint. AGON_ENUMERIC names step and rows. */
AGON_API AGON_MUST_CHECK agon_status agon_train(agon_ctx *ctx, agon_model *m, const agon_dataset *d, const char *output,
                                                const agon_train_options *options, char **summary);
/* What agon_train with these options would take, before anything is begun; an adapter to go on from is read for its
 * size. It is refused with AGON_ENOMEM where `peak` - `resident` exceeds `available`. AGON_EINVAL: options or rows
 * that agon_train refuses, such as rows read under other settings of the objective, which lack what these need. */
typedef struct agon_memory {
    size_t resident;  /* bytes of the process now, the model's among them */
    size_t peak;      /* predicted for the whole process */
    size_t available; /* what it can still get, SIZE_MAX: not known or not limited */
    bool recomputes;  /* activations that do not fit are computed again: slower, with the same bits */
} agon_memory;
AGON_API AGON_MUST_CHECK agon_status agon_train_memory(agon_ctx *ctx, const agon_model *m, const agon_dataset *d,
                                                       const agon_train_options *options, agon_memory *out);

typedef struct agon_online_options {
    size_t struct_size;
    const char *const *cells; /* [n_cells] "family" or "family/cell" of the generated tasks; none: those by default */
    size_t n_cells;           /* 0 with `data` */
    size_t rounds, prompts, samples, max_tokens; /* prompts a round, samples a prompt, tokens a sample */
    double no_end_penalty;        /* taken from the reward of a sample that did not end by itself */
    double kl_target, kl_horizon; /* horizon above 0: the objective's beta follows the KL (Ziegler et al. 2019) */

    const char *reward_model;     /* PEFT folder with a reward head; NULL: the prompts' verifiers, 1 for a pass */

    /* Above 0 (ppo, reinforce++): what the verifier cites in a sample that fails loses this much, on its exact
     * tokens (RELC, 2401.07382), held so that a sample's sum is at most 0.5 * std(reward) * sqrt(tokens); in a round
     * whose rewards are all equal nothing holds it. */
    double span_reward;
    const char *span_placement; /* of it: "spread" over the tokens, on "each", on the "last" */

    /* After each round, JSON: {"round", "rounds", "reward", "reward_std", "length", "ended", "kl", "distinct",
     * "flat_groups", "rows", "beta", "loss"}, with span_reward "flagged" and "span_reward"; "verified", the share
     * that passes where every prompt has a verifier; of an ensemble "disagreement", the mean over the samples of its
     * members' standard deviation, and "error_correlation", the mean over pairs of members of the correlation of
     * their rewards (where there are verifiers, of what is left of them after the mean of right and of wrong
     * samples; absent where a member's rewards are all alike). NULL: none. */
    void (*on_round)(void *arg, const char *json);
    void *arg;

    /* Prompts of the user's instead of generated tasks: JSONL rows {"prompt": text or messages}. Rounds take them in
     * a seeded order, each once before any comes again. "answer" (text, number or a list of accepted ones),
     * "verifier" and "arguments" say what is right, as in agon_init_run_file's files, and are needed where nothing
     * else rewards; "completion" is the demonstration that spin and `demonstrations` need. NULL: tasks. */
    const char *data;

    /* [n_reward_models] further reward models. With two or more in all their rewards become one by `ensemble` at
     * `ensemble_strength` (agon_reward_ensemble; NULL: the mean), which are refused where there is one or none. */
    const char *const *reward_models;
    size_t n_reward_models;
    const char *ensemble;
    double ensemble_strength;

    /* Objectives on pairs: how many of a prompt's samples statistical rejection sampling accepts at temperature
     * rso_beta (Liu et al. 2023, 2309.06657); the first and the second are a pair, the third and the fourth ..., the
     * better reward chosen, ties dropped. 0: half of the samples for rso-sigmoid and rso-hinge, none for the others,
     * which take the best and the worst. */
    size_t accept;
    double rso_beta;

    /* A judge instead of verifiers and reward models. `judge`: a program, run through /bin/sh -c in a process group of
     * its own, that reads one JSON line a sample, {"id", "role": "judge", "messages": the conversation with the sample
     * as its last turn, "data": {"prompt", "completion", and the row's other members}}, and writes one, {"id",
     * "reward": a finite number} or {"id", "verdict": "pass" | "fail"} (1 and 0), in any order. One that ends, hangs
     * for judge_timeout seconds or answers otherwise ends the call with AGON_EREMOTE and a sentence; nothing is trained
     * on made-up rewards. judge_model: a language model on this machine (as in agon_model_find; the policy's own base
     * is not opened twice), whose P(correct) is the reward; with judge_url that of an OpenAI-compatible server
     * (".../v1", its key in the environment variable judge_key_env), which writes verdicts. judge_repeats: answers of a
     * program or server that are averaged; 0: 1.
     *
     * A judge need not say the same twice. Its rewards of a round are written to rewards.json before anything is
     * made of them, and an interrupted run takes them from there: its result is that of the uninterrupted run that
     * got these answers. "unjudged" in a round's report: the share of samples on which a server wrote no verdict,
     * which get the mean of their prompt's others. */
    const char *judge;
    double judge_timeout;
    const char *judge_model, *judge_url, *judge_key_env;
    size_t judge_repeats;

    /* Objectives on pairs: one pair for each sample whose reward (before no_end_penalty) is under pass_reward, with
     * the prompt's demonstration chosen above it (a task's is its own). So one answer of a person's serves as many
     * pairs as the policy has ways to fail, and samples that are right are never rejected, which spin without it
     * does. */
    bool demonstrations;
    double pass_reward;

    const char *schedule; /* of the learning rate over the rounds, the same within one: "constant", "linear", "cosine" */

    /* Samples are drawn from the top_k likeliest tokens, 0: from all. Objectives on pairs only: the others read the
     * samples as draws of the uncut distribution. */
    size_t top_k;

    /* A text that judge_model judges by in place of what is right, a constitution (Bai et al. 2022, 2212.08073): the reward is its probability that the
     * answer keeps to it, or its verdict. NULL: none. */
    const char *judge_principles;
} agon_online_options;
/* A constant learning rate, 10 rounds of 16 prompts and 4 samples of 48 tokens, penalty 1, fixed KL coefficient,
 * ensembles by their mean, rso_beta 0.5, 60 s for a judge's answer, pass_reward 0.5. */
AGON_API agon_online_options agon_online_options_default(void);
/* Rounds of sampling answers to tasks, rewarding and training an adapter: any objective that learns from groups,
 * rewarded samples or pairs (online and iterative DPO, SPIN by demonstrations). `epochs`, `batch_rows` and the
 * learning rate of `options` are of one round; its temperature is the sampler's too. A PEFT folder in `output`,
 * durable as agon_train's: after an interruption the same call goes on with the last whole round. *summary
 * (`summary` may be NULL) new: {"output", "kind", "objective", "rounds", "resumed_after", "id", "already_done"}.
 * AGON_EINVAL, AGON_EUNSUPPORTED (all weights), AGON_EBUSY, AGON_EINTERRUPTED, AGON_ENUMERIC. */
AGON_API AGON_MUST_CHECK agon_status agon_train_online(agon_ctx *ctx, agon_model *m, const char *objective, const char *output,
                                                       const agon_train_options *options, const agon_online_options *online,
                                                       char **summary);
/* Optimiser steps agon_train will take in all. This and the next two give 0, and NAN, where the options' struct_size is not known. */
AGON_API size_t agon_train_n_steps(const agon_dataset *d, const agon_train_options *options);
/* Steps from one validation to the next: those that the options say, else a tenth of all, at least one. */
AGON_API size_t agon_train_validate_every(const agon_dataset *d, const agon_train_options *options);
/* The learning rate that training d with these options uses: the one given; else 1e-4 for an adapter, and for all
 * weights what was published for the objective (sft 2e-5, reward models 1e-5, ppo 3e-6, orpo and pro 5e-6, all
 * others 1e-6). */
AGON_API double agon_train_learning_rate(const agon_dataset *d, const agon_train_options *options);

/* ---- evaluation -------------------------------------------------------------------------------------- */

typedef struct agon_eval_options {
    size_t struct_size;
    const char *suite; /* "tasks", "general", "perplexity", "gsm8k", "ifeval", "xstest_safe", "xstest_unsafe"; NULL or
                        * "all": each in turn; with a file "own" or NULL */
    size_t n;          /* questions of a suite, documents of perplexity, different tasks of a cell
                        * (fewer where it has fewer); 0: the suite's default */
    uint64_t seed;     /* of the tasks that are drawn, and of the bootstrap */
    bool items;        /* every question, response and verdict too */
    const char *const *cells; /* [n_cells] "family" or "family/cell": what tasks are drawn from; 0: the default cells */
    size_t n_cells;
    /* Called after each batch of answers; NULL none. */
    void (*on_progress)(void *arg, const char *suite, size_t done, size_t total);
    void *arg;
    const char *file; /* questions of the user's own, JSONL {"query", "answer"?, "verifier"?, "arguments"?} as in run files,
                       * in place of a suite; groups are their verifiers; equal rows are one question; NULL: none */
    bool held_out; /* of a file's questions only those that the run of the version, or of `against`, held out */
} agon_eval_options;
AGON_API agon_eval_options agon_eval_options_default(void);

/* Evaluates a model (adapter NULL: as it is): one greedy answer a question, so equal calls give equal results. With
 * `against`, a second version answers the same questions and the two are compared in pairs; it may be `m` itself with
 * another adapter (`against` NULL with an `against_adapter` is that). *json new: {"suites": [...]}, of each
 *   questions   {"name", "id", "n", "right", "rate", "ci95" (Clopper-Pearson), "groups": [{"name", the same}], "items"?,
 *               "against": {the same, "gain", "gain_ci95" (Newcombe), "both", "gained", "lost", "neither",
 *               "mcnemar_p" (exact), "non_inferiority": {"margin", "alpha", "lower", "p", "holds"} (Tango)}}
 *   perplexity  {"name", "id", "documents", "tokens", "perplexity", "nats_per_token", "against": {"perplexity",
 *               "rise", "non_inferiority": {"margin", "alpha", "upper", "p", "holds"}}}
 *   not run     {"name", "not_run": why}, only under "all"
 * Rows of a file that go together (one "group", near-duplicates) are no evidence independent of one another: where there are such, "sets" says how many sets
 * there are, intervals and non-inferiority are at the effective number of rows, and "sign_flip_p", exact over the signs of sets, stands in place of "mcnemar_p".
 * Of a version of a workspace and a file's questions, there and in "against": "asked_in_training", how many of them it, or a version that it continues, was asked
 * or trained on (but for case, blanks and punctuation), and "held_out", how many its runs asked to evaluate it alone.
 * "id" is a hash of the questions: equal ids, equal questions. AGON_ENOTFOUND: no such suite, or its data is absent;
 * AGON_EINVAL names a row of the file that nothing judges; or held_out without a file or a version of a workspace, or no question of the file is held out. */
AGON_API AGON_MUST_CHECK agon_status agon_eval(agon_ctx *ctx, const agon_model *m, const agon_adapter *adapter,
                                               const agon_model *against, const agon_adapter *against_adapter,
                                               const agon_eval_options *options, char **json);
/* What can be evaluated here: {"suites": [{"name", "summary", "n" or "not_run"}], "cells": [{"name", "difficulty",
 * "hard", "by_default"}]}; *json new. */
AGON_API AGON_MUST_CHECK agon_status agon_suites(agon_ctx *ctx, char **json);

/* ---- evaluation on held-out pairs ----------------------------------------------------------------------- */

/* What reward models say of pairs they were not trained on, rows read for bt: members, rule and strength as in
 * agon_reward_ensemble; n_members 0: m's own head. Pairs with a label of 1/2 are ties and left out, one under 1/2
 * says that rejected is better; equal rewards are no order and count as wrong. *json new: {"pairs", "right",
 * "accuracy", "ci95" (exact), "ties", "loss": mean of -log sigmoid(gap of the rewards) in nats, "loss_ci95" (bootstrap
 * over pairs), "ece" and "brier" of sigmoid(|gap|) as the probability of being right (these four null for several
 * members, whose scale is another),
 * "by_margin": [{"from", "to" (null: none), and the first four}] by that gap, "by_label_margin": the same by the rows' margins, null where there are none, "reward_mean",
 * "reward_std", "length_correlation" of reward and tokens, "length_matched": the first four of pairs whose lengths
 * differ by at most a tenth}. AGON_EINVAL; else as agon_reward. */
AGON_API AGON_MUST_CHECK agon_status agon_reward_pairs(agon_ctx *ctx, const agon_model *m, const agon_adapter *const *members, size_t n_members,
                                                       const char *rule, double strength, const agon_dataset *pairs, char **json);
/* The same of a policy: its reward of an answer is beta (log_prob - the reference's), as dpo has it; pairs: rows read for
 * dpo. reference NULL: m itself, under reference_adapter (NULL: the base); both models must have one vocabulary. "loss" is
 * then dpo's on these pairs. AGON_EINVAL: the policy is its own reference, beta is not above 0; else as agon_score. */
AGON_API AGON_MUST_CHECK agon_status agon_policy_pairs(agon_ctx *ctx, const agon_model *m, const agon_adapter *adapter,
                                                       const agon_model *reference, const agon_adapter *reference_adapter,
                                                       double beta, const agon_dataset *pairs, char **json);
/* Two policies, or the reward heads of two adapters, on the same pairs: how much oftener the first ranks rightly, and
 * how its loss differs (first less other). other NULL: m itself; adapter and other_adapter of their models, NULL: none. Rows, reference and beta as
 * in agon_policy_pairs. *json new: {"pairs", "ties", "right", "accuracy", "loss", "other": {"right", "accuracy", "loss"},
 * "gained": pairs only the first ranks rightly, "lost": only the other, "accuracy_difference", "accuracy_ci95"
 * (Newcombe's paired method 10), "p" (McNemar's exact test), "loss_difference", "loss_ci95" (bootstrap over pairs)}.
 * AGON_EINVAL: both are one, or one is the reference; else as above. */
AGON_API AGON_MUST_CHECK agon_status agon_policy_pairs_paired(agon_ctx *ctx, const agon_model *m, const agon_adapter *adapter, const agon_model *other,
                                                              const agon_adapter *other_adapter, const agon_model *reference,
                                                              const agon_adapter *reference_adapter, double beta, const agon_dataset *pairs, char **json);
AGON_API AGON_MUST_CHECK agon_status agon_reward_pairs_paired(agon_ctx *ctx, const agon_model *m, const agon_adapter *adapter, const agon_model *other,
                                                              const agon_adapter *other_adapter, const agon_dataset *pairs, char **json);

/* ---- files of rows -------------------------------------------------------------------------------------- */

/* A file of other people's rows (JSONL or one JSON list) to JSONL that agon_dataset_open takes. format: "alpaca",
 * "sharegpt", "hh", "gsm8k", "spin", "orca", "trl", "refine-sft", "refine-guided", "refine-pairs", "refine-critic", "auto"
 * or NULL (told by each row's fields). skip_bad: as in agon_dataset_options. `to` is written whole or not at all, never over a file.
 * *json new: {"rows", "skipped", "cut_turns": turns after the last answer, left out, "formats": {name: count},
 * "skipped_rows": [{"sentence"}], "cut_rows": [{"sentence"}]} (as in agon_dataset_report). AGON_EINVAL names file and line. */
AGON_API AGON_MUST_CHECK agon_status agon_data_convert(agon_ctx *ctx, const char *from, const char *format, const char *to,
                                                       bool skip_bad, char **json);
/* Divides a JSONL file into n files by shares [n] that sum to 1. Rows of one prompt stay together; equal rows are
 * written once, nothing is written over. *json new: {"parts": [{"path", "rows"}], "duplicates", "guessed_prompts": pairs
 * of two texts without "prompt" and without "\nAssistant:" in what both begin with: their prompt is taken to end with the
 * last sentence or line of that, so those of one prompt may come apart where answers begin alike}. AGON_EINVAL. */
AGON_API AGON_MUST_CHECK agon_status agon_data_split(agon_ctx *ctx, const char *from, uint64_t seed,
                                                     const char *const *paths, const double *shares, size_t n, char **json);

/* Mixed feedback: rows with "votes": {"verifier": true, "critic": false, "human": true} (true: the completion is
 * good, or chosen is the better side; absent or null: no vote) to rows with one label, every other member kept. Who
 * is how reliable is estimated from the votes (Dawid and Skene 1979, two classes): a rare human label weighs more
 * than a common critic's when it is wrong more rarely. */
typedef struct agon_fuse_options {
    size_t struct_size;
    const char *gold;            /* source that is taken as the truth where it voted; NULL: none, then the majority tells which class is which */
    const char *const *together; /* [n_together] "critic,critic2": sources that are no independent witnesses: their majority is one vote */
    size_t n_together;
    size_t least_votes; /* independent votes a row must have, unless it has a gold vote; 0: 1. Others are left out, by line */
    bool hard; /* decided rows with "weight" |2q-1|: completions get a label of true or false, pairs are swapped where q < 1/2. Default:
                  "label" q = P(true), without a weight, for objectives that read it (dpo-soft, bt, kto, rm-pointwise, classify) */
} agon_fuse_options;
AGON_API agon_fuse_options agon_fuse_options_default(void);
/* `to` must not exist; it is written whole or not at all. *json new: {"rows", "written", "swapped", "contradicted": pairs
 * whose rewards or margin said that the other side is the better one, and were taken out of the row, "hard", "gold",
 * "pinned": rows with a gold vote, "prior": P(true), "effective_sample_size" of the weights |2q-1|, "agreement":
 * Krippendorff's alpha of the raters (1 always, 0 as by chance; null: nothing to compare), "sources": [{"source",
 * "members"?, "votes", "yes", "confusion": [[P(no|false), P(yes|false)], [P(no|true), P(yes|true)]], "flip_rate",
 * "flip_ci95" (bootstrap over rows), "weight": ln((1-e)/e), "yes_weight", "no_weight", "against_gold": {"n", "wrong",
 * "rate", "ci95" (exact)} or null}], "n_left_out", "left_out": [{"line", "reason"}] (at most 1,000), "notes": [text]}.
 * AGON_EINVAL names file and line, or the option; AGON_EFORMAT, AGON_EINTERRUPTED. */
AGON_API AGON_MUST_CHECK agon_status agon_data_fuse(agon_ctx *ctx, const char *from, const char *to, const agon_fuse_options *options,
                                                    char **json);

/* Noise on purpose, to measure what stands up to it. */
typedef struct agon_noise_options {
    size_t struct_size;
    const char *objective; /* what the rows are for; must be given */
    double rate;           /* in [0, 1]: of rows; of tokens, whole rows of them, however long */
    const char *level;     /* "response" (pairs swapped, labels reversed, or completions replaced by other rows'), "token", "span" */
    const agon_tokenizer *tokenizer; /* whose tokens are replaced, by others that are text by themselves; NULL at level response */
    uint64_t seed;
} agon_noise_options;
/* Rate 0.2 at level response, seed 0, no objective. */
AGON_API agon_noise_options agon_noise_options_default(void);
/* `to`, and beside it TO.truth with a line for each changed row, {"line": in `to`, "original": the members as they
 * were}; neither may exist. *json new: {"rows", "changed", "kind": "swapped|reversed|replaced|tokens|spans", "rate",
 * "seed", "truth": path}, of tokens also {"tokens", "replaceable", "replaced", "read_otherwise": tokens of the
 * changed texts that are not read back as written}. AGON_EINVAL names file and line. */
AGON_API AGON_MUST_CHECK agon_status agon_data_noise(agon_ctx *ctx, const char *from, const char *to, const agon_noise_options *options,
                                                     char **json);

/* Labels that are probably wrong, by models that have not seen them: the prompts are divided into folds, and for
 * each an adapter trained on the others judges its rows. Pairs by the implicit reward of DPO, labels of completions
 * by a class head, each beside the base model's own likelihood; the judge that explains the labels as given better
 * is believed. Answers to imitate by their loss, at a stated rate only. */
typedef struct agon_clean_options {
    size_t struct_size;
    const char *objective; /* what the rows are for; must be given */
    size_t folds, lora_rank, epochs, batch_rows;
    double learning_rate;
    uint64_t seed;
    double drop_rate;  /* share to drop, the least credible; below 0: what is found (pairs with P(right) < 1/2; confident learning) */
    bool soft;         /* keep all rows, with P as their "label" */
    const char *truth; /* TO.truth of agon_data_noise, to measure by; NULL: none */
    void (*on_line)(void *arg, const char *text); /* a line of progress, the first an estimate of the time; NULL: none */
    void *arg;
    size_t max_length; /* tokens of prompt and response that the judges read, as in agon_dataset_options; what is written is whole. 0: no limit */
} agon_clean_options;
/* 4 folds, rank 8, one epoch of 8 rows a step at 5e-4, seed 0, what is found, no limit. */
AGON_API agon_clean_options agon_clean_options_default(void);
/* `to` without what is dropped, and TO.dropped: {"file", "line", "given", "p_right", "margin", "why"} a line, the
 * least credible first; neither may exist. m's weights stay as they are. Equal calls give equal bits; what was
 * interrupted begins anew. *json new: {"rows", "truncated", "written", "kind": "pairs|labels|answers", "judge",
 * "judges": [{"name", "nats"}], "believed": false where no judge explains the labels better than a coin or their
 * base rate, and then nothing is found, "ignorant_nats": of those, "folds", "noise_rate": estimate or null,
 * "n_dropped", "dropped": path, "first": at most ten of its lines with "text", "quality": {"planted", "found",
 * "precision", "precision_ci95", "recall", "recall_ci95"} (exact intervals) or null}. AGON_EINVAL names file and
 * line, or the option; AGON_EUNSUPPORTED, AGON_EINTERRUPTED, AGON_ENOMEM. */
AGON_API AGON_MUST_CHECK agon_status agon_data_clean(agon_ctx *ctx, agon_model *m, const char *from, const char *to,
                                                     const agon_clean_options *options, char **json);

/* ---- experiments on small models ------------------------------------------------------------------------ */

typedef struct agon_experiment_options {
    size_t struct_size;
    const char *output;    /* folder of result.json, curves and stages; NULL: the file's stem and ".out" in the current folder */
    const char *expected;  /* what the experiment's name must begin with ("weak-to-strong"); NULL: any */
    bool full;             /* with what the file's "full" changes: more seeds */
    bool plan_only;        /* only how long it will take */
    /* A line of progress, from any thread, one at a time; NULL: none. */
    void (*on_line)(void *arg, const char *text);
    void *arg;
} agon_experiment_options;
AGON_API agon_experiment_options agon_experiment_options_default(void);
/* The i-th experiment's name and what it asks, static; false after the last. */
AGON_API bool agon_experiment_list(size_t i, const char **name, const char **summary);
/* Runs the experiment of a YAML file ("experiment: NAME" and its options): models from scratch on tasks whose truth
 * is known. *json new: {"experiment", "settings", "minutes_expected", ...}. What is finished is kept in `output`;
 * the same call after an interruption goes on, to the same figures. AGON_EINVAL, AGON_EFORMAT, AGON_EINTERRUPTED. */
AGON_API AGON_MUST_CHECK agon_status agon_experiment(agon_ctx *ctx, const char *file, const agon_experiment_options *options,
                                                     char **json);

/* ---- models in and out ------------------------------------------------------------------------------- */

/* Takes a GGUF file or Hugging Face folder into the cache folder as `name` (NULL: the path's last word without .gguf):
 * every tensor and the tokenizer are read and checked, then the files are copied, and appear whole or
 * not at all. *json new: {"name", "path", "id", "architecture", "parameters", "bytes", "chat_template"}; bytes 0:
 * the same model was there. AGON_EINVAL: a bad name, or another model has it, be it by a file of its tokenizer,
 * template or generation_config.json only. */
AGON_API AGON_MUST_CHECK agon_status agon_import(agon_ctx *ctx, const char *path, const char *name, char **json);
/* The same without a second copy: hard links to the files, where the file system has them. Who writes into one of them in place changes the model. */
AGON_API AGON_MUST_CHECK agon_status agon_import_linked(agon_ctx *ctx, const char *path, const char *name, char **json);

/* Writes a model. format "hf" (folder) or "gguf": with the adapter merged into it, dtype "f32", "f16", "bf16" (NULL:
 * bf16), and for gguf "q8_0"; "peft": the adapter itself (dtype NULL). *json new: {"path", "format", "dtype",
 * "merge_error"}; merge_error is the largest |difference| over the last-token logits of a fixed text between this
 * model with its adapter and the written file read back (null for peft). AGON_EINVAL: `path` exists already, unknown
 * format or dtype, no adapter to write. */
AGON_API AGON_MUST_CHECK agon_status agon_export(agon_ctx *ctx, agon_model *m, const agon_adapter *a, const char *format,
                                                 const char *dtype, const char *path, char **json);
/* The same; base_name is what adapter_config.json of "peft" says of the base ("base_model_name_or_path"), a name that
 * other programs find it by; NULL: the folder m was read from. AGON_EINVAL: it is empty, or the format is another. */
AGON_API AGON_MUST_CHECK agon_status agon_export_named(agon_ctx *ctx, agon_model *m, const agon_adapter *a, const char *format, const char *dtype,
                                                       const char *base_name, const char *path, char **json);

/* Whether this machine can do the work: CPU path, kernels against their recorded bits, threads, memory, disk, and
 * that `model` (as in agon_model_find) is there and answers. *json new: {"ok", "checks": [{"name", "ok", "detail"}],
 * "version", "libraries": {name: version}, "machine"}. A failed check is no failure of the call. */
AGON_API AGON_MUST_CHECK agon_status agon_doctor(agon_ctx *ctx, const char *model, char **json);

typedef struct agon_bench_options {
    size_t struct_size;
    size_t runs;            /* of each kernel, the median counts; 0: 5 */
    size_t n_out, n_in;     /* of one weight matrix; 0: those of a model of 135M weights */
    size_t rows;            /* rows of activations; 0: 1, 4, 8, 12, 32, 96 and 256 */
    void (*on_result)(void *arg, const char *json); /* each kernel's line when it is measured, borrowed for the call; NULL: none */
    void *arg;
    const agon_model *model; /* for "stream" */
} agon_bench_options;
AGON_API agon_bench_options agon_bench_options_default(void);
/* Speed of a group of kernels ("matmul"), or of decoding one answer with a model ("stream"), on this context's CPU
 * path, threads and numerics. *json new: {"cpu", "numerics", "threads", "peak": {"f32_gflops", "bf16_gflops",
 * "read_gbytes_per_s"}, the best of nine short runs, "kernels": [{"kernel", "n_out", "n_in", "rows", "gflops",
 * "share_of_peak", "weight_gbytes_per_s", "share_of_read"}]}, of 8-bit weights "times_bf16" too. share_of_peak is of
 * the instruction the kernel uses, share_of_read of the read bandwidth: above 1 where the weights fit into the
 * cache. Of "stream": {"kernel", "new_tokens", "tokens_per_s", "weight_mbytes" that a token reads,
 * "weight_gbytes_per_s", "read_gbytes_per_s", "share_of_read"}, the bandwidth being the median of plain passes over
 * as many bytes, just before and after each answer. AGON_ENOTFOUND: no such group; AGON_EINVAL; AGON_EINTERRUPTED. */
AGON_API AGON_MUST_CHECK agon_status agon_bench(agon_ctx *ctx, const char *group, const agon_bench_options *options, char **json);

#ifdef __cplusplus
}
#endif
#endif
