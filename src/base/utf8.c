/* See utf8.h. */
#include "base/utf8.h"
#include "base/memory.h"
#include <stdio.h>
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

bool utf8_is_harmful(int32_t code) {
    const utf8proc_category_t k = utf8proc_category(code);
    if (code == 0x200c || code == 0x200d)
        return false;
    return k == UTF8PROC_CATEGORY_CC || k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_CS || k == UTF8PROC_CATEGORY_CN ||
           k == UTF8PROC_CATEGORY_CO || k == UTF8PROC_CATEGORY_ZL || k == UTF8PROC_CATEGORY_ZP;
}

void utf8_escape(char *out, size_t size, const char *text, size_t n) {
    size_t at = 0, used;
    for (size_t i = 0; i < n; i += used) {
        char shown[16];
        utf8proc_int32_t code;
        utf8proc_ssize_t taken = utf8proc_iterate((const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(n - i), &code);
        used = taken > 0 ? (size_t)taken : 1;
        size_t length = used;
        if (taken <= 0)
            length = (size_t)snprintf(shown, sizeof shown, "\\x%02x", (unsigned char)text[i]);
        else if (utf8_is_harmful(code))
            length = (size_t)snprintf(shown, sizeof shown, code < 256 ? "\\x%02x" : "\\u{%x}", (unsigned)code);
        else
            memcpy(shown, text + i, used);
        if (at + length >= size)
            break;
        memcpy(out + at, shown, length);
        at += length;
    }
    if (size)
        out[at] = 0;
}

size_t utf8_whole(const char *text, size_t n) {
    size_t lead = n;
    while (lead > 0 && n - lead < 3 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
        lead--;
    if (lead == 0)
        return n;
    const unsigned char c = (unsigned char)text[lead - 1];
    const size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    return n - (lead - 1) < length ? lead - 1 : n;
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
    return utf8_whole(text, strnlen(text, most));
}
