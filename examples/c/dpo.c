/* dpo: on-policy Direct Preference Optimization (Rafailov et al. 2023). Each round the policy answers every prompt several times, a
 * reward says which answers are best and worst, and a LoRA adapter is trained on these pairs, with the round before as reference.
 *
 *     cc dpo.c -o dpo $(pkg-config --cflags --libs agon)
 *     ./dpo MODEL FOLDER [ROUNDS [LEARNING_RATE]]
 */
#include <agon.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PROMPTS = 6, SAMPLES = 8 };
static const char *const prompts[PROMPTS] = {"Tea or coffee?",    "Is the sky green?",  "What is 3 + 4?",
                                             "Describe the sea.", "Why do birds sing?", "Who wrote Hamlet?"};
static agon_ctx *ctx;

static void must(agon_status s) {
    if (s)
        exit((fprintf(stderr, "dpo: %s\n", *agon_error(ctx) ? agon_error(ctx) : agon_status_name(s)), 1));
}

/* What is wanted here: plain prose, without digits, lists and markup. The share of letters and spaces. */
static double reward(const agon_completion *c) {
    size_t n = 0;
    for (size_t i = 0; i < c->n_text; i++)
        n += isalpha((unsigned char)c->text[i]) || c->text[i] == ' ';
    return c->n_text ? (double)n / (double)c->n_text : 0;
}

/* The best and the worst of a prompt's answers into the pair; returns the mean reward. */
static double rank(const agon_completion *c, agon_pair *pair) {
    double sum = 0;
    pair->chosen = pair->rejected = c;
    for (size_t k = 0; k < SAMPLES; k++, c++) {
        sum += reward(c);
        pair->chosen = reward(c) > reward(pair->chosen) ? c : pair->chosen;
        pair->rejected = reward(c) < reward(pair->rejected) ? c : pair->rejected;
    }
    return sum / SAMPLES;
}

int main(int argc, char **argv) {
    char last[4096] = "", next[4096], reason[256], *summary;
    int32_t *ids[PROMPTS];
    size_t n_ids[PROMPTS];
    agon_model *model;
    agon_sampling sampling = agon_sampling_default();
    sampling.max_tokens = 24;
    if (argc < 3 || agon_ctx_new(NULL, &ctx, reason, sizeof reason))
        return fprintf(stderr, "%s\n", argc < 3 ? "usage: dpo MODEL FOLDER [ROUNDS [LEARNING_RATE]]" : reason), 2;
    must(agon_model_open(ctx, argv[1], NULL, &model));
    const agon_tokenizer *t = agon_model_tokenizer(model);
    for (size_t i = 0; i < PROMPTS; i++)
        must(agon_tokenize(ctx, t, prompts[i], strlen(prompts[i]), false, true, &ids[i], &n_ids[i]));
    mkdir(argv[2], 0777);
    for (int round = 0, rounds = argc > 3 ? atoi(argv[3]) : 3; round <= rounds; round++) {
        agon_generate_request requests[PROMPTS];
        agon_completion answers[PROMPTS * SAMPLES];
        agon_pair pairs[PROMPTS];
        agon_adapter *policy = NULL;
        size_t n = 0;
        double mean = 0;
        if (*last)
            must(agon_adapter_open(ctx, model, last, &policy));
        for (size_t i = 0; i < PROMPTS; i++)
            requests[i] = (agon_generate_request){ids[i], n_ids[i], SAMPLES, (uint64_t)round, policy, &sampling};
        must(agon_generate(ctx, model, requests, PROMPTS, NULL, answers));
        for (size_t i = 0; i < PROMPTS; i++) {
            pairs[n] = (agon_pair){.prompt = ids[i], .n_prompt = n_ids[i]};
            mean += rank(&answers[i * SAMPLES], &pairs[n]) / PROMPTS;
            n += reward(pairs[n].chosen) > reward(pairs[n].rejected);
        }
        printf("after %d rounds: mean reward %.4f\n", round, mean);
        if (round < rounds) {
            agon_dataset *d;
            agon_train_options options = agon_train_options_default();
            snprintf(next, sizeof next, "%s/policy-%d", argv[2], round + 1);
            options.lora_rank = policy ? 0 : 8;
            options.adapter = policy ? last : NULL;
            options.learning_rate = argc > 4 ? atof(argv[4]) : 2e-4;
            options.epochs = 4;
            must(agon_dataset_from_pairs(ctx, t, pairs, n, "dpo", &d));
            must(agon_train(ctx, model, d, next, &options, &summary)); /* killed and run again, it goes on where it was */
            agon_text_free(summary);
            agon_dataset_free(d);
            strcpy(last, next);
        }
        for (size_t i = 0; i < PROMPTS * SAMPLES; i++)
            agon_completion_free(&answers[i]);
        agon_adapter_free(policy);
    }
    for (size_t i = 0; i < PROMPTS; i++)
        agon_tokens_free(ids[i]);
    agon_model_free(model);
    agon_ctx_free(ctx);
    return 0;
}
