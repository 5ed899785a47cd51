/* Image of a checkpoint: opaque bytes that continue a run bit for bit. It is made while it is written and taken over while it is read, through a
 * buffer of IMAGE_PIECE, so that it is nowhere in memory.
 *
 *   "AGONTRN1" | identity 32 | next step u64 | n parameters u64 |
 *   per parameter: n values u64, values f32, first moments f32, second moments f32; the partner's behind the first learner's |
 *   where rows bring no log_probs at sampling: whether those of the start are known and have values u64, then of each such row its numbers f64
 *   (train_start.c) |
 *   where something is selected: how much was seen, kept, disagreed u64 |
 *   SHA-256 of everything before, 32
 *
 * Of several adapters (train_members.c): "AGONTRNM" | n members u64 | size u64 of each image | the images, each with its own identity and checksum.
 * Members may stand at different steps, when a training was stopped between two of them.
 *
 * Little-endian, as every supported CPU is. The schedule, the data order and the reference log_probs are
 * functions of options, data and step, so they need no room here. The identity (checkpoint.c) refuses other options,
 * data, weights or arithmetic before a byte is taken over. */
#include "train/train_private.h"
#include <stdlib.h>
#include <string.h>

static const char MAGIC[8] = {'A', 'G', 'O', 'N', 'T', 'R', 'N', '1'}, MAGIC_OF_SEVERAL[8] = {'A', 'G', 'O', 'N', 'T', 'R', 'N', 'M'};
enum { AT_IDENTITY = 8, AT_STEP = 40, AT_COUNT = 48, HEAD_SIZE = 56 };

/* ---- what is in it ---------------------------------------------------------------------------------- */

static size_t values_of(const parameter *p) {
    return p->n_rows * p->n_columns;
}

/* A parameter of either learner with its moments: the first learner's, then the partner's. */
typedef struct stored {
    parameter *parameter;
    float *moment1, *moment2;
} stored;

static size_t n_stored(const trainer *t) {
    return t->params.n + t->other.params.n;
}

static stored stored_at(const trainer *t, size_t i) {
    size_t own = t->params.n;
    return i < own ? (stored){&t->params.items[i], t->moment1[i], t->moment2[i]}
                   : (stored){&t->other.params.items[i - own], t->other.moment1[i - own], t->other.moment2[i - own]};
}

/* Room for a piece of any parameter of n trainers; new, NULL on memory. */
static float *new_rows(const trainer *t, size_t n) {
    size_t most = 1;
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < n_stored(&t[k]); i++) {
            size_t values = parameter_piece(stored_at(&t[k], i).parameter);
            most = values > most ? values : most;
        }
    return memory_raw(most, sizeof(float));
}

static size_t tally_size(const trainer *t) {
    return t->options->selection.tau > 0 ? 3 * sizeof(uint64_t) : 0;
}

static size_t start_size(const trainer *t) {
    size_t n = t->start ? sizeof(uint64_t) : 0;
    for (size_t i = 0; t->start && i < t->n_data; i++)
        n = size_add(n, size_mul(start_row_size(t, i), sizeof(double)));
    return n;
}

static size_t image_size(const trainer *t) {
    size_t n = size_add(HEAD_SIZE + tally_size(t) + sizeof(hash256), start_size(t));
    for (size_t i = 0; i < n_stored(t); i++)
        n = size_add(n, size_add(8, size_mul(values_of(stored_at(t, i).parameter), 3 * sizeof(float))));
    return n;
}

static size_t head_of_several_size(size_t n) {
    return sizeof MAGIC_OF_SEVERAL + sizeof(uint64_t) * (1 + n);
}

/* ---- writing ---------------------------------------------------------------------------------------- */

typedef struct image_writer {
    stream_add add;
    void *arg;
    hasher *check; /* of what is put; NULL: of nothing */
    char *piece;   /* [IMAGE_PIECE] */
    float *rows;   /* new_rows */
    size_t n;      /* bytes in piece */
    agon_status status;
} image_writer;

static void flush(image_writer *w) {
    if (w->status == AGON_OK && w->n > 0)
        w->status = w->add(w->arg, w->piece, w->n);
    w->n = 0;
}

static void put(image_writer *w, const void *data, size_t n) {
    for (size_t done = 0, part; done < n && w->status == AGON_OK; done += part) {
        const size_t room = IMAGE_PIECE - w->n;
        part = n - done < room ? n - done : room;
        memcpy(w->piece + w->n, (const char *)data + done, part);
        if (w->check)
            hasher_add(w->check, w->piece + w->n, part);
        w->n += part;
        if (w->n == IMAGE_PIECE)
            flush(w);
    }
}

static void put_u64(image_writer *w, uint64_t x) {
    put(w, &x, sizeof x);
}

