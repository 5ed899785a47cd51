/* generate: one answer to one question, written as it comes.
 *
 *     cc generate.c -o generate $(pkg-config --cflags --libs agon)
 *     ./generate MODEL "What is the capital of France?"
 *
 * MODEL is a GGUF file or a Hugging Face folder. */
#include <agon.h>
#include <stdio.h>

static int on_token(void *arg, size_t request, size_t sample, int32_t token, const char *bytes,
                    size_t n) {
    (void)arg, (void)request, (void)sample, (void)token;
    fwrite(bytes, 1, n, stdout);
    fflush(stdout);
    return 0; /* anything else stops the generation */
}

int main(int argc, char **argv) {
    agon_ctx *ctx = NULL;
    agon_model *model = NULL;
    agon_completion answer = {0};
    char reason[256];
    if (argc != 3)
        return fprintf(stderr, "usage: generate MODEL PROMPT\n"), 2;
    if (agon_ctx_new(NULL, &ctx, reason, sizeof reason))
        return fprintf(stderr, "generate: %s\n", reason), 1;

    agon_status s = agon_model_open(ctx, argv[1], NULL, &model);
    if (!s) {
        agon_sampling sampling = agon_sampling_default();
        agon_generate_options options = agon_generate_options_default();
        sampling.temperature = 0.7;
        sampling.top_p = 0.95;
        sampling.max_tokens = 64;
        options.on_token = on_token;
        /* As one user message where the model has a chat template, else as plain text. */
        bool chat = agon_chat_template(agon_model_tokenizer(model)) != NULL;
        agon_generate_request request = {
            .text = argv[2], .chat = chat, .n_samples = 1, .seed = 1, .sampling = &sampling};
        s = agon_generate(ctx, model, &request, 1, &options, &answer);
    }
    if (!s) {
        double sum = 0;
        for (size_t i = 0; i < answer.n_tokens; i++)
            sum += answer.log_probs[i];
        printf("\n(%zu tokens, log_prob %.3f nats)\n", answer.n_tokens, sum);
    } else {
        fprintf(stderr, "generate: %s\n", agon_error(ctx));
    }
    agon_completion_free(&answer);
    agon_model_free(model);
    agon_ctx_free(ctx);
    return s ? 1 : 0;
}
