/* The bytes of a checkpoint: those that the format says, put together here from what the training left, in pieces that are small beside it; and what is read
 * back is refused or taken whole, from memory or a file. */
#include "base/buffer.h"
#include "trainer.h"
#include "train/train_private.h"
#include <unistd.h>

enum { N_ROWS = 8, N_PROMPT = 4, N_RESPONSE = 5, STEPS = 3 };

typedef struct world {
    agon_ctx *ctx;
    model *m;
    adapter *a; /* NULL: all weights are trained */
    int32_t tokens[N_ROWS][N_PROMPT + N_RESPONSE];
    train_response responses[N_ROWS];
    train_row rows[N_ROWS];
    train_options o;
    train_moments moments;
    selection_tally tally;
    record kept;
    size_t n_pieces, largest;
} world;

/* Some MB of state, of an adapter or of all weights, whose values are in halves. */
static void world_new(world *w, bool full) {
    model_config c = tiny_config();
    memset(w, 0, sizeof *w);
    c.d_model = 64, c.d_ff = 200;
    c.n_vocabulary = full ? 3001 : 61;
    w->ctx = test_ctx(1, NULL);
    w->m = tiny_model(w->ctx, &c, COMPUTE_BF16);
    if (!full)
        w->a = tiny_adapter(w->ctx, w->m, 62, 3);
    for (size_t i = 0; i < N_ROWS; i++) {
        tiny_tokens(w->tokens[i], N_PROMPT + N_RESPONSE, i);
        w->responses[i] = (train_response){.tokens = w->tokens[i] + N_PROMPT, .n = N_RESPONSE, .reward = NAN, .advantage = NAN, .label = NAN, .weight = 1};
        w->rows[i] = (train_row){.prompt = w->tokens[i], .n_prompt = N_PROMPT, .responses = &w->responses[i], .n_responses = 1, .weight = 1};
    }
    w->o = trainer_options("sft");
    w->o.batch_rows = 4, w->o.max_steps = STEPS, w->o.lr = 1e-3f, w->o.seed = 11;
    w->o.moments = &w->moments;
    w->o.selection.tau = 0.25, w->o.selection.tally = &w->tally;
}

static void world_free(world *w) {
    free(w->moments.first), free(w->moments.second);
    free(w->kept.state);
    adapter_free(w->a);
    model_free(w->m);
    agon_ctx_free(w->ctx);
}

static agon_status count_piece(void *arg, const void *data, size_t n) {
    world *w = arg;
    (void)data;
    w->n_pieces++;
    w->largest = n > w->largest ? n : w->largest;
    return AGON_OK;
}

static agon_status keep_state(void *arg, size_t step, const byte_stream *state) {
    world *w = arg;
    record_stream(&w->kept, step, state);
    w->n_pieces = w->largest = 0;
    return state->write(state, count_piece, w);
}

static agon_status train_world(world *w, const byte_reader *resume) {
    const train_sink sink = {.on_checkpoint = keep_state, .arg = w};
    return train(w->ctx, w->m, w->a, NULL, NULL, w->rows, N_ROWS, &w->o, &sink, resume);
}

static void append_u64(buffer *b, uint64_t x) {
    buffer_append(b, &x, sizeof x);
}

/* All but the identity, which is taken from the image. */
static void check_bytes(world *w) {
    parameters p;
    buffer b = {0};
    size_t at = 0;
    assert_ok(w->ctx, w->a ? adapter_parameters(w->ctx, w->a, &p) : model_make_trainable(w->ctx, w->m, &p));
    buffer_append(&b, "AGONTRN1", 8);
    buffer_append(&b, w->kept.state + 8, 32);
    append_u64(&b, STEPS);
    append_u64(&b, p.n);
    for (size_t i = 0; i < p.n; i++) {
        const size_t n = p.items[i].n_rows * p.items[i].n_columns;
        append_u64(&b, n);
        float *values = NULL;
        assert_ok(w->ctx, parameter_copy(w->ctx, &p.items[i], &values));
        buffer_append(&b, values, n * sizeof(float));
        free(values);
        buffer_append(&b, w->moments.first + at, n * sizeof(float));
        buffer_append(&b, w->moments.second + at, n * sizeof(float));
        at += n;
    }
    assert_int_equal(at, w->moments.n_values);
    append_u64(&b, w->tally.seen), append_u64(&b, w->tally.kept), append_u64(&b, w->tally.disagreed);
    const hash256 check = hash_bytes(b.data, b.size);
    buffer_append(&b, check.bytes, sizeof check.bytes);
    assert_false(b.failed);
    assert_int_equal(w->kept.n, b.size);
    assert_memory_equal(w->kept.state, b.data, b.size);
    buffer_free(&b);
}