static void put_values(image_writer *w, agon_ctx *ctx, const parameter *p) {
    for (size_t row = 0, n = 0; w->status == AGON_OK && parameter_next(p, &row, &n);) {
        parameter_get(ctx, p, row, n, w->rows);
        put(w, w->rows, n * p->n_columns * sizeof *w->rows);
    }
}

static void put_image(image_writer *w, const trainer *t) {
    w->check = hasher_new();
    if (!w->check) {
        w->status = ctx_no_memory(t->ctx);
        return;
    }
    put(w, MAGIC, sizeof MAGIC);
    put(w, t->identity.bytes, sizeof t->identity.bytes);
    put_u64(w, t->next_step);
    put_u64(w, n_stored(t));
    for (size_t i = 0; i < n_stored(t); i++) {
        stored x = stored_at(t, i);
        size_t bytes = values_of(x.parameter) * sizeof(float);
        put_u64(w, values_of(x.parameter));
        put_values(w, t->ctx, x.parameter);
        put(w, x.moment1, bytes);
        put(w, x.moment2, bytes);
    }
    if (t->start)
        put_u64(w, (t->start_known ? 1 : 0) | (t->start_valued ? 2 : 0));
    for (size_t i = 0; t->start && i < t->n_data; i++)
        put(w, t->start[i], start_row_size(t, i) * sizeof(double));
    if (tally_size(t)) {
        put_u64(w, t->tally.seen);
        put_u64(w, t->tally.kept);
        put_u64(w, t->tally.disagreed);
    }
    const hash256 check = hasher_end(w->check);
    w->check = NULL;
    put(w, check.bytes, sizeof check.bytes);
}

static agon_status write_image(const byte_stream *x, stream_add add, void *arg) {
    const train_image *image = x->of;
    const trainer *t = image->trainers;
    image_writer w = {.add = add, .arg = arg, .piece = malloc(IMAGE_PIECE), .rows = new_rows(t, image->n)};
    if (!w.piece || !w.rows)
        w.status = ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory for a checkpoint");
    if (image->several) {
        put(&w, MAGIC_OF_SEVERAL, sizeof MAGIC_OF_SEVERAL);
        put_u64(&w, image->n);
        for (size_t i = 0; i < image->n; i++)
            put_u64(&w, image_size(&t[i]));
    }
    for (size_t i = 0; i < image->n && w.status == AGON_OK; i++)
        put_image(&w, &t[i]);
    flush(&w);
    free(w.piece);
    free(w.rows);
    return w.status;
}

byte_stream image_stream(const train_image *x) {
    size_t n = x->several ? head_of_several_size(x->n) : 0;
    for (size_t i = 0; i < x->n; i++)
        n = size_add(n, image_size(&x->trainers[i]));
    return (byte_stream){write_image, x, n};
}

/* ---- reading ---------------------------------------------------------------------------------------- */

static agon_status get_u64(const trainer *t, const byte_reader *r, size_t at, uint64_t *out) {
    return byte_reader_read(t->ctx, r, at, out, sizeof *out);
}

/* Each parameter has its size. */
static agon_status check_sizes(const trainer *t, const byte_reader *r) {
    size_t at = HEAD_SIZE;
    for (size_t i = 0; i < n_stored(t); i++) {
        const parameter *p = stored_at(t, i).parameter;
        uint64_t n = 0;
        agon_status s = get_u64(t, r, at, &n);
        if (s != AGON_OK)
            return s;
        if (n != values_of(p))
            return ctx_fail(t->ctx, AGON_EFORMAT, "the training checkpoint's %s has another size", p->name);
        at += sizeof n + values_of(p) * 3 * sizeof(float);
    }
    return AGON_OK;
}

/* Whose state it is. */
static agon_status check_identity(trainer *t, const char *found) {
    hash256 named;
    if (memcmp(t->identity.bytes, found, sizeof t->identity) == 0)
        return AGON_OK;
    agon_status s = checkpoint_identity(t, true, &named); /* before trainings could be made longer, all states named their steps */
    if (s != AGON_OK || memcmp(named.bytes, found, sizeof named) == 0)
        return s;
    return ctx_fail(t->ctx, AGON_EMISMATCH, "the training checkpoint belongs to other options, data or weights; "
                    "start anew, or give back what it was made with");
}

