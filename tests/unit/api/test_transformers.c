/* Small random models made by transformers, one an architecture, and what it computes with them (tests/golden/transformers, made by
 * scripts/reference/transformers_models.py): tokens, logits, log_probs, gradients, a greedy text; and the way back, to a folder
 * that holds what theirs holds.
 *
 * Tolerances. Both sides compute in f32 from the same weights and differ by the order of their sums: over rows of 30 to 60 products
 * and two layers that is about 2e-6 of the largest value, and 5e-6 of it is allowed. The last test shows that each part of a
 * model, done a little otherwise, moves the log_probs by a hundred times what is allowed. */
#include "../../vectors.h"
#include "../../weights_fixtures.h"
#include "api/models.h"
#include "base/random.h"
#include "model/model_private.h"

#define TOLERANCE 5e-6

enum { MOST_TOKENS = 64, MOST_LOGITS = 512 };
static const char *const architectures[] = {"llama", "smollm2", "mistral", "qwen2", "qwen3"};
enum { N_ARCHITECTURES = sizeof architectures / sizeof *architectures };

typedef struct fixture {
    const char *name;
    char path[2048];
    agon_ctx *ctx;
    json_t *expected;
    int32_t tokens[2][MOST_TOKENS]; /* the prompt and each of the two responses */
    size_t n[2], n_prompt;
} fixture;

static size_t read_tokens(const json_t *list, int32_t *out) {
    size_t n;
    double *values = vectors_list(list, &n);
    assert_true(n <= MOST_TOKENS);
    for (size_t i = 0; i < n; i++)
        out[i] = (int32_t)values[i];
    free(values);
    return n;
}

static const json_t *member(const fixture *f, const char *key) {
    const json_t *value = json_object_get(f->expected, key);
    if (!value)
        fail_msg("%s: expected.json has no '%s'", f->name, key);
    return value;
}

static fixture fixture_open(size_t architecture) {
    fixture f = {.name = architectures[architecture], .ctx = test_ctx(2, NULL)};
    char name[64];
    snprintf(name, sizeof name, "transformers/%s/expected.json", f.name);
    f.expected = vectors_load(name);
    snprintf(name, sizeof name, "transformers/%s", f.name);
    golden_path(f.path, name);
    for (size_t r = 0; r < 2; r++) {
        f.n_prompt = read_tokens(member(&f, "prompt"), f.tokens[r]);
        f.n[r] = f.n_prompt + read_tokens(json_array_get(member(&f, "responses"), r), f.tokens[r] + f.n_prompt);
    }
    return f;
}

static void fixture_close(fixture *f) {
    json_decref(f->expected);
    agon_ctx_free(f->ctx);
}

static agon_model *open_model(const fixture *f, const char *path, bool f32) {
    agon_model_options o = agon_model_options_default();
    agon_model *m = NULL;
    o.f32 = f32;
    assert_ok(f->ctx, agon_model_open(f->ctx, path, &o, &m));
    return m;
}

/* Everything in `got` within `part` of the largest `want`. */
static void assert_near(const fixture *f, const char *what, const double *got, const double *want, size_t n, double part) {
    double largest = 0, worst = 0;
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(want[i]));
        worst = fmax(worst, isfinite(got[i]) ? fabs(got[i] - want[i]) : INFINITY);
    }
    if (!(worst <= part * largest))
        fail_msg("%s: %s differ by %g, the largest is %g", f->name, what, worst, largest);
}

static void each_architecture(void (*check)(const fixture *f)) {
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        fixture f = fixture_open(i);
        check(&f);
        fixture_close(&f);
    }
}

/* ---- tokens, logits, log_probs, the greedy text: through agon.h -------------------------------------------------------- */

static void check_tokens(const fixture *f, const char *path) {
    const char *text = json_string_value(member(f, "text"));
    agon_tokenizer *t = NULL;
    int32_t *ids = NULL;
    size_t n, n_want;
    assert_ok(f->ctx, agon_tokenizer_open(f->ctx, path, NULL, &t));
    assert_ok(f->ctx, agon_tokenize(f->ctx, t, text, strlen(text), false, true, &ids, &n));
    double *want = vectors_list(member(f, "text_tokens"), &n_want);
    assert_int_equal(n, n_want);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ids[i], (int)want[i]);
    free(want);
    agon_tokens_free(ids);
    agon_tokenizer_free(t);
}

static void tokens_of(const fixture *f) {
    check_tokens(f, f->path);
}

