/* Run files and files of queries that a user would write, for loops of a tiny model. */
#ifndef TESTS_RECIPE_OWN_QUERIES_H
#define TESTS_RECIPE_OWN_QUERIES_H

#include "recipe/own_rows.h"
#include "recipe/own_split.h"
#include "recipe_runs.h"

/* The end of a run file: as little of everything as there may be. */
static const char small[] = "refine: {queries: 2, samples: 1, learnability: 2}\n"
                            "train: {rank: 2, epochs: 1, batch: 2}\nbuild: {documents: 2, real_share: 0}\n"
                            "evaluate: {tasks: 6, general: 2, documents: 2, gsm8k: 0}\n";

/* Of a loop on a file's queries, iterations, file and gate.rejections to be filled in: with people, and with the simulated expert. */
static const char queue_yaml[] =
    "name: own\niterations: %d\ntasks: {file: %s}\nlearner: {samples: 1, max_tokens: 4}\ncritic: {examples: 0}\n"
    "human: {backend: queue, labels: 20, audits: 0, demonstrations: 4}\ngate: {rejections: %d, monitor_prompts: 2}\n%s";

static const char simulated_yaml[] =
    "name: own\niterations: %d\ntasks: {file: %s}\nlearner: {samples: 1, max_tokens: 4}\ncritic: {examples: 0}\n"
    "human: {labels: 20, audits: 0, demonstrations: 4}\ngate: {rejections: %d, monitor_prompts: 2}\n%s";

/* n queries, every other one with an answer; "own.jsonl". */
static inline const char *numbers_file(stand *x, size_t n) {
    char text[8192];
    size_t used = 0;
    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 i % 2 ? "{\"query\": \"How much is %zu and %zu?\", \"answer\": %zu}\n"
                                       : "{\"query\": \"What do you think of the numbers %zu and %zu?\"}\n",
                                 i, i + 1, 2 * i + 1);
    assert_true(used < sizeof text);
    return write_file(x, "own.jsonl", text);
}

/* Forty queries whose answer is one word, and `tasks` of generated ones; the expert writes the word for those that are asked, and what is trained on that is
 * promoted. evaluate: what else is asked of the evaluation. */
static inline const char *word_run(stand *x, int iterations, const char *tasks, const char *evaluate) {
    const char *path = arena_printf(x->memory, "%s/own.jsonl", x->folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < 40; i++)
        fprintf(f, "{\"query\": \"Which word is number %d?\", \"answer\": \"the\"}\n", 7 * i + 3);
    assert_int_equal(fclose(f), 0);
    return arena_printf(x->memory,
                        "name: own\nseed: 3\niterations: %d\ntasks: {file: %s%s}\nlearner: {samples: 2, max_tokens: 6}\ncritic: {examples: 0}\n"
                        "refine: {queries: 0, learnability: 0}\nhuman: {labels: 80, audits: 2, demonstrations: 30}\nbuild: {documents: 1, real_share: 0.2}\n"
                        "train: {rank: 4, epochs: 8, batch: 4, lr: 0.02}\ngate: {perplexity_margin: 1, monitor_prompts: 2}\n"
                        "evaluate: {tasks: 20, general: 0, documents: 2, gsm8k: 0%s}\n",
                        iterations, path, tasks, evaluate);
}

/* A row more, which every answer passes and which is not held out: so there is something to train on. */
static inline const char *with_easy_row(const char *path) {
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    fputs("{\"query\": \"Say what you like.\", \"verifier\": \"max_words\", \"arguments\": {\"n\": 50}}\n", f);
    assert_int_equal(fclose(f), 0);
    assert_false(recipe_holds_out("Say what you like."));
    return path;
}

#endif
