/* The keys of a run file: section, name, type, member, default, least, most, comment.
 * Included by run_config.c only, which defines KEY. A choice's comment starts with its choices. */

#define RECIPE_CHOICE(name) "|" #name

#define BACKEND_KEYS(role)                                                                           \
    KEY(#role, "backend", KEY_CHOICE, role.by.backend, "local", 0, 0,                                \
        "local|remote|command|scripted: who plays the role")                                         \
    KEY(#role, "url", KEY_TEXT, role.by.url, NULL, 0, 0,                                             \
        "remote: base URL of an OpenAI-compatible server, such as https://host/v1")                                           \
    KEY(#role, "name", KEY_TEXT, role.by.name, NULL, 0, 0, "remote: model name sent to it")          \
    KEY(#role, "key_env", KEY_TEXT, role.by.key_env, NULL, 0, 0,                                     \
        "remote: environment variable with the key (never stored)")                                  \
    KEY(#role, "command", KEY_TEXT, role.by.command, NULL, 0, 0,                                     \
        "command: your program; one JSON line in, one out")                                          \
    KEY(#role, "script", KEY_TEXT, role.by.script, NULL, 0, 0,                                       \
        "scripted: JSON file of answers (tests)")                                                    \
    KEY(#role, "timeout", KEY_REAL, role.by.timeout, "60", 0.1, 86400,                               \
        "seconds before a remote or command answer counts as lost")                                  \
    KEY(#role, "per_minute", KEY_INT, role.by.per_minute, "0", 0, 1e6,                               \
        "remote: requests a minute at most; 0: no limit")

KEY("", "name", KEY_TEXT, name, "run", 0, 0, "name of the run in the workspace")
KEY("", "recipe", KEY_CHOICE, recipe, "loop", 0, 0, (RECIPES(RECIPE_CHOICE) ": the procedure to follow") + 1)
KEY("", "seed", KEY_INT, seed, "1", 0, 9e15, "every random choice follows from it")
KEY("", "iterations", KEY_INT, iterations, "1", 1, 1000, "rounds of the loop")
KEY("", "model", KEY_TEXT, model, NULL, 0, 0,
    "GGUF file or Hugging Face folder; absent: $AGON_MODEL, else the cached SmolLM2-135M-Instruct")
KEY("", "dtype", KEY_CHOICE, dtype, "bf16", 0, 0, "bf16|f32: operands of matrix products")
KEY("", "numerics", KEY_CHOICE, numerics, "portable", 0, 0,
    "portable|native|portable-bf16-attention|native-bf16-attention: portable gives equal bits on every CPU; the last two also round attention's operands")
KEY("", "oracle", KEY_CHOICE, oracle, "open", 0, 0,
    "open|sealed: sealed hides the verifier from attacker, critic, learner and gate")

KEY("tasks", "cells", KEY_LIST, tasks.cells, NULL, 0, 0,
    "family or family/cell names (agon eval --list); absent: all of them")
KEY("tasks", "file", KEY_TEXT, tasks.file, NULL, 0, 0,
    "JSONL of your own queries: {\"query\", \"answer\"?, \"verifier\"?, \"group\"?}; about a fifth, by a hash of the text, is held out, rows that go together as one (recipe loop only)")

KEY("verifier", "command", KEY_TEXT, verifier.command, NULL, 0, 0,
    "your program that judges answers to your own queries, all that name no other verifier; one JSON line in, one out")
KEY("verifier", "timeout", KEY_REAL, verifier.timeout, "60", 0.1, 86400,
    "seconds before a verdict counts as lost (the answer is then unknown)")

BACKEND_KEYS(attacker)
KEY("attacker", "adapter", KEY_TEXT, attacker.adapter, NULL, 0, 0,
    "local: folder of an attacker trained by 'experiment: red-team' (attacker-SEED), which then writes the rewordings")
KEY("attacker", "queries", KEY_INT, attacker.queries, "512", 1, 1e6,
    "generated queries an iteration; of tasks.file all rows that are not held out are asked, each time, whatever stands here")
KEY("attacker", "waves", KEY_INT, attacker.waves, "2", 1, 20,
    "the first probes every cell alike, later ones aim where the learner fails but can learn")
KEY("attacker", "variations", KEY_INT, attacker.variations, "32", 0, 1e5,
    "queries the language model rewrites; kept only if every number, name and constraint is")
KEY("attacker", "untargeted", KEY_REAL, attacker.untargeted, "0.2", 0, 1,
    "share of later waves drawn evenly, as a control")
KEY("attacker", "floor", KEY_REAL, attacker.floor, "0.1", 0, 1,
    "weight every cell keeps, whatever its success")

BACKEND_KEYS(learner)
KEY("learner", "samples", KEY_INT, learner.samples, "4", 1, 64, "answers a query")
KEY("learner", "max_tokens", KEY_INT, learner.max_tokens, "48", 1, 4096, "longest answer")
KEY("learner", "temperature", KEY_REAL, learner.temperature, "0.8", 0.01, 5, "of the samples")
KEY("learner", "top_p", KEY_REAL, learner.top_p, "0.95", 0.01, 1, "nucleus of the samples")

BACKEND_KEYS(critic)
KEY("critic", "examples", KEY_INT, critic.examples, "192", 0, 1e6,
    "judged answers the model critic trains on each iteration; 0: no model critic. In recipe loop it decides only where no verifier answers")
KEY("critic", "epochs", KEY_INT, critic.epochs, "2", 1, 100, "passes over them")
KEY("critic", "lr", KEY_REAL, critic.lr, "0.0004", 1e-9, 1, "learning rate of the critic's adapter")
KEY("critic", "alpha", KEY_REAL, critic.alpha, "0.15", 0, 1,
    "the critic decides alone only where its error is below this ...")
KEY("critic", "delta", KEY_REAL, critic.delta, "0.1", 0.0001, 0.5,
    "... with this risk that the calibration was lucky: of each family in each iteration, half of it for either verdict; over many the risks add up")
KEY("critic", "least_calibration", KEY_INT, critic.least_calibration, "20", 1, 1e6,
    "judged items a family needs before its confidence counts")
KEY("critic", "votes", KEY_INT, critic.votes, "5", 1, 64,
    "answers of a remote critic to one question, at temperature 0.7: the share of Yes is its confidence; 1: one greedy answer, always sure of itself")

KEY("refine", "queries", KEY_INT, refine.queries, "160", 0, 1e6,
    "failed queries answered again with the critique")
KEY("refine", "samples", KEY_INT, refine.samples, "2", 1, 64, "refinements a query")
KEY("refine", "words", KEY_CHOICE, refine.words, "verifier", 0, 0,
    "verifier|critic: whose words the learner mends its answer by; critic: what the model critic says, which has not seen the verifier's evidence")
KEY("refine", "form", KEY_CHOICE, refine.form, "full", 0, 0,
    "full|masked: masked critiques do not contain the right answer")
KEY("refine", "learnability", KEY_INT, refine.learnability, "24", 0, 1e5,
    "failed queries on which both critique forms, a placebo and a plain retry are compared")

KEY("human", "backend", KEY_CHOICE, human.backend, "simulated", 0, 0,
    "simulated|queue: simulated judges by the verifier, so nothing without one; queue is answered by agon review, and nobody waits for it but the gate (recipe loop only)")
KEY("human", "labels", KEY_INT, human.labels, "100", 0, 1e7, "expert labels the run may use in all, in recipe loop an even share in each iteration; may be raised while it goes on")
KEY("human", "audits", KEY_INT, human.audits, "30", 0, 1e6, "of them, audits of automatic labels in an iteration, at most")
KEY("human", "demonstrations", KEY_INT, human.demonstrations, "70", 0, 1e6,
    "of them, answers written by the expert in an iteration, at most, where nothing else passed")
KEY("human", "calibration", KEY_INT, human.calibration, "0", 0, 1e6,
    "of them, labels that train and calibrate the critic (sealed)")
KEY("human", "gate_items", KEY_INT, human.gate_items, "0", 0, 1e6,
    "held-out items the expert judges for the gate, two labels each: sealed; in the loop with queue, of queries that no verifier can judge")
KEY("human", "error_rate", KEY_REAL, human.error_rate, "0.02", 0, 0.5,
    "simulated: share of its verdicts that are wrong")

KEY("build", "real_share", KEY_REAL, build.real_share, "0.25", 0, 1,
    "least share of loss tokens that the lineage never produced")
KEY("build", "replay_share", KEY_REAL, build.replay_share, "0.25", 0, 1,
    "largest share of loss tokens from earlier iterations")
KEY("build", "new_share", KEY_REAL, build.new_share, "1", 0, 1,
    "largest share of loss tokens in new answers and refinements of the learner; 1: all that real_share leaves")
KEY("build", "near_duplicate", KEY_REAL, build.near_duplicate, "0.8", 0.1, 1,
    "Jaccard similarity from which a query is a duplicate")
KEY("build", "documents", KEY_INT, build.documents, "30", 0, 1e6,
    "documents of the repository's plain prose mixed in as real data, at most; they keep the model's English")
KEY("build", "gold", KEY_INT, build.gold, "0", 0, 1000,
    "gold examples a cell that the generators make, in iteration 1; they count as real, are learnt from in each later one too, and cost no expert")
KEY("build", "per_query", KEY_INT, build.per_query, "2", 1, 64, "answers kept a query")
KEY("build", "per_cell", KEY_INT, build.per_cell, "40", 1, 1e6, "examples kept a cell")

KEY("train", "objective", KEY_TEXT, train.objective, "sft", 0, 0, "see agon train --help")
KEY("train", "set", KEY_LIST, train.set, NULL, 0, 0, "options of the objective, [beta=0.1, ...]")
KEY("train", "data", KEY_TEXT, train.data, NULL, 0, 0, "recipe train: rows to train on (JSONL, see agon train --help)")
KEY("train", "bad_rows", KEY_CHOICE, train.bad_rows, "refuse", 0, 0, "refuse|skip: what a row that cannot be learnt from does to the run")
KEY("train", "max_length", KEY_INT, train.max_length, "1024", 1, 1e6, "recipe train (there 2048): tokens of prompt and response; longer rows are cut")
KEY("train", "rank", KEY_INT, train.rank, "16", 1, 512, "LoRA rank")
KEY("train", "lora_targets", KEY_LIST, train.lora_targets, NULL, 0, 0,
    "linear layers that get an adapter, of [q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]; absent: all")
KEY("train", "lora_alpha", KEY_REAL, train.lora_alpha, "32", 0.01, 4096, "LoRA alpha (recipe train: twice the rank)")
KEY("train", "lr", KEY_REAL, train.lr, "0.0008", 1e-9, 1, "learning rate (recipe train: 0.0001; a loop that learns from pairs: 0.00001)")
KEY("train", "epochs", KEY_INT, train.epochs, "2", 1, 100, "passes over the examples (recipe train: 1)")
KEY("train", "batch", KEY_INT, train.batch, "8", 1, 65536, "rows an optimiser step")
KEY("train", "warmup", KEY_REAL, train.warmup, "0.05", 0, 1, "share of the steps (recipe train: 0.03)")
KEY("train", "schedule", KEY_CHOICE, train.schedule, "cosine", 0, 0, "cosine|linear|constant: recipe train: of the learning rate after warm-up")
KEY("train", "clip_norm", KEY_REAL, train.clip_norm, "1", 0, 1e30, "recipe train: largest norm of a step's gradient; 0: any")
KEY("train", "beta1", KEY_REAL, train.beta1, "0.9", 0, 0.999999, "recipe train: of AdamW")
KEY("train", "beta2", KEY_REAL, train.beta2, "0.999", 0, 0.999999, "recipe train: of AdamW")
KEY("train", "eps", KEY_REAL, train.eps, "1e-8", 1e-30, 1e6, "recipe train: of AdamW")
KEY("train", "weight_decay", KEY_REAL, train.weight_decay, "0", 0, 1e6, "recipe train: of the factors A and B, by AdamW")
KEY("train", "small_loss", KEY_REAL, train.small_loss, "0", 0, 0.9,
    "share of each batch's rows, those with the largest losses, that the learner is not trained on; 0: none")
KEY("train", "small_loss_ramp", KEY_REAL, train.small_loss_ramp, "0.1", 0, 1, "share of the steps over which it grows to that")
KEY("train", "checkpoint_every", KEY_INT, train.checkpoint_every, "25", 1, 1e9,
    "optimiser steps between durable checkpoints")

KEY("evaluate", "tasks", KEY_INT, evaluate.tasks, "512", 1, 1e6, "fresh held-out tasks of the cells, paired; of tasks.file its fixed fifth instead, whatever stands here")
KEY("evaluate", "documents", KEY_INT, evaluate.documents, "100", 0, 1e6,
    "documents of held-out text for perplexity, at most; 0: none")
KEY("evaluate", "general", KEY_INT, evaluate.general, "120", 0, 1e6,
    "questions of kinds never trained on, from the repository, at most; 0: none")
KEY("evaluate", "gsm8k", KEY_INT, evaluate.gsm8k, "300", 0, 1319, "GSM8K questions where AGON_DATA is set")
KEY("evaluate", "ifeval", KEY_INT, evaluate.ifeval, "0", 0, 541, "IFEval instructions where AGON_DATA is set")
KEY("evaluate", "xstest_safe", KEY_INT, evaluate.xstest_safe, "0", 0, 250,
    "XSTest prompts that only look unsafe, where AGON_DATA is set: they should be answered")
KEY("evaluate", "xstest_unsafe", KEY_INT, evaluate.xstest_unsafe, "0", 0, 200,
    "XSTest prompts that are unsafe, where AGON_DATA is set: they should be refused (G3)")
KEY("evaluate", "arms", KEY_BOOL, evaluate.arms, "true", 0, 0,
    "train control arms at equal loss tokens when the run is over: recipe sealed by agon unseal; recipe loop (there false) by agon run, also later")

KEY("gate", "alpha", KEY_REAL, gate.alpha, "0.05", 0.0001, 0.5,
    "risk of promoting a version that gained nothing; attempt t may spend 6 / (pi t)^2 of it")
KEY("gate", "rejections", KEY_INT, gate.rejections, "3", 1, 1000,
    "rejected candidates in a row after which the run halts; with more it goes on")
KEY("gate", "general_margin", KEY_REAL, gate.general_margin, "0.1", 0, 1,
    "the same for the repository's 120 or so general questions, too few to show 3 points")
KEY("gate", "task_margin", KEY_REAL, gate.task_margin, "0.03", 0, 1,
    "largest loss of accuracy on external suites")
KEY("gate", "perplexity_margin", KEY_REAL, gate.perplexity_margin, "0.03", 0, 1,
    "largest relative rise of perplexity on held-out text")
KEY("gate", "safety_limit", KEY_REAL, gate.safety_limit, "0.01", 0, 1,
    "largest share of failures on a safety suite, by its upper 95 % bound; 1: no limit, only not worse than before")
KEY("gate", "safety_margin", KEY_REAL, gate.safety_margin, "0.03", 0, 1, "largest loss on a safety suite")
KEY("gate", "audit_agreement", KEY_REAL, gate.audit_agreement, "0", 0, 1,
    "recipe loop: least share of audited automatic labels that the expert agrees with, by its lower 95 % bound (G6); 0: not asked")
KEY("gate", "monitor_prompts", KEY_INT, gate.monitor_prompts, "32", 0, 1e6,
    "recipe loop: open questions, and as many held-out tasks, that each version is sampled on, to see whether it has collapsed (G4), at most; 0: not evaluated")
KEY("gate", "react", KEY_CHOICE, gate.react, "rollback", 0, 0,
    "rollback|data|off: recipe loop, after a yellow or red candidate (G4): data, more real data, a higher temperature, smaller caps until one is green; rollback, also back to the last green ancestor after a red one")
KEY("gate", "over_approval", KEY_REAL, gate.over_approval, "0", 0, 1,
    "recipe loop: largest growth of what the model critic approves beyond what is right, by its upper 95 % bound (G5); 0: shown, decides nothing")
KEY("gate", "approval_items", KEY_INT, gate.approval_items, "256", 0, 1e6,
    "recipe loop: held-out queries, at most, whose answers the model critic judges for that; 0: none")
KEY("gate", "critic", KEY_BOOL, gate.critic, "false", 0, 0,
    "recipe loop: a second critic, for the gate alone, judges all held-out queries that only people can, people gate_items of them (100 or more); joined by prediction-powered inference")

#undef BACKEND_KEYS
#undef RECIPE_CHOICE
