/* score: which of several continuations does the model find most likely?
 *
 *     cc score.c -o score $(pkg-config --cflags --libs agon)
 *     ./score MODEL "The capital of France is" " Paris." " London." " a fish."
 *
 * Prints the log_prob of each in nats, and per token, likeliest first. */
#include <agon.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct scored {
    const char *text;
    double log_prob;
    size_t n_tokens;
} scored;

static int by_log_prob(const void *a, const void *b) {
    double x = ((const scored *)a)->log_prob, y = ((const scored *)b)->log_prob;
    return (x < y) - (x > y);
}

int main(int argc, char **argv) {
    enum { MOST = 64 };
    agon_ctx *ctx = NULL;
    agon_model *model = NULL;
    int32_t *prompt = NULL, *tokens[MOST] = {0};
    agon_score_request requests[MOST];
    agon_score_result results[MOST];
    scored list[MOST];
    size_t n_prompt = 0, n = argc > 3 ? (size_t)argc - 3 : 0;
    char reason[256];
    if (n < 1 || n > MOST)
        return fprintf(stderr, "usage: score MODEL PROMPT CONTINUATION... (at most %d)\n", MOST), 2;
    for (size_t i = 0; i < n; i++)
        if (!*argv[3 + i]) /* has no tokens, and a log_prob of 0: likelier than anything */
            return fprintf(stderr, "score: continuation %zu is empty\n", i + 1), 2;
    if (agon_ctx_new(NULL, &ctx, reason, sizeof reason))
        return fprintf(stderr, "score: %s\n", reason), 1;

    agon_status s = agon_model_open(ctx, argv[1], NULL, &model);
    const agon_tokenizer *t = s ? NULL : agon_model_tokenizer(model);
    if (!s)
        s = agon_tokenize(ctx, t, argv[2], strlen(argv[2]), false, true, &prompt, &n_prompt);
    for (size_t i = 0; i < n && !s; i++) {
        size_t count = 0;
        s = agon_tokenize_answer(ctx, t, prompt, n_prompt, argv[3 + i], strlen(argv[3 + i]), false, false, &tokens[i], &count);
        requests[i] = (agon_score_request){prompt, n_prompt, tokens[i], count};
    }
    if (!s) /* one batch: the prompt is computed once */
        s = agon_score(ctx, model, NULL, requests, n, 1, 0, results);
    if (s)
        fprintf(stderr, "score: %s\n", agon_error(ctx));
    for (size_t i = 0; i < n && !s; i++) {
        list[i] = (scored){argv[3 + i], results[i].log_prob, requests[i].n_completion};
        agon_score_result_free(&results[i]);
    }
    if (!s)
        qsort(list, n, sizeof *list, by_log_prob);
    for (size_t i = 0; i < n && !s; i++)
        printf("%10.4f %8.4f  %s\n", list[i].log_prob, list[i].log_prob / (double)list[i].n_tokens, list[i].text);
    for (size_t i = 0; i < n; i++)
        agon_tokens_free(tokens[i]);
    agon_tokens_free(prompt);
    agon_model_free(model);
    agon_ctx_free(ctx);
    return s ? 1 : 0;
}