static void transformers__tokens_are_theirs(void **state) {
    (void)state;
    each_architecture(tokens_of);
}

/* All logits after token `position` of the first response, [vocabulary]. */
static size_t logits_at(const fixture *f, const agon_model *m, size_t position, double logits[MOST_LOGITS]) {
    agon_score_request request = {.prompt = f->tokens[0], .n_prompt = position + 1};
    agon_score_result result;
    assert_ok(f->ctx, agon_score(f->ctx, m, NULL, &request, 1, 1, MOST_LOGITS, &result));
    size_t n = result.n_top;
    for (size_t i = 0; i < n; i++)
        logits[result.top[i].id] = (double)result.top[i].logit;
    agon_score_result_free(&result);
    return n;
}

/* Root mean square of the logits' distance from `want`, which is to be within `part` of the largest; INFINITY: any. */
static double check_logits(const fixture *f, const agon_model *m, double part) {
    const json_t *positions = member(f, "positions");
    double got[MOST_LOGITS], squares = 0;
    size_t total = 0;
    for (size_t i = 0; i < json_array_size(positions); i++) {
        size_t n, position = (size_t)json_integer_value(json_array_get(positions, i));
        double *want = vectors_list(json_array_get(member(f, "logits"), i), &n);
        assert_int_equal(logits_at(f, m, position, got), n);
        assert_near(f, "logits", got, want, n, part);
        for (size_t k = 0; k < n; k++)
            squares += (got[k] - want[k]) * (got[k] - want[k]);
        total += n;
        free(want);
    }
    return sqrt(squares / (double)total);
}

static void check_log_probs(const fixture *f, const agon_model *m) {
    agon_score_request request = {.completion = f->tokens[0], .n_completion = f->n[0]};
    agon_score_result result;
    double got[MOST_TOKENS];
    size_t n;
    double *want = vectors_list(member(f, "log_probs"), &n);
    assert_ok(f->ctx, agon_score(f->ctx, m, NULL, &request, 1, 1, 0, &result));
    assert_int_equal(n + 1, f->n[0]);
    for (size_t i = 0; i < n; i++)
        got[i] = (double)result.log_probs[i + 1];
    assert_near(f, "log_probs", got, want, n, TOLERANCE);
    agon_score_result_free(&result);
    free(want);
}

static void logits_of(const fixture *f) {
    agon_model *m = open_model(f, f->path, true);
    check_logits(f, m, TOLERANCE);
    check_log_probs(f, m);
    agon_model_free(m);
}

static void transformers__logits_and_log_probs_agree(void **state) {
    (void)state;
    each_architecture(logits_of);
}

static void check_greedy(const fixture *f, const agon_model *m) {
    agon_sampling sampling = agon_sampling_default();
    agon_generate_request request = {f->tokens[0], f->n_prompt, 1, 0, NULL, &sampling, NULL, false};
    agon_completion got;
    size_t n;
    double *want = vectors_list(member(f, "greedy"), &n);
    sampling.temperature = 0;
    sampling.max_tokens = n;
    sampling.ignore_stop_tokens = true;
    assert_ok(f->ctx, agon_generate(f->ctx, m, &request, 1, NULL, &got));
    assert_int_equal(got.n_tokens, n);
    for (size_t i = 0; i < n; i++)
        if (got.tokens[i] != (int32_t)want[i])
            fail_msg("%s: greedy token %zu is %d, want %d", f->name, i, (int)got.tokens[i], (int)want[i]);
    agon_completion_free(&got);
    free(want);
}

static void greedy_of(const fixture *f) {
    agon_model *m = open_model(f, f->path, true);
    check_greedy(f, m);
    agon_model_free(m);
}

static void transformers__greedy_text_agrees(void **state) {
    (void)state;
    each_architecture(greedy_of);
}

/* Mistral's window: agon runs such a model as far as the window reaches, where it attends to everything, and refuses more. */
static void transformers__a_text_beyond_the_window_is_refused(void **state) {
    (void)state;
    fixture f = fixture_open(2);
    agon_model *m = open_model(&f, f.path, true);
    int32_t tokens[65] = {0};
    agon_score_request request = {.completion = tokens, .n_completion = 64};
    agon_score_result result;
    assert_ok(f.ctx, agon_score(f.ctx, m, NULL, &request, 1, 1, 0, &result));
    agon_score_result_free(&result);
    request.n_completion = 65;
    assert_refused(f.ctx, agon_score(f.ctx, m, NULL, &request, 1, 1, 0, &result), AGON_EINVAL, "65 tokens", "context is 64");
    agon_model_free(m);
    fixture_close(&f);
}