/* Magic, checksum, identity, sizes: everything that can be refused before the state is touched. */
static agon_status check_image(trainer *t, const byte_reader *r) {
    char head[HEAD_SIZE] = {0};
    hash256 check, found;
    uint64_t step, count;
    agon_status s = AGON_OK;
    if (r->size >= HEAD_SIZE + sizeof check && (s = byte_reader_read(t->ctx, r, 0, head, sizeof head)) != AGON_OK)
        return s;
    if (memcmp(head, MAGIC, sizeof MAGIC) != 0)
        return ctx_fail(t->ctx, AGON_EFORMAT, "the training checkpoint is not one of this version");
    const byte_reader checked = byte_reader_part(r, 0, r->size - sizeof check);
    if ((s = byte_reader_read(t->ctx, r, checked.size, &check, sizeof check)) != AGON_OK || (s = byte_reader_hash(t->ctx, &checked, &found)) != AGON_OK)
        return s;
    if (memcmp(&check, &found, sizeof check) != 0)
        return ctx_fail(t->ctx, AGON_EFORMAT, "the training checkpoint is damaged: its checksum disagrees");
    if ((s = check_identity(t, head + AT_IDENTITY)) != AGON_OK)
        return s;
    memcpy(&step, head + AT_STEP, sizeof step);
    memcpy(&count, head + AT_COUNT, sizeof count);
    if (r->size != image_size(t) || count != n_stored(t))
        return ctx_fail(t->ctx, AGON_EFORMAT, "the training checkpoint has %zu bytes; these parameters need %zu", r->size, image_size(t));
    if (step > train_n_steps(t->options, t->n_data))
        return ctx_fail(t->ctx, AGON_EFORMAT, "the training checkpoint is damaged: it stands behind the last step");
    return check_sizes(t, r);
}

/* What is read in order. */
typedef struct image_reader {
    agon_ctx *ctx;
    const byte_reader *from;
    size_t at;
    float *rows; /* new_rows */
    agon_status status;
} image_reader;

static void get(image_reader *x, void *to, size_t n) {
    if (x->status == AGON_OK && n > 0)
        x->status = byte_reader_read(x->ctx, x->from, x->at, to, n);
    x->at += n;
}

static void get_values(image_reader *x, const parameter *p) {
    for (size_t row = 0, n = 0; x->status == AGON_OK && parameter_next(p, &row, &n);) {
        get(x, x->rows, n * p->n_columns * sizeof *x->rows);
        if (x->status == AGON_OK)
            parameter_set(x->ctx, p, row, n, x->rows);
    }
}

static void get_state(image_reader *x, trainer *t) {
    uint64_t step = 0, flags = 0, tally[3] = {0};
    x->at = AT_STEP;
    get(x, &step, sizeof step);
    x->at = HEAD_SIZE;
    for (size_t i = 0; i < n_stored(t); i++) {
        stored p = stored_at(t, i);
        size_t bytes = values_of(p.parameter) * sizeof(float);
        x->at += sizeof(uint64_t); /* its size, which was checked */
        get_values(x, p.parameter);
        get(x, p.moment1, bytes);
        get(x, p.moment2, bytes);
    }
    t->next_step = step;
    if (t->start) {
        get(x, &flags, sizeof flags);
        t->start_known = flags & 1, t->start_valued = flags & 2;
    }
    for (size_t i = 0; t->start && i < t->n_data; i++)
        get(x, t->start[i], start_row_size(t, i) * sizeof(double));
    get(x, tally, tally_size(t));
    t->tally = (selection_tally){tally[0], tally[1], tally[2]};
}

agon_status image_read(trainer *t, const byte_reader *r) {
    agon_status s = check_image(t, r);
    if (s != AGON_OK)
        return s;
    image_reader x = {.ctx = t->ctx, .from = r, .rows = new_rows(t, 1)};
    if (!x.rows)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory for a checkpoint");
    get_state(&x, t);
    free(x.rows);
    return x.status;
}

agon_status image_of_several(agon_ctx *ctx, const byte_reader *r, size_t n, byte_reader *parts) {
    char magic[sizeof MAGIC_OF_SEVERAL] = {0};
    uint64_t count = 0, size = 0;
    size_t at = head_of_several_size(n);
    agon_status s = AGON_OK;
    if (r->size >= at) {
        s = byte_reader_read(ctx, r, 0, magic, sizeof magic);
        if (s == AGON_OK)
            s = byte_reader_read(ctx, r, sizeof magic, &count, sizeof count);
    }
    if (s != AGON_OK)
        return s;
    if (memcmp(magic, MAGIC_OF_SEVERAL, sizeof magic) != 0 || count != n)
        return ctx_fail(ctx, AGON_EMISMATCH, "the training checkpoint is not one of %zu adapters; start anew, or give back what it was made with", n);
    for (size_t i = 0; i < n; i++, at += size) {
        s = byte_reader_read(ctx, r, sizeof magic + sizeof count + i * sizeof size, &size, sizeof size);
        if (s != AGON_OK)
            return s;
        if (size > r->size - at)
            return ctx_fail(ctx, AGON_EFORMAT, "the training checkpoint is cut short");
        parts[i] = byte_reader_part(r, at, size);
    }
    return at == r->size ? AGON_OK : ctx_fail(ctx, AGON_EFORMAT, "the training checkpoint is longer than its adapters");
}
