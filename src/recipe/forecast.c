/* The forecast's arithmetic, see forecast.h: each phase from the sizes that its own code allocates by. */
#include "recipe/forecast.h"
#include "base/available.h"
#include "base/ctx.h"
#include "base/memory.h"

static const char *const names[N_PHASES] = {"generation", "scoring", "training"};
static const char *const mends[N_PHASES] = {"use shorter prompts, fewer learner.max_tokens, or a smaller model",
                                            "use shorter queries and answers, or a smaller model",
                                            "use shorter rows, a smaller train.rank, or a smaller model"};

forecast forecast_new(agon_ctx *ctx, const model *m, size_t rank, size_t at_once) {
    return (forecast){.ctx = ctx, .m = m, .rank = rank, .at_once = at_once, .resident = memory_resident(), .room = memory_room(ctx)};
}

static size_t room_for_phase(const forecast *f) {
    return f->room == SIZE_MAX ? SIZE_MAX : f->room > f->kept ? f->room - f->kept : 0;
}

static void add(forecast *f, phase p, size_t least, size_t most) {
    phase_memory *x = &f->phases[p];
    least = size_add(f->kept, size_mul(least, f->at_once));
    most = size_add(f->kept, size_mul(most, f->at_once));
    x->least = least > x->least ? least : x->least;
    x->most = most > x->most ? most : x->most;
}

/* An adapter has its values and a pack of them. */
static size_t adapter_size(const forecast *f) {
    size_t packed = model_dtype(f->m) == COMPUTE_F32 ? sizeof(float) : sizeof(uint16_t);
    return size_mul(adapter_n_values(model_get_config(f->m), f->rank, f->targets), sizeof(float) + packed);
}

void forecast_keep(forecast *f, size_t n_adapters) {
    f->kept = size_add(f->kept, size_mul(n_adapters, adapter_size(f)));
}

void forecast_keep_adapter(forecast *f, const adapter *a) {
    f->kept = size_add(f->kept, adapter_bytes(a));
}

void forecast_generation(forecast *f, size_t requests, size_t samples, size_t prompt, size_t answer) {
    const generate_load load = {.requests = requests, .samples = samples, .prompt = prompt, .answer = answer, .rank = f->rank};
    if (requests == 0 || samples == 0)
        return;
    generate_memory n = generate_predict(f->ctx, f->m, &load, room_for_phase(f));
    add(f, PHASE_GENERATION, n.least, n.most);
}

void forecast_scoring(forecast *f, size_t n_tokens, size_t n_scored, bool kept) {
    if (n_tokens == 0)
        return;
    workspace_need n = workspace_predict(f->m, n_tokens, n_scored, f->rank, USE_FORWARD);
    add(f, PHASE_SCORING, n.scratch, n.scratch);
    if (kept)
        f->kept = size_add(f->kept, n.scratch);
}

void forecast_training(forecast *f, const train_row *rows, size_t n_rows, const train_options *o) {
    size_t limit, own = adapter_size(f);
    if (n_rows == 0)
        return;
    train_memory n = train_predict(f->m, adapter_n_values(model_get_config(f->m), f->rank, f->targets), f->rank, rows, n_rows, o);
    n.weights = 0; /* kept */
    size_t room = room_for_phase(f) == SIZE_MAX ? SIZE_MAX : room_for_phase(f) / f->at_once;
    size_t least = train_memory_total(&n, 0, &limit), most = train_memory_total(&n, room > own ? room - own : 0, &limit);
    add(f, PHASE_TRAINING, size_add(least, own), size_add(most, own));
}

phase forecast_peak(const forecast *f, size_t *bytes) {
    phase largest = PHASE_GENERATION;
    for (phase p = 0; p < N_PHASES; p++)
        if (f->phases[p].most > f->phases[largest].most)
            largest = p;
    *bytes = size_add(f->resident, f->phases[largest].most);
    return largest;
}

agon_status forecast_check(const forecast *f, const char *where) {
    phase largest = PHASE_GENERATION;
    char what[256];
    for (phase p = 0; p < N_PHASES; p++)
        if (f->phases[p].least > f->phases[largest].least)
            largest = p;
    snprintf(what, sizeof what, "%.200s: %s", where, names[largest]);
    return memory_check(f->ctx, f->phases[largest].least, what, mends[largest]);
}

static json_t *mib_or_null(size_t bytes, bool known) {
    return known ? json_integer((json_int_t)(bytes >> 20)) : json_null();
}

json_t *forecast_json(const forecast *f) {
    size_t bytes;
    phase peak = forecast_peak(f, &bytes);
    json_t *made = json_pack("{sI ss so}", "peak_mib", (json_int_t)(bytes >> 20), "phase", names[peak], "available_mib",
                             mib_or_null(size_add(f->resident, f->room), f->room != SIZE_MAX));
    for (phase p = 0; made && p < N_PHASES; p++) {
        char key[32];
        snprintf(key, sizeof key, "%s_mib", names[p]);
        json_object_set_new(made, key, mib_or_null(size_add(f->resident, f->phases[p].most), f->phases[p].most > 0));
    }
    return made;
}

void forecast_words(const forecast *f, char *text, size_t size) {
    size_t bytes, n;
    phase peak = forecast_peak(f, &bytes);
    n = (size_t)snprintf(text, size, "about %zu MiB at its peak (%s)", bytes >> 20, names[peak]);
    if (f->room != SIZE_MAX && n < size)
        snprintf(text + n, size - n, ", %zu MiB can be had", size_add(f->resident, f->room) >> 20);
}