/* ---- gradients ------------------------------------------------------------------------------------------------------------ */

/* The loss -sum mask log_prob / sum mask over a prompt (computed once) and its two responses; gradients are left in *all. */
static double run_backward(const fixture *f, agon_model *m, parameters *all) {
    float log_prob[2 * MOST_TOKENS], d[2 * MOST_TOKENS] = {0};
    double masked = 0, loss = 0, *mask[2];
    size_t n[2], at = f->n_prompt;
    workspace *w = NULL;
    segment s[3] = {{f->tokens[0], f->n_prompt, -1, NULL, WANT_LOG_PROB, 0}};
    for (size_t r = 0; r < 2; r++) {
        mask[r] = vectors_list(json_array_get(member(f, "masks"), r), &n[r]);
        assert_int_equal(n[r], f->n[r] - f->n_prompt);
        s[r + 1] = (segment){f->tokens[r] + f->n_prompt, n[r], 0, NULL, WANT_LOG_PROB, 0};
        for (size_t i = 0; i < n[r]; i++)
            masked += mask[r][i];
    }
    for (size_t r = 0; r < 2; at += n[r++])
        for (size_t i = 0; i < n[r]; i++)
            d[at + i] = (float)(-mask[r][i] / masked);
    segment_batch tree = {s, 3};
    token_channels out = {.log_prob = log_prob}, d_out = {.log_prob = d};
    assert_ok(f->ctx, model_make_trainable(f->ctx, m->m, all));
    assert_ok(f->ctx, workspace_new(f->ctx, 0, &w));
    assert_ok(f->ctx, model_forward_train(f->ctx, m->m, w, &tree, &out));
    assert_ok(f->ctx, model_backward(f->ctx, m->m, NULL, w, &tree, &d_out));
    for (size_t i = 0; i < at; i++)
        loss += (double)log_prob[i] * (double)d[i];
    workspace_free(w);
    free(mask[0]), free(mask[1]);
    return loss;
}

static const parameter *find_parameter(const fixture *f, const parameters *all, const char *name) {
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->items[i].name, name) == 0)
            return &all->items[i];
    fail_msg("%s: '%s' is not trained", f->name, name);
    return NULL;
}

static double norm_of(const parameter *p) {
    double squares = 0;
    for (size_t i = 0; i < p->n_rows * p->n_columns; i++)
        squares += (double)p->gradient[i] * (double)p->gradient[i];
    return sqrt(squares);
}

/* One tensor's gradient at the places that expected.json lists, against `values`. */
static double *gradient_at(const parameter *p, const json_t *tensor, size_t *n) {
    double *at = vectors_list(json_object_get(tensor, "at"), n), *got = calloc(*n, sizeof *got);
    for (size_t i = 0; i < *n; i++)
        got[i] = (double)p->gradient[(size_t)at[i]];
    free(at);
    return got;
}

/* A gradient sums a token's terms over 42 tokens and two layers: ten times the tolerance of a logit. */
static void gradients_of(const fixture *f) {
    agon_model *m = open_model(f, f->path, true);
    const json_t *list = member(f, "gradients"), *tensor;
    parameters all;
    size_t i, n;
    assert_close(run_backward(f, m, &all), vectors_number(f->expected, "loss"), TOLERANCE);
    assert_int_equal(all.n, json_array_size(list));
    json_array_foreach(list, i, tensor) {
        const parameter *p = find_parameter(f, &all, json_string_value(json_object_get(tensor, "name")));
        double *got = gradient_at(p, tensor, &n), *want = vectors_list(json_object_get(tensor, "values"), &n), norm = norm_of(p);
        assert_near(f, p->name, got, want, n, 10 * TOLERANCE);
        double want_norm = vectors_number(tensor, "norm");
        if (!(fabs(norm - want_norm) <= TOLERANCE * want_norm))
            fail_msg("%s: the gradient of %s has norm %g, want %g", f->name, p->name, norm, want_norm);
        free(got), free(want);
    }
    agon_model_free(m);
}

static void transformers__gradients_agree(void **state) {
    (void)state;
    each_architecture(gradients_of);
}

/* ---- bf16 ----------------------------------------------------------------------------------------------------------------- */

