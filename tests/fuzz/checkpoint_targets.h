/* What the fuzz target of trainings' checkpoints does with one input: edits of the state that a training left after its first step, with the
 * checksum set right again. test_checkpoint_corpus.c runs the same function over the kept corpus and its mutations, without a fuzzer. */
#ifndef TESTS_FUZZ_CHECKPOINT_TARGETS_H
#define TESTS_FUZZ_CHECKPOINT_TARGETS_H

#include "../stream_bytes.h"
#include "model_targets.h"
#include "train/train.h"

enum { CHECKPOINT_ROWS = 4, CHECKPOINT_STEPS = 3, CHECKPOINT_KINDS = 4 };

/* A plain training; one whose rows bring no log_probs; one that leaves rows out; two learners. */
typedef struct checkpoint_kind {
    const char *objective;
    double tau;
    bool co_teach;
} checkpoint_kind;
static const checkpoint_kind checkpoint_kinds[CHECKPOINT_KINDS] = {{"sft", 0, false}, {"grpo", 0, false}, {"sft", 0.5, false}, {"sft", 0.5, true}};

typedef struct checkpoint_state {
    char *data;
    size_t n, stop_at;
} checkpoint_state;

static inline agon_status checkpoint_keep(void *arg, size_t step, const byte_stream *state) {
    checkpoint_state *x = arg;
    free(x->data);
    x->data = stream_bytes(state);
    FUZZ_CHECK(x->data, "a state of %zu bytes is not so long", state->size);
    x->n = state->size;
    return step == x->stop_at ? AGON_EINTERRUPTED : AGON_OK;
}

/* Trains from the start or from `resume`, up to a step or to the end. */
static inline agon_status checkpoint_train(agon_ctx *ctx, const checkpoint_kind *kind, const byte_reader *resume, checkpoint_state *out) {
    static const int32_t prompt[] = {1, 2}, answers[][3] = {{3, 4, 5}, {6, 7, 8}, {9, 10, 3}, {4, 6, 8}};
    train_response responses[CHECKPOINT_ROWS];
    train_row rows[CHECKPOINT_ROWS];
    adapter *a[2] = {NULL, NULL};
    const train_sink sink = {.on_checkpoint = checkpoint_keep, .arg = out};
    train_options o = train_options_default();
    o.objective = objective_find(kind->objective);
    objective_defaults(o.objective, o.objective_options);
    o.batch_rows = 2;
    o.max_steps = CHECKPOINT_STEPS;
    o.checkpoint_every = 1;
    for (size_t i = 0; i < CHECKPOINT_ROWS; i++) {
        responses[i] = (train_response){.tokens = answers[i], .n = 3, .reward = (double)(i % 2), .advantage = i % 2 ? 1 : -1, .label = NAN, .weight = 1};
        rows[i] = (train_row){.prompt = prompt, .n_prompt = 2, .responses = &responses[i], .n_responses = 1, .weight = 1};
    }
    for (uint64_t i = 0; i < 1 + (uint64_t)kind->co_teach; i++) {
        const adapter_options how = {.rank = 1, .alpha = 2, .seed = i + 1};
        FUZZ_CHECK(adapter_new(ctx, fuzz_model(ctx), &how, &a[i]) == AGON_OK, "%s", agon_error(ctx));
    }
    o.selection = (train_selection){.tau = kind->tau, .ramp = 0.1, .co_teach = kind->co_teach, .partner = a[1]};
    agon_status s = train(ctx, (model *)(uintptr_t)fuzz_model(ctx), a[0], NULL, NULL, rows, CHECKPOINT_ROWS, &o, &sink, resume);
    adapter_free(a[0]);
    adapter_free(a[1]);
    return s;
}

/* The first byte chooses the training and (+ 128) leaves the checksum as it was; then edits of six bytes: where, what. A cut is an edit at
 * 65535. Nothing is refused but by a sentence about the training. */
static inline agon_status fuzz_checkpoint(agon_ctx *ctx, const uint8_t *data, size_t n) {
    static checkpoint_state half[CHECKPOINT_KINDS], whole[CHECKPOINT_KINDS];
    const size_t k = n ? data[0] % CHECKPOINT_KINDS : 0;
    const checkpoint_kind *kind = &checkpoint_kinds[k];
    checkpoint_state rest = {0};
    if (!half[k].data) {
        half[k].stop_at = 1;
        FUZZ_CHECK(checkpoint_train(ctx, kind, NULL, &half[k]) == AGON_EINTERRUPTED && checkpoint_train(ctx, kind, NULL, &whole[k]) == AGON_OK,
                   "%s: %s", kind->objective, agon_error(ctx));
    }
    size_t size = half[k].n;
    char *image = malloc(size);
    memcpy(image, half[k].data, size);
    for (size_t at = 1; at + 6 <= n; at += 6) {
        const size_t place = data[at] | (size_t)data[at + 1] << 8;
        if (place == 65535)
            size = size ? (data[at + 2] | (size_t)data[at + 3] << 8) % (size + 1) : 0;
        for (size_t i = 0; i < 4 && place != 65535 && size; i++)
            image[(place + i) % size] = (char)data[at + 2 + i];
    }
    const bool same = size == half[k].n && memcmp(image, half[k].data, size) == 0;
    if (n && data[0] < 128 && size >= 32) {
        hash256 check = hash_bytes(image, size - 32);
        memcpy(image + size - 32, check.bytes, 32);
    }
    char *exact = malloc(size ? size : 1);
    memcpy(exact, image, size);
    const byte_reader edited = byte_reader_of(exact, size);
    agon_status s = checkpoint_train(ctx, kind, &edited, &rest);
    FUZZ_CHECK(!s || (strlen(agon_error(ctx)) >= 20 && !strchr(agon_error(ctx), '\n') && s != AGON_ENOMEM), "%s: '%s'", agon_status_name(s), agon_error(ctx));
    FUZZ_CHECK(!same || (!s && rest.n == whole[k].n && memcmp(rest.data, whole[k].data, rest.n) == 0), "it goes on otherwise: %s", agon_error(ctx));
    free(rest.data);
    free(exact);
    free(image);
    return s;
}

#endif
