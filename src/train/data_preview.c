/* A row of a dataset for people: each token with its mask, see train.h. */
#include "base/buffer.h"
#include "train/data.h"
#include <math.h>
#include <stdio.h>

static void preview_token(buffer *b, const tokenizer *t, int32_t id, const char *mask) {
    size_t n = 0;
    const char *bytes = tokenizer_bytes(t, id, &n);
    buffer_printf(b, "  %8d  %-6s  \"", (int)id, mask);
    for (size_t i = 0; bytes && i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '\n')
            buffer_text(b, "\\n");
        else if (c < 0x20 || c == 0x7f)
            buffer_printf(b, "\\x%02x", c);
        else
            buffer_char(b, (char)c);
    }
    buffer_text(b, "\"\n");
}

char *dataset_preview(const dataset *d, const tokenizer *t, size_t i) {
    size_t n;
    const train_row *rows = dataset_rows(d, &n);
    if (i >= n)
        return NULL;
    const train_row *row = &rows[i];
    buffer b = {0};
    buffer_printf(&b, "row %zu", i + 1);
    if (row->file)
        buffer_printf(&b, " (%s:%zu)", row->file, row->line);
    buffer_printf(&b, ": prompt of %zu tokens\n     token  mask    text\n", row->n_prompt);
    for (size_t j = 0; j < row->n_prompt; j++)
        preview_token(&b, t, row->prompt[j], "prompt");
    for (size_t k = 0; k < row->n_responses; k++) {
        const train_response *r = &row->responses[k];
        size_t supervised = 0;
        for (size_t j = 0; j < r->n; j++)
            supervised += response_mask(r, j) > 0;
        buffer_printf(&b, "row %zu, response %zu: %zu tokens, %zu supervised", i + 1, k + 1, r->n, supervised);
        if (!isnan(r->reward))
            buffer_printf(&b, ", reward %g", r->reward);
        if (!isnan(r->label))
            buffer_printf(&b, ", label %g", r->label);
        buffer_char(&b, '\n');
        for (size_t j = 0; j < r->n; j++) {
            char mask[32];
            int used = snprintf(mask, sizeof mask, "%.4g", (double)response_mask(r, j));
            if (r->token_rewards && r->token_rewards[j] != 0)
                snprintf(mask + used, sizeof mask - (size_t)used, " %+.3g", (double)r->token_rewards[j]);
            preview_token(&b, t, r->tokens[j], mask);
        }
    }
    char *text = buffer_take(&b);
    buffer_free(&b);
    return text;
}