/* Both round to bf16, at other places, so they can only be compared by how far each is from f32. */
static void bf16_logits_of(const fixture *f, const agon_model *m) {
    double ours = check_logits(f, m, INFINITY), squares = 0;
    size_t total = 0, n;
    for (size_t i = 0; i < json_array_size(member(f, "logits")); i++) {
        double *exact = vectors_list(json_array_get(member(f, "logits"), i), &n);
        double *rounded = vectors_list(json_array_get(member(f, "logits_bf16"), i), &n);
        for (size_t k = 0; k < n; k++)
            squares += (exact[k] - rounded[k]) * (exact[k] - rounded[k]);
        total += n;
        free(exact), free(rounded);
    }
    double theirs = sqrt(squares / (double)total);
    if (!(ours <= theirs) || !(ours > 0))
        fail_msg("%s: logits in bf16 are %g from f32, those of transformers %g", f->name, ours, theirs);
}

static void bf16_gradients_of(const fixture *f, agon_model *m) {
    const json_t *list = member(f, "gradients"), *tensor;
    double ours = 0, theirs = 0; /* squares of the distances, each tensor in units of its norm */
    parameters all;
    size_t i, n;
    run_backward(f, m, &all);
    json_array_foreach(list, i, tensor) {
        const parameter *p = find_parameter(f, &all, json_string_value(json_object_get(tensor, "name")));
        double *got = gradient_at(p, tensor, &n), *exact = vectors_list(json_object_get(tensor, "values"), &n);
        double *rounded = vectors_list(json_object_get(tensor, "values_bf16"), &n), norm = vectors_number(tensor, "norm");
        for (size_t k = 0; k < n; k++) {
            ours += pow((got[k] - exact[k]) / norm, 2);
            theirs += pow((rounded[k] - exact[k]) / norm, 2);
        }
        free(got), free(exact), free(rounded);
    }
    if (!(ours <= theirs) || !(ours > 0))
        fail_msg("%s: gradients in bf16 are %g from f32, those of transformers %g", f->name, sqrt(ours), sqrt(theirs));
}

static void bf16_of(const fixture *f) {
    agon_model *m = open_model(f, f->path, false);
    bf16_logits_of(f, m);
    bf16_gradients_of(f, m);
    agon_model_free(m);
}

static void transformers__bf16_is_no_further_from_f32_than_theirs(void **state) {
    (void)state;
    each_architecture(bf16_of);
}

/* ---- the way back ----------------------------------------------------------------------------------------------------------- */

static void same_tensors(const fixture *f, const weights *a, const weights *b) {
    assert_int_equal(weights_n_tensors(a), weights_n_tensors(b));
    for (size_t i = 0; i < weights_n_tensors(a); i++) {
        tensor_info t = weights_tensor(a, i);
        size_t n = t.n_rows * t.n_columns, bytes = n * sizeof(float);
        float *x = malloc(2 * bytes);
        assert_ok(f->ctx, weights_read(f->ctx, a, t.name, n, x));
        assert_ok(f->ctx, weights_read(f->ctx, b, t.name, n, x + n));
        if (memcmp(x, x + n, bytes) != 0)
            fail_msg("%s: %s came back with other values", f->name, t.name);
        free(x);
    }
}

/* All that this program knows of a config.json, which is all that decides what a model computes. */
static void same_config(const model_config *a, const model_config *b) {
    fixture_same_config(a, b);
    assert_string_equal(a->architecture, b->architecture);
    assert_true(a->rope_low_freq_factor == b->rope_low_freq_factor && a->rope_high_freq_factor == b->rope_high_freq_factor);
    assert_true(a->rope_original_context == b->rope_original_context);
    assert_int_equal(a->sliding_window, b->sliding_window);
}

