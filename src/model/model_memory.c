/* What a model, an adapter and a pass over a tree take, before any of it is allocated. */
#include "model/model_private.h"

size_t model_predict(const model_config *c, compute_dtype dtype) {
    size_t layer = 0;
    for (int k = 0; k < N_LINEARS; k++)
        layer = size_add(layer, matrix_predict(dtype, linear_n_out(c, (linear_kind)k), linear_n_in(c, (linear_kind)k)));
    size_t bytes = size_add(size_mul(c->n_layers, layer), size_mul(matrix_predict(dtype, c->n_vocabulary, c->d_model), c->tied_embeddings ? 1 : 2));
    return bytes;
}

/* Values of tensor i. */
static size_t tensor_values(const model_config *c, size_t i) {
    tensor_layout t;
    layout_get(c, i, &t);
    return size_mul(t.n_rows, t.n_columns);
}

size_t model_n_values(const model_config *c) {
    size_t sum = 0;
    for (size_t i = 0; i < layout_n(c); i++)
        sum = size_add(sum, tensor_values(c, i));
    return sum;
}

size_t model_train_bytes(const model_config *c, compute_dtype dtype) {
    size_t bytes = 0;
    for (size_t i = 0; i < layout_n(c); i++) {
        tensor_layout t;
        layout_get(c, i, &t);
        size_t n = size_mul(t.n_rows, t.n_columns);
        bytes = size_add(bytes, size_mul(n, sizeof(float)));
        bytes = size_add(bytes, t.vector ? size_mul(n, sizeof(float)) : matrix_masters_predict(dtype, t.n_rows, t.n_columns));
    }
    return bytes;
}

size_t model_largest_tensor(const model_config *c) {
    size_t largest = 0;
    for (size_t i = 0; i < layout_n(c); i++)
        largest = tensor_values(c, i) > largest ? tensor_values(c, i) : largest;
    return largest;
}

size_t adapter_n_values(const model_config *c, size_t rank, unsigned targets) {
    size_t sum = 0;
    targets = lora_targets_all(targets);
    for (int k = 0; k < N_LINEARS; k++)
        if (targets >> k & 1)
            sum = size_add(sum, linear_n_out(c, (linear_kind)k) + linear_n_in(c, (linear_kind)k));
    return size_mul(size_mul(sum, c->n_layers), rank);
}

workspace_need workspace_predict(const model *m, size_t n_tokens, size_t n_scored, size_t rank, workspace_use use) {
    const model_config *c = &m->config;
    size_t forward = size_add(forward_bytes(c, n_tokens, rank), score_bytes(c, n_scored, 0));
    if (use == USE_FORWARD)
        return (workspace_need){0, forward};
    size_t backward = backward_bytes(c, n_tokens, n_scored, rank);
    forward = size_add(layer_scratch_bytes(c, n_tokens, rank), score_bytes(c, n_scored, 0));
    size_t kept = use == USE_TRAINING ? kept_logits_bytes(c, n_scored) : 0;
    return (workspace_need){size_add(stored_bytes(c, n_tokens, n_scored, use == USE_TRAINING_RECOMPUTE), kept),
                            forward > backward ? forward : backward};
}
