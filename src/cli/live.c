/* The live view of a run, see live.h. It is drawn at most five times a second below whatever was printed before, so that
 * messages scroll away above it; every line is cut to the width the terminal has at that moment. */
#include "cli/live.h"
#include "cli/cli.h"
#include "cli/terminal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STAGES = 8, NAME = 32 };
#define DRAW_EVERY 0.2  /* seconds */
#define JSON_EVERY 0.5
#define PLAIN_EVERY 10.0

typedef struct stage_done {
    char name[NAME], unit[NAME];
    size_t n;
    double seconds;
} stage_done;

struct live {
    live_mode mode;
    const char *title;
    double started, drawn; /* monotonic seconds */
    int64_t iteration;
    char stage[NAME], unit[NAME];
    double stage_started;
    size_t first, done, total; /* first: done when this process began the stage (resumed runs begin late) */
    double loss; /* of the last step of a training; NAN: none */
    stage_done past[STAGES];
    size_t n_past;
    json_t *families, *attack;
    size_t lines, columns; /* of the last drawing */
};

live *live_new(live_mode mode, const char *title) {
    live *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->mode = mode;
    l->title = title;
    l->started = l->stage_started = seconds_now();
    l->loss = NAN;
    return l;
}

void live_free(live *l) {
    if (!l)
        return;
    json_decref(l->families);
    json_decref(l->attack);
    free(l);
}

const char *duration_text(double seconds, char out[32]) {
    long s = seconds > 0 && seconds < 1e8 ? (long)(seconds + 0.5) : 0;
    if (s < 60)
        snprintf(out, 32, "%ld s", s);
    else if (s < 3600)
        snprintf(out, 32, "%ld min %02ld s", s / 60, s % 60);
    else
        snprintf(out, 32, "%ld h %02ld min", s / 3600, s / 60 % 60);
    return out;
}

/* ---- the state ----------------------------------------------------------------------------------------- */

static void end_stage(live *l) {
    if (!*l->stage)
        return;
    if (l->n_past == STAGES)
        memmove(l->past, l->past + 1, --l->n_past * sizeof *l->past);
    stage_done *past = &l->past[l->n_past++];
    *past = (stage_done){.n = l->done, .seconds = seconds_now() - l->stage_started};
    memcpy(past->name, l->stage, NAME);
    memcpy(past->unit, l->unit, NAME);
}

/* Takes over the news; true when another stage began. */
static bool take(live *l, const agon_progress *p) {
    const char *stage = p->stage ? p->stage : "";
    bool fresh = strncmp(l->stage, stage, NAME - 1) != 0 || l->iteration != p->iteration;
    if (fresh) {
        end_stage(l);
        if (l->iteration != p->iteration)
            l->n_past = 0;
        l->iteration = p->iteration;
        snprintf(l->stage, NAME, "%s", stage);
        l->stage_started = seconds_now();
        l->first = p->done;
    }
    snprintf(l->unit, NAME, "%s", p->unit ? p->unit : "");
    l->done = p->done;
    l->total = p->total;
    json_t *data = p->data ? json_loads(p->data, 0, NULL) : NULL;
    const json_t *loss = json_object_get(data, "loss");
    l->loss = json_is_real(loss) ? json_real_value(loss) : NAN;
    json_t *attack = json_object_get(data, "attack"), *families = json_object_get(data, "families");
    if (json_is_object(attack)) {
        json_decref(l->attack);
        l->attack = json_incref(attack);
    }
    if (json_is_array(families)) {
        json_decref(l->families);
        l->families = json_incref(families);
    }
    json_decref(data);
    return fresh;
}

/* "85/s, 12 s left"; "" before there is anything to say. */
static const char *pace_text(const live *l, char out[64]) {
    double seconds = seconds_now() - l->stage_started, did = (double)(l->done - (l->done > l->first ? l->first : l->done));
    char left[32];
    out[0] = 0;
    if (did <= 0 || seconds < 0.5)
        return out;
    double rate = did / seconds;
    int n = snprintf(out, 64, rate >= 10 ? "%.0f/s" : "%.2g/s", rate);
    if (!isnan(l->loss) && n > 0 && n < 64)
        n += snprintf(out + n, 64 - (size_t)n, ", loss %.4g", l->loss);
    if (l->total > l->done && n < 64)
        snprintf(out + n, 64 - (size_t)n, ", %s left", duration_text((double)(l->total - l->done) / rate, left));
    return out;
}

