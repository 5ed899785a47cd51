/* Line charts as SVG text: series of points with intervals, one or several panels side by side. */
#ifndef EVAL_PLOT_H
#define EVAL_PLOT_H

#include "agon.h"

typedef struct plot_series {
    const char *name;
    const double *x, *y;       /* [n]; a point that is not finite is left out */
    const double *low, *high;  /* [n] ends of intervals, or NULL */
    size_t n;
    bool points_only;          /* no line between them */
    const double *line_x, *line_y; /* [n_line] corners of a line that does not go through the points; n_line 0: none */
    size_t n_line;
} plot_series;

typedef struct plot_panel {
    const char *title, *x_name, *y_name;
    const plot_series *series; /* at most 8 */
    size_t n_series;
    const char *const *x_labels; /* names of x = 0, 1, ... instead of numbers; NULL: numbers */
    size_t n_x_labels;
    double y_low, y_high;      /* equal: from the data */
} plot_panel;

/* *svg new (free()). Texts are escaped. AGON_EINVAL: no panel, or more than 8 series; AGON_ENOMEM. */
AGON_MUST_CHECK agon_status plot_svg(agon_ctx *ctx, const plot_panel *panels, size_t n, size_t columns, char **svg);

#endif
