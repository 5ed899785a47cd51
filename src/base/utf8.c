/* See utf8.h. */
#include "base/utf8.h"
#include "base/memory.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

char *utf8_repair(const char *text, size_t n) {
    char *out = malloc(size_add(size_mul(n, 3), 1)); /* every byte may become the 3 of U+FFFD */
    if (!out)
        return NULL;
    size_t at = 0;
    for (size_t i = 0; i < n;) {
        utf8proc_int32_t code;
        utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(n - i), &code);
        const bool good = used > 0 && code != 0;
        const size_t taken = good ? (size_t)used : 1, written = good ? taken : 3;
        memcpy(out + at, good ? text + i : "\xEF\xBF\xBD", written);
        at += written;
        i += taken;
    }
    out[at] = 0;
    return out;
}

json_t *utf8_json(const char *text) {
    if (!text)
        return json_null();
    char *repaired = utf8_repair(text, strlen(text));
    json_t *value = repaired ? json_string(repaired) : NULL;
    free(repaired);
    return value;
}

size_t utf8_cut(const char *text, size_t most) {
    size_t n = strnlen(text, most);
    while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80)
        n--;
    return n;
}
