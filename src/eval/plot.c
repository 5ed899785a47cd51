/* Charts, see plot.h. Colours are Okabe and Ito's, which colour-blind readers can tell apart. */
#include "eval/plot.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include <math.h>
#include <stdio.h>

enum { WIDTH = 420, HEIGHT = 300, LEFT = 62, RIGHT = 130, TOP = 34, BOTTOM = 62, MAX_SERIES = 8 };

static const char *const colours[MAX_SERIES] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                "#56B4E9", "#E69F00", "#000000", "#999999"};

typedef struct frame {
    double left, top, x_low, x_high, y_low, y_high; /* place on the page; range of the data */
} frame;

static double at_x(const frame *f, double x) {
    return f->left + LEFT + (x - f->x_low) / (f->x_high - f->x_low) * (WIDTH - LEFT - RIGHT);
}

static double at_y(const frame *f, double y) {
    double share = (y - f->y_low) / (f->y_high - f->y_low);
    return f->top + HEIGHT - BOTTOM - fmin(fmax(share, 0), 1) * (HEIGHT - TOP - BOTTOM);
}

static void escape(buffer *b, const char *text) {
    for (; *text; text++) {
        if (*text == '<' || *text == '>' || *text == '&' || *text == '"')
            buffer_printf(b, "&#%d;", *text);
        else if ((unsigned char)*text >= 32)
            buffer_char(b, *text);
    }
}

static void text_at(buffer *b, double x, double y, const char *anchor, const char *extra, const char *text) {
    buffer_printf(b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" %s>", x, y, anchor, extra);
    escape(b, text);
    buffer_text(b, "</text>\n");
}

static void widen(double *low, double *high, double v) {
    if (!isfinite(v))
        return;
    *low = fmin(*low, v);
    *high = fmax(*high, v);
}

static void fit(const plot_panel *p, frame *f) {
    double x_low = INFINITY, x_high = -INFINITY, y_low = INFINITY, y_high = -INFINITY;
    for (size_t s = 0; s < p->n_series; s++)
        for (size_t i = 0; i < p->series[s].n; i++) {
            const plot_series *q = &p->series[s];
            if (!isfinite(q->x[i]))
                continue; /* not drawn: its height must not stretch the axis */
            widen(&x_low, &x_high, q->x[i]);
            widen(&y_low, &y_high, q->y[i]);
            widen(&y_low, &y_high, q->low ? q->low[i] : q->y[i]);
            widen(&y_low, &y_high, q->high ? q->high[i] : q->y[i]);
        }
    for (size_t s = 0; s < p->n_series; s++)
        for (size_t i = 0; i < p->series[s].n_line; i++) {
            widen(&x_low, &x_high, p->series[s].line_x[i]);
            widen(&y_low, &y_high, p->series[s].line_y[i]);
        }
    if (p->y_low != p->y_high) {
        y_low = p->y_low;
        y_high = p->y_high;
    }
    f->x_low = isfinite(x_low) ? x_low : 0;
    f->x_high = x_high > f->x_low ? x_high : f->x_low + 1;
    f->y_low = isfinite(y_low) ? y_low : 0;
    f->y_high = y_high > f->y_low ? y_high : f->y_low + 1;
}

/* A step of 1, 2 or 5 times a power of ten that cuts the range into 3 to 7 parts: short labels leave the axis name its room. */
static double round_step(double range) {
    double power = pow(10, floor(log10(range / 4))), share = range / 4 / power;
    return power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
}

/* The i-th label in [low, high], at a multiple of the step; false: there is none. */
static bool label_at(double low, double high, int i, double *at) {
    double step = round_step(high - low);
    *at = (ceil(low / step - 1e-9) + i) * step;
    return i < 12 && *at <= high + 1e-9 * step;
}

static void label(char text[32], double x, double range) {
    snprintf(text, 32, "%.3g", fabs(x) < 1e-9 * range ? 0 : x);
}