static void image__is_what_the_format_says(void **state) {
    (void)state;
    for (int full = 0; full < 2; full++) {
        world w;
        world_new(&w, full);
        assert_ok(w.ctx, train_world(&w, NULL));
        check_bytes(&w);
        assert_true(w.tally.kept > 0 && w.tally.kept < w.tally.seen);
        world_free(&w);
    }
}

/* Nobody makes room for the whole of it. */
static void image__comes_in_small_pieces(void **state) {
    (void)state;
    for (int full = 0; full < 2; full++) {
        world w;
        world_new(&w, full);
        assert_ok(w.ctx, train_world(&w, NULL));
        assert_true(w.kept.n > 6 * IMAGE_PIECE);
        assert_true(w.largest <= IMAGE_PIECE);
        assert_int_equal(w.n_pieces, (w.kept.n + IMAGE_PIECE - 1) / IMAGE_PIECE);
        world_free(&w);
    }
}

static agon_status refuse_third(void *arg, const void *data, size_t n) {
    world *w = arg;
    (void)data, (void)n;
    return ++w->n_pieces == 3 ? AGON_EIO : AGON_OK;
}

static agon_status write_third(void *arg, size_t step, const byte_stream *state) {
    world *w = arg;
    (void)step;
    w->n_pieces = 0;
    return state->write(state, refuse_third, w);
}

/* What a disk says ends the training, and no piece is tried behind it. */
static void image__that_cannot_be_written__ends_the_training(void **state) {
    (void)state;
    world w;
    world_new(&w, false);
    const train_sink sink = {.on_checkpoint = write_third, .arg = &w};
    assert_int_equal(train(w.ctx, w.m, w.a, NULL, NULL, w.rows, N_ROWS, &w.o, &sink, NULL), AGON_EIO);
    assert_int_equal(w.n_pieces, 3);
    world_free(&w);
}

/* From a file as from memory. A damaged value is found before any is taken. */
static void image__is_taken_whole_or_not_at_all(void **state) {
    (void)state;
    char path[] = "/tmp/agon-image-XXXXXX";
    world w, whole;
    byte_reader r = {0};
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    world_new(&whole, false);
    assert_ok(whole.ctx, train_world(&whole, NULL));
    world_new(&w, false);
    const hash256 before = adapter_hash(w.a), after = adapter_hash(whole.a);
    assert_memory_not_equal(&before, &after, sizeof before);

    whole.kept.state[whole.kept.n - 300] ^= 1;
    assert_ok(w.ctx, file_write(w.ctx, path, whole.kept.state, whole.kept.n));
    assert_ok(w.ctx, byte_reader_open(w.ctx, path, &r));
    assert_int_equal(train_world(&w, &r), AGON_EFORMAT);
    assert_non_null(strstr(agon_error(w.ctx), "its checksum disagrees"));
    byte_reader_close(&r);
    adapter_changed(w.ctx, w.a);
    const hash256 still = adapter_hash(w.a);
    assert_memory_equal(&before, &still, sizeof before);

    whole.kept.state[whole.kept.n - 300] ^= 1;
    assert_ok(w.ctx, file_write(w.ctx, path, whole.kept.state, whole.kept.n));
    assert_ok(w.ctx, byte_reader_open(w.ctx, path, &r));
    assert_ok(w.ctx, train_world(&w, &r)); /* nothing is left to do */
    byte_reader_close(&r);
    const hash256 taken = adapter_hash(w.a);
    assert_memory_equal(&after, &taken, sizeof after);
    assert_memory_equal(w.moments.first, whole.moments.first, whole.moments.n_values * sizeof(float));
    assert_memory_equal(w.moments.second, whole.moments.second, whole.moments.n_values * sizeof(float));
    assert_memory_equal(&w.tally, &whole.tally, sizeof w.tally);
    unlink(path);
    world_free(&whole);
    world_free(&w);
}

