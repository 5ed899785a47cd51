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
static agon_model *model;

/* What is wanted here: plain prose, without digits, lists and markup. The share of letters and spaces. */
static double reward(const agon_completion *c) {
    size_t n = 0;
    for (size_t i = 0; i < c->n_text; i++)
        n += isalpha((unsigned char)c->text[i]) || c->text[i] == ' ';
    return c->n_text ? (double)n / (double)c->n_text : 0;
}

static void must(agon_status s) {
    if (s)
        exit((fprintf(stderr, "dpo: %s\n", *agon_error(ctx) ? agon_error(ctx) : agon_status_name(s)), 1));
}

/* Bytes outside ASCII as '?': enough for an example. */
static void put_json(FILE *to, const char *before, const char *text, const char *after) {
    fprintf(to, "%s\"", before);
    for (; *text; text++)
        fprintf(to, *text == '"' || *text == '\\' || (*text > 0 && *text < ' ') ? "\\u%04x" : "%c", *text < 0 || *text > '~' ? '?' : *text);
    fprintf(to, "\"%s", after);
}

/* The policy's answers, as pairs into a file. Returns their mean reward. */
static double roll_out(const agon_adapter *policy, uint64_t seed, const char *path) {
    static agon_completion out[PROMPTS * SAMPLES];
    agon_generate_request requests[PROMPTS];
    agon_sampling sampling = agon_sampling_default();
    FILE *pairs = fopen(path, "w");
    double sum = 0;
    must(pairs ? AGON_OK : AGON_EIO);
    sampling.max_tokens = 24;
    for (size_t i = 0; i < PROMPTS; i++) {
        int32_t *ids;
        requests[i] = (agon_generate_request){.n_samples = SAMPLES, .seed = seed, .adapter = policy, .sampling = &sampling};
        must(agon_tokenize(ctx, agon_model_tokenizer(model), prompts[i], strlen(prompts[i]), false, true, &ids, &requests[i].n_prompt));
        requests[i].prompt = ids;
    }
    must(agon_generate(ctx, model, requests, PROMPTS, NULL, out));
    for (size_t i = 0; i < PROMPTS; i++) {
        const agon_completion *c = &out[i * SAMPLES], *best = NULL, *worst = NULL;
        for (size_t k = 0; k < SAMPLES; k++, c++) {
            sum += reward(c);
            if (c->n_text && (!best || reward(c) > reward(best)))
                best = c;
            if (c->n_text && (!worst || reward(c) < reward(worst)))
                worst = c;
        }
        if (best && reward(best) > reward(worst)) {
            put_json(pairs, "{\"prompt\": ", prompts[i], "");
            put_json(pairs, ", \"chosen\": ", best->text, "");
            put_json(pairs, ", \"rejected\": ", worst->text, "}\n");
        }
        agon_tokens_free((int32_t *)requests[i].prompt);
    }
    must(fclose(pairs) ? AGON_EIO : AGON_OK);
    for (size_t i = 0; i < PROMPTS * SAMPLES; i++)
        agon_completion_free(&out[i]);
    return sum / (PROMPTS * SAMPLES);
}

int main(int argc, char **argv) {
    char pairs[4096], last[4096] = "", next[4096], reason[256], *summary;
    if (argc < 3)
        return fprintf(stderr, "usage: dpo MODEL FOLDER [ROUNDS [LEARNING_RATE]]\n"), 2;
    if (agon_ctx_new(NULL, &ctx, reason, sizeof reason))
        return fprintf(stderr, "dpo: %s\n", reason), 1;
    must(agon_model_open(ctx, argv[1], NULL, &model));
    mkdir(argv[2], 0777);
    for (int round = 0, rounds = argc > 3 ? atoi(argv[3]) : 3; round <= rounds; round++) {
        agon_adapter *policy = NULL;
        agon_dataset *d;
        agon_train_options options = agon_train_options_default();
        snprintf(pairs, sizeof pairs, "%s/pairs-%d.jsonl", argv[2], round);
        snprintf(next, sizeof next, "%s/policy-%d", argv[2], round + 1);
        if (*last)
            must(agon_adapter_open(ctx, model, last, &policy));
        printf("after %d rounds: mean reward %.4f\n", round, roll_out(policy, (uint64_t)round, pairs));
        agon_adapter_free(policy);
        if (round == rounds)
            break;
        options.lora_rank = *last ? 0 : 8;
        options.adapter = *last ? last : NULL;
        options.learning_rate = argc > 4 ? atof(argv[4]) : 2e-4;
        options.epochs = 4;
        must(agon_dataset_open(ctx, agon_model_tokenizer(model), pairs, "dpo", 0, &d));
        must(agon_train(ctx, model, d, next, &options, &summary)); /* killed and run again, it goes on where it was */
        agon_text_free(summary);
        agon_dataset_free(d);
        strcpy(last, next);
    }
    agon_model_free(model);
    agon_ctx_free(ctx);
    return 0;
}