static void axes(buffer *b, const plot_panel *p, const frame *f) {
    double x0 = f->left + LEFT, x1 = f->left + WIDTH - RIGHT, y0 = f->top + HEIGHT - BOTTOM, y1 = f->top + TOP;
    char text[32];
    buffer_printf(b, "<path d=\"M%.1f %.1fV%.1fH%.1f\" fill=\"none\" stroke=\"#444\"/>\n", x0, y1, y0, x1);
    text_at(b, (x0 + x1) / 2, f->top + 18, "middle", "font-weight=\"bold\"", p->title);
    text_at(b, (x0 + x1) / 2, f->top + HEIGHT - 8, "middle", "", p->x_name);
    snprintf(text, sizeof text, "transform=\"rotate(-90 %.0f %.0f)\"", f->left + 12, (y0 + y1) / 2);
    text_at(b, f->left + 12, (y0 + y1) / 2, "middle", text, p->y_name);
    double at;
    for (int i = 0; label_at(f->y_low, f->y_high, i, &at); i++) {
        label(text, at, f->y_high - f->y_low);
        text_at(b, x0 - 5, at_y(f, at) + 4, "end", "", text);
        buffer_printf(b, "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#ddd\"/>\n", x0, at_y(f, at), x1);
    }
    if (f->y_low < 0 && f->y_high > 0)
        buffer_printf(b, "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#888\"/>\n", x0, at_y(f, 0), x1);
    for (size_t i = 0; i < p->n_x_labels; i++)
        text_at(b, at_x(f, (double)i), y0 + 14, "middle", "font-size=\"9\"", p->x_labels[i]);
    for (int i = 0; !p->n_x_labels && label_at(f->x_low, f->x_high, i, &at); i++) {
        label(text, at, f->x_high - f->x_low);
        text_at(b, at_x(f, at), y0 + 14, "middle", "", text);
    }
}

static bool drawn(double x, double y) {
    return isfinite(x) && isfinite(y);
}

static void draw_line(buffer *b, const double *x, const double *y, size_t n, const frame *f, size_t k) {
    bool open = false;
    for (size_t i = 0; i < n; i++) {
        if (!drawn(x[i], y[i]))
            continue;
        buffer_printf(b, open ? " L%.1f %.1f" : "<path fill=\"none\" stroke-width=\"2\" d=\"M%.1f %.1f", at_x(f, x[i]), at_y(f, y[i]));
        open = true;
    }
    if (open)
        buffer_printf(b, "\" stroke=\"%s\"/>\n", colours[k]);
}

static void draw_series(buffer *b, const plot_series *q, const frame *f, size_t k) {
    if (!q->points_only)
        draw_line(b, q->x, q->y, q->n, f, k);
    draw_line(b, q->line_x, q->line_y, q->n_line, f, k);
    for (size_t i = 0; i < q->n; i++) {
        if (!drawn(q->x[i], q->y[i]))
            continue;
        /* Intervals of neighbouring series must not hide one another. */
        double x = at_x(f, q->x[i]) + (double)k - 1;
        if (q->low && q->high && isfinite(q->low[i]) && isfinite(q->high[i]))
            buffer_printf(b, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"%s\"/>\n", x, at_y(f, q->low[i]), at_y(f, q->high[i]),
                          colours[k]);
        buffer_printf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", at_x(f, q->x[i]), at_y(f, q->y[i]),
                      colours[k]);
    }
    double y = f->top + TOP + 8 + 15 * (double)k, x = f->left + WIDTH - RIGHT + 8;
    buffer_printf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n", x, y - 4, colours[k]);
    text_at(b, x + 8, y, "start", "", q->name);
}

agon_status plot_svg(agon_ctx *ctx, const plot_panel *panels, size_t n, size_t columns, char **svg) {
    buffer b = {0};
    for (size_t i = 0; i < n; i++)
        if (panels[i].n_series == 0 || panels[i].n_series > MAX_SERIES)
            return ctx_fail(ctx, AGON_EINVAL, "a chart shows 1 to %d series, not %zu", MAX_SERIES, panels[i].n_series);
    if (n == 0 || columns == 0)
        return ctx_fail(ctx, AGON_EINVAL, "there is nothing to draw");
    size_t rows = (n + columns - 1) / columns;
    buffer_printf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%zu\" height=\"%zu\" font-family=\"sans-serif\" "
                  "font-size=\"11\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
                  columns * WIDTH, rows * HEIGHT);
    for (size_t i = 0; i < n; i++) {
        frame f = {.left = (double)(i % columns * WIDTH), .top = (double)(i / columns * HEIGHT)};
        fit(&panels[i], &f);
        axes(&b, &panels[i], &f);
        for (size_t k = 0; k < panels[i].n_series; k++)
            draw_series(&b, &panels[i].series[k], &f, k);
    }
    buffer_text(&b, "</svg>\n");
    if (!(*svg = buffer_take(&b)))
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory drawing");
    return AGON_OK;
}
