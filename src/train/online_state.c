/* The state of online training between rounds, all that it needs to go on to the same bits:
 *
 *   "AGONONL1" | identity 32 | rounds u64 | beta f64 | steps u64 | n moments u64 | adapter bytes u64 | moments f32 [2, n] | adapter |
 *   SHA-256 of everything before
 *
 * The identity is of the options that the result depends on: a state of others is refused. */
#include "train/online_private.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/hash.h"
#include "base/memory.h"
#include <stdlib.h>
#include <string.h>

static const char MAGIC[8] = {'A', 'G', 'O', 'N', 'O', 'N', 'L', '1'};
enum { HEAD_SIZE = 8 + 32 + 5 * 8 };

static hash256 identity_of(const online *o) {
    const online_options *p = &o->options;
    buffer b = {0};
    buffer_printf(&b, "%s|%zu|%zu|%zu|%.17g|%.17g|%.17g", p->train.objective->name, p->n_prompts, p->n_samples, p->max_tokens,
                  p->no_end_penalty, p->kl_target, p->kl_horizon);
    buffer_printf(&b, "|%zu|%zu|%zu|%.9g|%.9g|%.9g|%.9g|%.9g|%.9g|%d|%.17g|%.9g|%llu|%d", p->train.batch_rows, p->train.epochs,
                  p->train.max_steps, (double)p->train.lr, (double)p->train.beta1, (double)p->train.beta2, (double)p->train.eps,
                  (double)p->train.weight_decay, (double)p->train.clip_norm, (int)p->train.schedule, p->train.warmup,
                  (double)p->train.temperature, (unsigned long long)p->train.seed, (int)o->ctx->numerics);
    for (int i = 0; p->train.objective->options[i].name; i++)
        buffer_printf(&b, "|%.17g", i == o->beta ? 0 : p->train.objective_options[i]);
    if (p->schedule != SCHEDULE_CONSTANT)
        buffer_printf(&b, "|schedule %d %zu", (int)p->schedule, p->n_rounds);
    if (p->span_rewards)
        buffer_text(&b, "|spans");
    if (p->demonstrations)
        buffer_printf(&b, "|demonstrations %.17g", p->pass_reward);
    if (p->top_k)
        buffer_printf(&b, "|top_k %zu", p->top_k);
    for (size_t i = 0; i < p->n_stop; i++)
        buffer_printf(&b, "|stop %zu %s", strlen(p->stop[i]), p->stop[i]);
    if (o->n_accept)
        buffer_printf(&b, "|accept %zu %.17g", o->n_accept, p->rso_beta);
    hash256 id = b.failed ? (hash256){{0}} : hash_bytes(b.data, b.size);
    buffer_free(&b);
    return id;
}

agon_status online_store(online *o) {
    char *image = NULL;
    size_t n = 0;
    buffer b = {0};
    buffer_init(&b, (size_t)1 << 34);
    if (!o->sink->on_state)
        return AGON_OK;
    agon_status s = adapter_save(o->ctx, o->a, &image, &n);
    if (s)
        return s;
    hash256 id = identity_of(o);
    double beta = o->beta >= 0 ? o->options.train.objective_options[o->beta] : 0;
    const uint64_t numbers[] = {o->round, 0, o->moments.step, o->moments.n_values, n};
    buffer_append(&b, MAGIC, sizeof MAGIC);
    buffer_append(&b, id.bytes, sizeof id.bytes);
    buffer_append(&b, numbers, sizeof numbers);
    if (b.data)
        memcpy(b.data + 8 + 32 + 8, &beta, sizeof beta);
    buffer_append(&b, o->moments.first, o->moments.n_values * sizeof *o->moments.first);
    buffer_append(&b, o->moments.second, o->moments.n_values * sizeof *o->moments.second);
    buffer_append(&b, image, n);
    hash256 check_sum = b.failed ? id : hash_bytes(b.data, b.size);
    buffer_append(&b, check_sum.bytes, sizeof check_sum.bytes);
    s = b.failed ? online_no_memory(o) : o->sink->on_state(o->sink->arg, &o->report, b.data, b.size);
    buffer_free(&b);
    free(image);
    return s;
}

size_t online_state_rounds(const void *data, size_t n) {
    uint64_t rounds = 0;
    if (data && n >= HEAD_SIZE)
        memcpy(&rounds, (const char *)data + 40, sizeof rounds);
    return (size_t)rounds;
}

/* The stored adapter's values into ours: same shape, or the state is another's. */
static agon_status take_adapter(online *o, const char *data, size_t n) {
    adapter *stored = NULL;
    parameters from, to;
    agon_status s = adapter_load(o->ctx, o->m, "the online state", data, n, &stored);
    if (!s)
        s = adapter_parameters(o->ctx, stored, &from);
    if (!s)
        s = adapter_parameters(o->ctx, o->a, &to);
    for (size_t i = 0; !s && i < to.n; i++) {
        bool same = from.n == to.n && from.items[i].n_rows == to.items[i].n_rows &&
                    from.items[i].n_columns == to.items[i].n_columns && strcmp(from.items[i].name, to.items[i].name) == 0;
        if (!same)
            s = ctx_fail(o->ctx, AGON_EMISMATCH, "the online state belongs to an adapter of another shape");
        else
            memcpy(to.items[i].value, from.items[i].value, to.items[i].n_rows * to.items[i].n_columns * sizeof(float));
    }
    if (!s)
        adapter_changed(o->ctx, o->a);
    adapter_free(stored);
    return s;
}

agon_status online_restore(online *o, const char *data, size_t n) {
    uint64_t numbers[5];
    hash256 id = identity_of(o), check_sum;
    if (n < HEAD_SIZE + sizeof check_sum || memcmp(data, MAGIC, sizeof MAGIC) != 0)
        return ctx_fail(o->ctx, AGON_EFORMAT, "the online state is not one of this version");
    check_sum = hash_bytes(data, n - sizeof check_sum);
    if (memcmp(&check_sum, data + n - sizeof check_sum, sizeof check_sum) != 0)
        return ctx_fail(o->ctx, AGON_EFORMAT, "the online state is damaged: its checksum disagrees");
    if (memcmp(&id, data + 8, sizeof id) != 0)
        return ctx_fail(o->ctx, AGON_EMISMATCH, "the online state belongs to other options; start anew, or give back what it "
                        "was made with");
    memcpy(numbers, data + 40, sizeof numbers);
    size_t n_moments = numbers[3], bytes = size_mul(n_moments, 2 * sizeof(float));
    if (n != size_add(size_add(HEAD_SIZE + sizeof check_sum, bytes), numbers[4]))
        return ctx_fail(o->ctx, AGON_EFORMAT, "the online state has the wrong length");
    if (n_moments) {
        o->moments = (train_moments){memory_new(n_moments, sizeof(float)), memory_new(n_moments, sizeof(float)), n_moments, numbers[2]};
        if (!o->moments.first || !o->moments.second)
            return online_no_memory(o);
        memcpy(o->moments.first, data + HEAD_SIZE, bytes / 2);
        memcpy(o->moments.second, data + HEAD_SIZE + bytes / 2, bytes / 2);
    }
    o->round = numbers[0];
    if (o->beta >= 0)
        memcpy(&o->options.train.objective_options[o->beta], data + 48, sizeof(double));
    return take_adapter(o, data + HEAD_SIZE + bytes, numbers[4]);
}