/* The folder written from theirs says the same of the model: the class that loads it, every tensor in its type, the tokenizer. */
static void export_of(const fixture *f) {
    fixture_folder scratch = fixture_folder_new();
    agon_model *m = open_model(f, f->path, true);
    char folder[256], theirs_path[2100], ours_path[300], *json = NULL;
    weights *theirs = NULL, *ours = NULL;
    assert_ok(f->ctx, weights_open(f->ctx, f->path, &theirs));
    const char *type = weights_tensor(theirs, 0).type;
    fixture_path(folder, &scratch, "hf");
    assert_ok(f->ctx, agon_export(f->ctx, m, NULL, "hf", strcmp(type, "F32") == 0 ? "f32" : strcmp(type, "F16") == 0 ? "f16" : "bf16",
                                  folder, &json));
    assert_ok(f->ctx, weights_open(f->ctx, folder, &ours));
    assert_string_equal(weights_tensor(ours, 0).type, type);
    same_config(weights_config(theirs), weights_config(ours));
    same_tensors(f, theirs, ours);
    check_tokens(f, folder);
    snprintf(theirs_path, sizeof theirs_path, "%s/config.json", f->path);
    snprintf(ours_path, sizeof ours_path, "%s/config.json", folder);
    json_t *a = json_load_file(theirs_path, 0, NULL), *b = json_load_file(ours_path, 0, NULL);
    assert_true(json_equal(json_object_get(a, "architectures"), json_object_get(b, "architectures")));
    assert_true(json_equal(json_object_get(a, "model_type"), json_object_get(b, "model_type")));
    json_decref(a), json_decref(b);
    agon_text_free(json);
    weights_free(theirs), weights_free(ours);
    agon_model_free(m);
    fixture_remove(&scratch);
}

static void transformers__an_exported_folder_holds_what_theirs_does(void **state) {
    (void)state;
    each_architecture(export_of);
}

static void gguf_of(const fixture *f) {
    fixture_folder scratch = fixture_folder_new();
    agon_model *m = open_model(f, f->path, true);
    char path[256], *json = NULL;
    fixture_path(path, &scratch, "m.gguf");
    assert_ok(f->ctx, agon_export(f->ctx, m, NULL, "gguf", "f32", path, &json));
    agon_model *back = open_model(f, path, true);
    check_logits(f, back, TOLERANCE);
    check_greedy(f, back);
    check_tokens(f, path);
    agon_text_free(json);
    agon_model_free(m), agon_model_free(back);
    fixture_remove(&scratch);
}

static void transformers__a_gguf_of_it_computes_the_same(void **state) {
    (void)state;
    each_architecture(gguf_of);
}

/* ---- that all of this would show a mistake ------------------------------------------------------------------------------- */

/* One thing done otherwise: in the configuration, or in one tensor of the first layer. */
typedef struct mistake {
    const char *name, *architecture; /* NULL: all */
    void (*config)(model_config *c);
    const char *tensor; /* of model.layers.0 */
    void (*values)(const model_config *c, float *values, size_t n);
} mistake;

static void larger_eps(model_config *c) { c->norm_eps *= 1.25f; }
static void other_theta(model_config *c) { c->rope_theta *= 1.25; }
static void no_scaling(model_config *c) { c->rope_scaling[0] = 0; }
static void half_factor(model_config *c) { c->rope_factor /= 2; }
static void other_bounds(model_config *c) { c->rope_low_freq_factor *= 2; }
static void no_bias(model_config *c) { c->qkv_bias = false; }
static void no_qk_norm(model_config *c) { c->qk_norm = false; }
static void tied(model_config *c) { c->tied_embeddings = true; }

static void zeros(const model_config *c, float *values, size_t n) {
    (void)c;
    memset(values, 0, n * sizeof *values);
}

/* Halves of a head interleaved: the layout of the rotary pairs in the original Llama weights and in GGUF. */
static void interleaved(const model_config *c, float *values, size_t n) {
    size_t columns = c->d_model, half = c->head_dim / 2;
    float *copy = malloc(n * sizeof *copy);
    memcpy(copy, values, n * sizeof *copy);
    for (size_t row = 0; row < n / columns; row++) {
        size_t head = row / c->head_dim, i = row % c->head_dim;
        memcpy(values + row * columns, copy + (head * c->head_dim + i / 2 + i % 2 * half) * columns, columns * sizeof *copy);
    }
    free(copy);
}

/* The heads in another order: queries that read other keys. */
static void heads_turned(const model_config *c, float *values, size_t n) {
    size_t head = c->head_dim * c->d_model;
    float *copy = malloc(n * sizeof *copy);
    memcpy(copy, values, n * sizeof *copy);
    for (size_t i = 0; i < n; i++)
        values[i] = copy[(i + head) % n];
    free(copy);
}