/* Of several: in order behind their sizes; others than these, cut or with something behind them are refused. */
static void image__of_several__is_its_parts(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    const uint64_t head[] = {2, 3, 5};
    char bytes[8 + sizeof head + 8 + 1] = "AGONTRNM";
    byte_reader parts[3];
    char part[5];
    memcpy(bytes + 8, head, sizeof head);
    memcpy(bytes + 8 + sizeof head, "abcdefgh", 9);
    byte_reader r = byte_reader_of(bytes, sizeof bytes - 1);
    assert_ok(ctx, image_of_several(ctx, &r, 2, parts));
    assert_int_equal(parts[0].size, 3);
    assert_ok(ctx, byte_reader_read(ctx, &parts[1], 0, part, 5));
    assert_memory_equal(part, "defgh", 5);
    assert_int_equal(byte_reader_read(ctx, &parts[0], 0, part, 4), AGON_EFORMAT);
    assert_int_equal(image_of_several(ctx, &r, 3, parts), AGON_EMISMATCH);
    assert_int_equal(image_of_several(ctx, &r, 1, parts), AGON_EMISMATCH);
    for (size_t n = 0; n < r.size; n++) {
        const byte_reader cut = byte_reader_part(&r, 0, n);
        assert_int_equal(image_of_several(ctx, &cut, 2, parts), n < 32 ? AGON_EMISMATCH : AGON_EFORMAT);
    }
    r.size++;
    assert_int_equal(image_of_several(ctx, &r, 2, parts), AGON_EFORMAT);
    agon_ctx_free(ctx);
}

/* A constant rate, and every row from the start: no step depends on how many there are. */
static void world_may_grow(world *w, size_t n_steps) {
    world_new(w, false);
    w->o.schedule = SCHEDULE_CONSTANT, w->o.warmup = 0, w->o.selection = (train_selection){0}, w->o.max_steps = n_steps;
}

/* Whose steps depend on one another's number, theirs is in the identity; others' states go on in a training of more, and say nothing of theirs but where an
 * earlier agon wrote them, which is taken for as many alone. */
static void image__of_a_training_that_may_grow__says_no_steps(void **state) {
    (void)state;
    world whole, w, more;
    hash256 named;
    world_may_grow(&whole, STEPS);
    assert_ok(whole.ctx, train_world(&whole, NULL));
    const byte_reader plain = byte_reader_of(whole.kept.state, whole.kept.n);
    world_may_grow(&more, STEPS + 1);
    assert_ok(more.ctx, train_world(&more, &plain));
    world_free(&more);

    world_may_grow(&w, STEPS);
    trainer t = {.ctx = w.ctx, .m = w.m, .train = w.a, .data = w.rows, .n_data = N_ROWS, .options = &w.o};
    assert_ok(w.ctx, trainer_open(&t));
    assert_ok(w.ctx, checkpoint_identity(&t, true, &named));
    assert_memory_not_equal(&named, &t.identity, sizeof named);
    trainer_close(&t);
    memcpy(whole.kept.state + 8, &named, sizeof named);
    const hash256 check = hash_bytes(whole.kept.state, whole.kept.n - sizeof check);
    memcpy(whole.kept.state + whole.kept.n - sizeof check, &check, sizeof check);
    assert_ok(w.ctx, train_world(&w, &plain));
    const hash256 after = adapter_hash(whole.a), taken = adapter_hash(w.a);
    assert_memory_equal(&after, &taken, sizeof after);
    world_may_grow(&more, STEPS + 1);
    assert_int_equal(train_world(&more, &plain), AGON_EMISMATCH);
    world_free(&more);
    world_free(&whole);
    world_free(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image__is_what_the_format_says),
        cmocka_unit_test(image__comes_in_small_pieces),
        cmocka_unit_test(image__that_cannot_be_written__ends_the_training),
        cmocka_unit_test(image__is_taken_whole_or_not_at_all),
        cmocka_unit_test(image__of_several__is_its_parts),
        cmocka_unit_test(image__of_a_training_that_may_grow__says_no_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