/* ---- the screen ---------------------------------------------------------------------------------------- */

typedef struct drawing {
    terminal t;
    FILE *to;
    size_t width, lines, most; /* cells a line, lines so far and at most */
} drawing;

static bool has_room(const drawing *d, size_t lines) {
    return d->lines + lines <= d->most;
}

/* Ends a line: whatever stood there before goes. */
static void end_line(drawing *d) {
    fputs("\033[K\n", d->to);
    d->lines++;
}

static void text_line(drawing *d, const char *text) {
    if (!has_room(d, 1))
        return;
    print_cut(&d->t, d->to, text, d->width, false);
    end_line(d);
}

static void draw_stage(drawing *d, const live *l) {
    char pace[64], counts[96], line[200];
    size_t bar = d->width > 74 ? 20 : d->width > 56 ? 10 : 0;
    if (!has_room(d, 1))
        return;
    pace_text(l, pace);
    if (l->total)
        snprintf(counts, sizeof counts, "%zu/%zu %.20s", l->done, l->total, l->unit);
    else if (l->done)
        snprintf(counts, sizeof counts, "%zu %.20s", l->done, l->unit);
    else
        counts[0] = 0;
    fputs(style_bold(&d->t), d->to);
    snprintf(line, sizeof line, "  %.11s", l->stage);
    size_t used = print_cut(&d->t, d->to, line, 14, true);
    fputs(style_off(&d->t), d->to);
    if (l->total && bar) {
        print_bar(&d->t, d->to, l->done, l->total, bar);
        fputs("  ", d->to);
        used += bar + 2;
    }
    snprintf(line, sizeof line, "%s%s%s", counts, *counts && *pace ? "  " : "", pace);
    print_cut(&d->t, d->to, line, d->width - used, false);
    end_line(d);
}

static void draw_past(drawing *d, const live *l) {
    char line[200], took[32];
    size_t most = l->n_past < 5 ? l->n_past : 5;
    for (size_t i = l->n_past - most; i < l->n_past; i++) {
        const stage_done *s = &l->past[i];
        duration_text(s->seconds, took);
        if (s->n)
            snprintf(line, sizeof line, "  %-11.11s %zu %s, %s", s->name, s->n, s->unit, took);
        else
            snprintf(line, sizeof line, "  %-11.11s %s", s->name, took);
        fputs(style_dim(&d->t), d->to);
        text_line(d, line);
        fputs(style_off(&d->t), d->to);
    }
}

/* Success per family, a bar for what it is now. `spare` lines stay for what follows. */
static void draw_families(drawing *d, const live *l, size_t spare) {
    char before[24], after[24];
    const json_t *row;
    size_t i, n = json_array_size(l->families), bar = d->width > 66 ? 24 : d->width > 54 ? 10 : 0;
    if (n == 0 || !has_room(d, spare + 3))
        return;
    text_line(d, "");
    text_line(d, "  family                 before    after");
    json_array_foreach(l->families, i, row) {
        if (!has_room(d, spare + 2) && i + 1 < n) {
            char rest[48];
            snprintf(rest, sizeof rest, "  ... and %zu more", n - i);
            text_line(d, rest);
            break;
        }
        const json_t *now_ = json_object_get(row, "after");
        double share = json_number_value(json_is_number(now_) ? now_ : json_object_get(row, "before"));
        fputs("  ", d->to);
        print_cut(&d->t, d->to, member_text(row, "family"), 20, true);
        fprintf(d->to, " %8s %8s  ", share_text(json_object_get(row, "before"), before), share_text(now_, after));
        if (bar && share >= 0 && share <= 1)
            print_bar(&d->t, d->to, (size_t)(1000 * share), 1000, bar);
        end_line(d);
    }
}

/* "name  text" on one line, or on two where there is room; the end of the last is cut. */
static void draw_part(drawing *d, const char *name, const char *text, bool two) {
    size_t cells = d->width - 14, end = 0, n = strlen(text), from = 0;
    glyphs g = glyphs_of(&d->t, text, n > 4000 ? 4000 : n);
    fprintf(d->to, "    %-9s ", name);
    if (two && (from = glyphs_line(&g, 0, cells, &end)) < g.n) {
        glyphs_print(&d->t, d->to, &g, 0, end);
        end_line(d);
        fprintf(d->to, "%14s", "");
    } else {
        from = 0;
    }
    print_cut(&d->t, d->to, from < g.n ? text + g.list[from].at : "", cells, false);
    end_line(d);
    free(g.list);
}