static const mistake mistakes[] = {
    {"eps of the norms", NULL, larger_eps, NULL, NULL},
    {"base of RoPE", NULL, other_theta, NULL, NULL},
    {"layout of RoPE in q", NULL, NULL, "self_attn.q_proj.weight", interleaved},
    {"layout of RoPE in k", NULL, NULL, "self_attn.k_proj.weight", interleaved},
    {"order of the query heads", NULL, NULL, "self_attn.q_proj.weight", heads_turned},
    {"order of the key heads", "smollm2", NULL, "self_attn.k_proj.weight", heads_turned},
    {"norm before the MLP", NULL, NULL, "post_attention_layernorm.weight", zeros},
    {"no scaling of RoPE", "llama", no_scaling, NULL, NULL},
    {"factor of the scaling", "llama", half_factor, NULL, NULL},
    {"bounds of the scaling", "llama", other_bounds, NULL, NULL},
    {"head tied to the embedding", "llama", tied, NULL, NULL},
    {"head tied to the embedding", "mistral", tied, NULL, NULL},
    {"no biases", "qwen2", no_bias, NULL, NULL},
    {"no bias of q", "qwen2", NULL, "self_attn.q_proj.bias", zeros},
    {"no bias of k", "qwen2", NULL, "self_attn.k_proj.bias", zeros},
    {"no bias of v", "qwen2", NULL, "self_attn.v_proj.bias", zeros},
    {"no norms of q and k", "qwen3", no_qk_norm, NULL, NULL},
    {"norm of q", "qwen3", NULL, "self_attn.q_norm.weight", zeros},
    {"norm of k", "qwen3", NULL, "self_attn.k_norm.weight", zeros},
};

typedef struct mistaken {
    const weights *w;
    const mistake *what;
} mistaken;

static agon_status mistaken_tensor(void *arg, agon_ctx *ctx, const char *name, size_t n, float *out) {
    const mistaken *x = arg;
    char changed[128];
    agon_status s = weights_read(ctx, x->w, name, n, out);
    snprintf(changed, sizeof changed, "model.layers.0.%s", x->what && x->what->tensor ? x->what->tensor : "");
    if (!s && strcmp(name, changed) == 0)
        x->what->values(weights_config(x->w), out, n);
    return s;
}

/* Log_probs of the first response, with a mistake or (NULL) without. */
static void log_probs_with(const fixture *f, const weights *w, const mistake *what, float log_prob[MOST_TOKENS]) {
    model_config c = *weights_config(w);
    mistaken source = {w, what};
    model *m = NULL;
    workspace *work = NULL;
    segment s = {f->tokens[0], f->n[0], -1, NULL, WANT_LOG_PROB, 0};
    segment_batch b = {&s, 1};
    token_channels out = {.log_prob = log_prob};
    if (what && what->config)
        what->config(&c);
    assert_ok(f->ctx, model_build(f->ctx, &c, mistaken_tensor, &source, COMPUTE_F32, &m));
    assert_ok(f->ctx, workspace_new(f->ctx, 0, &work));
    assert_ok(f->ctx, model_forward(f->ctx, m, work, &b, &out));
    workspace_free(work);
    model_free(m);
}

static void mistakes_of(const fixture *f) {
    float right[MOST_TOKENS], wrong[MOST_TOKENS];
    weights *w = NULL;
    assert_ok(f->ctx, weights_open(f->ctx, f->path, &w));
    log_probs_with(f, w, NULL, right);
    for (size_t k = 0; k < sizeof mistakes / sizeof *mistakes; k++) {
        double largest = 0, worst = 0;
        if (mistakes[k].architecture && strcmp(mistakes[k].architecture, f->name) != 0)
            continue;
        log_probs_with(f, w, &mistakes[k], wrong);
        for (size_t i = 0; i < f->n[0]; i++) {
            largest = fmax(largest, fabs((double)right[i]));
            worst = fmax(worst, fabs((double)right[i] - (double)wrong[i]));
        }
        if (!(worst > 100 * TOLERANCE * largest))
            fail_msg("%s: '%s' changes the log_probs by %g only, of %g", f->name, mistakes[k].name, worst, largest);
    }
    weights_free(w);
}

static void transformers__a_mistake_in_any_part_shows(void **state) {
    (void)state;
    each_architecture(mistakes_of);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transformers__tokens_are_theirs),
        cmocka_unit_test(transformers__logits_and_log_probs_agree),
        cmocka_unit_test(transformers__greedy_text_agrees),
        cmocka_unit_test(transformers__a_text_beyond_the_window_is_refused),
        cmocka_unit_test(transformers__gradients_agree),
        cmocka_unit_test(transformers__bf16_is_no_further_from_f32_than_theirs),
        cmocka_unit_test(transformers__an_exported_folder_holds_what_theirs_does),
        cmocka_unit_test(transformers__a_gguf_of_it_computes_the_same),
        cmocka_unit_test(transformers__a_mistake_in_any_part_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
