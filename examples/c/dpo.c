/* dpo: on-policy Direct Preference Optimization (Rafailov et al. 2023). Each round the policy
 * answers every prompt several times, a reward says which answers are best and worst, and a LoRA
 * adapter is trained on these pairs, with the round before as reference.
 *
 *     cc dpo.c -o dpo $(pkg-config --cflags --libs agon)
 *     ./dpo MODEL FOLDER [ROUNDS [LEARNING_RATE]]
 */
#include <agon.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROMPTS = 6, SAMPLES = 8, ANSWERS = PROMPTS * SAMPLES };
static const char *const prompts[PROMPTS] = {"Tea or coffee?",     "Is the sky green?",
                                             "What is 3 + 4?",     "Describe the sea.",
                                             "Why do birds sing?", "Who wrote Hamlet?"};
static agon_ctx *ctx;

static void must(agon_status s) {
    if (s)
        exit((fprintf(stderr, "dpo: %s\n", agon_error(ctx)), 1));
}

/* What is wanted here: plain prose, without digits and markup. The share of letters and spaces. */
static double reward(const agon_completion *c) {
    size_t n = 0;
    for (size_t i = 0; i < c->n_text; i++)
        n += isalpha((unsigned char)c->text[i]) || c->text[i] == ' ';
    return c->n_text ? (double)n / (double)c->n_text : 0;
}

int main(int argc, char **argv) {
    char reason[256] = "usage: dpo MODEL FOLDER [ROUNDS [LEARNING_RATE]]";
    char folders[2][4096], *from = NULL;
    agon_model *model;
    if (argc < 3 || agon_ctx_new(NULL, &ctx, reason, sizeof reason))
        return fprintf(stderr, "%s\n", reason), 2;
    must(agon_model_open(ctx, argv[1], NULL, &model));
    agon_sampling sampling = agon_sampling_default();
    sampling.max_tokens = 24;
    for (int round = 1, rounds = argc > 3 ? atoi(argv[3]) : 3; round <= rounds; round++) {
        agon_generate_request requests[PROMPTS];
        agon_completion answers[ANSWERS];
        double rewards[ANSWERS], mean = 0;
        agon_adapter *policy; /* of the round before; in the first the model itself */
        agon_dataset *data;
        must(agon_adapter_open(ctx, model, from, &policy));
        for (size_t i = 0; i < PROMPTS; i++)
            requests[i] = agon_chat_request(prompts[i], SAMPLES, round, policy, &sampling);
        must(agon_generate(ctx, model, requests, PROMPTS, NULL, answers));
        for (size_t i = 0; i < ANSWERS; i++)
            mean += (rewards[i] = reward(&answers[i])) / ANSWERS;
        printf("round %d: mean reward %.4f\n", round, mean);
        must(agon_dataset_from_samples(ctx, agon_model_tokenizer(model), requests, PROMPTS, answers,
                                       rewards, "dpo", &data));
        /* Killed and run again, it goes on where it was. */
        char *to = folders[round % 2];
        snprintf(to, sizeof folders[0], "%s/policy-%d", argv[2], round);
        agon_train_options options = agon_train_options_default();
        options.adapter = from;
        options.lora_rank = from ? 0 : 8;
        options.learning_rate = argc > 4 ? atof(argv[4]) : 2e-4;
        options.epochs = 4;
        must(agon_train(ctx, model, data, to, &options, NULL));
        from = to;
        agon_dataset_free(data);
        agon_completions_free(answers, ANSWERS);
        agon_adapter_free(policy);
    }
    agon_model_free(model);
    agon_ctx_free(ctx);
    return 0;
}