static void draw_attack(drawing *d, const live *l) {
    static const char *const keys[] = {"query", "answer", "critique"};
    if (!l->attack || !has_room(d, 5))
        return;
    text_line(d, "");
    text_line(d, "  last attack that worked");
    for (size_t i = 0; i < 3; i++)
        draw_part(d, keys[i], member_text(l->attack, keys[i]), has_room(d, 2 * (3 - i)));
}

/* Back to the first line of the last drawing. Lines of another width were broken anew, so nothing can be counted on. */
static void go_back(const live *l, FILE *to, const terminal *t) {
    if (l->lines && l->columns != t->columns)
        fputs("\033[H\033[2J", to);
    else if (l->lines)
        fprintf(to, "\033[%zuA\r", l->lines);
}

static void draw(live *l, const char *message) {
    char *text = NULL, took[32], line[200];
    size_t n = 0;
    drawing d = {.t = terminal_look(stdout), .to = open_memstream(&text, &n)};
    if (!d.to)
        return;
    d.width = d.t.columns - 1;
    d.most = d.t.rows > 4 ? d.t.rows - 2 : 2;
    go_back(l, d.to, &d.t);
    fputs("\033[J", d.to);
    if (message) {
        print_cut(&d.t, d.to, l->stage, 20, false);
        fputs(":\n", d.to);
        print_paragraph(&d.t, d.to, message, 2, d.width, 6);
    }
    snprintf(line, sizeof line, "%.40s  iteration %lld  %s  (Ctrl-C stops; nothing is lost)", l->title,
             (long long)l->iteration, duration_text(seconds_now() - l->started, took));
    text_line(&d, line);
    draw_past(&d, l);
    draw_stage(&d, l);
    draw_families(&d, l, l->attack ? 5 : 0);
    draw_attack(&d, l);
    fclose(d.to);
    if (text)
        fwrite(text, 1, n, stdout);
    fflush(stdout);
    free(text);
    l->lines = d.lines;
    l->columns = d.t.columns;
}

/* ---- lines --------------------------------------------------------------------------------------------- */

static void plain(const live *l, const char *message) {
    terminal t = terminal_look(stdout);
    char took[32], pace[64];
    printf("%s, iteration %lld, ", duration_text(seconds_now() - l->started, took), (long long)l->iteration);
    print_cut(&t, stdout, l->stage, 30, false);
    fputs(": ", stdout);
    if (message) {
        print_cut(&t, stdout, message, 2000, false);
    } else if (l->total) {
        printf("%zu/%zu %s", l->done, l->total, l->unit);
        if (*pace_text(l, pace))
            printf(", %s", pace);
    } else {
        fputs("begins", stdout);
    }
    putchar('\n');
    fflush(stdout);
}

static void json_line(const agon_progress *p) {
    json_t *data = p->data ? json_loads(p->data, JSON_DECODE_ANY, NULL) : NULL;
    json_t *line = json_pack("{ss sI ss sI sI ss}", "event", p->message ? "message" : "progress", "iteration",
                             (json_int_t)p->iteration, "stage", p->stage ? p->stage : "", "done", (json_int_t)p->done, "total",
                             (json_int_t)p->total, "unit", p->unit ? p->unit : "");
    if (p->message)
        json_object_set_new(line, "message", json_string(p->message));
    if (data)
        json_object_set_new(line, "data", data);
    print_json(line);
    fflush(stdout);
    json_decref(line);
}

void live_observe(void *arg, const agon_progress *p) {
    live *l = arg;
    double every = l->mode == LIVE_SCREEN ? DRAW_EVERY : l->mode == LIVE_JSON ? JSON_EVERY : PLAIN_EVERY;
    bool fresh = take(l, p), complete = p->total && p->done == p->total;
    if (l->mode == LIVE_QUIET || (!fresh && !p->message && !(complete && l->mode != LIVE_PLAIN) && seconds_now() - l->drawn < every))
        return;
    l->drawn = seconds_now();
    /* The attack stands in the view; as a message it would push everything else away. */
    if (l->mode == LIVE_SCREEN)
        draw(l, p->data && strstr(p->data, "\"attack\"") ? NULL : p->message);
    else if (l->mode == LIVE_PLAIN)
        plain(l, p->message);
    else
        json_line(p);
}
