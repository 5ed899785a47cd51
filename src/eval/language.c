/* See language.h. */
#include "eval/language.h"
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

typedef struct language {
    const char *code;
    int32_t first, last; /* code points of its script; Latin: 'A' to 0x24f and 0x1e00 to 0x1eff */
    const char *words;   /* common words, between spaces; NULL: the script tells */
} language;
static const language languages[] = {
    {"kn", 0x0c80, 0x0cff, NULL},
    {"pa", 0x0a00, 0x0a7f, NULL},
    {"gu", 0x0a80, 0x0aff, NULL},
    {"te", 0x0c00, 0x0c7f, NULL},
    {"ta", 0x0b80, 0x0bff, NULL},
    {"th", 0x0e00, 0x0e7f, NULL},
    {"bn", 0x0980, 0x09ff, NULL},
    {"ko", 0xac00, 0xd7af, NULL},
    {"hi", 0x0900, 0x097f, " है हैं में और के की का से को यह "},
    {"mr", 0x0900, 0x097f, " आहे आणि आहेत च्या या ते मध्ये हे "},
    {"ne", 0x0900, 0x097f, " छ र हो गर्न छन् मा लागि यो भएको "},
    {"ar", 0x0600, 0x06ff, " في من على إلى أن هذا التي هو لا ما "},
    {"fa", 0x0600, 0x06ff, " است که در به از را این با برای می "},
    {"ur", 0x0600, 0x06ff, " ہے میں کے کی اور سے کو یہ ہیں کا "},
    {"ru", 0x0400, 0x04ff, " и в не на что это с как по из для "},
    {"bg", 0x0400, 0x04ff, " и в не на че да се за от ще е са "},
    {"en", 'A', 0x024f, " the and of to is in that it you for are with this be "},
    {"de", 'A', 0x024f, " der die das und ist nicht ein eine zu den mit von für "},
    {"it", 'A', 0x024f, " il di che è per un una non la le con sono del "},
    {"pt", 'A', 0x024f, " o de que não uma um para os com é do da em "},
    {"vi", 'A', 0x024f, " là và của không có một cho được các trong với "},
    {"sw", 'A', 0x024f, " na ya wa kwa ni katika la kuwa za hii yake "},
    {"fi", 'A', 0x024f, " ja on ei että se ovat hän mutta joka kun tai "},
};
enum { N_LANGUAGES = sizeof languages / sizeof *languages };

static const language *language_find(const char *code) {
    for (size_t i = 0; i < N_LANGUAGES; i++)
        if (strcmp(languages[i].code, code) == 0)
            return &languages[i];
    return NULL;
}

static bool in_script(const language *l, int32_t code) {
    return (code >= l->first && code <= l->last) || (l->first == 'A' && code >= 0x1e00 && code <= 0x1eff);
}

/* How many words of the lower-case text are common words of the language. */
static size_t common_words(const char *lower, const language *l) {
    char word[64] = " ";
    size_t n = 0, length = 1;
    for (const char *at = lower;; at++) {
        if ((unsigned char)*at >= 0x80 || (*at >= 'a' && *at <= 'z')) {
            if (length < sizeof word - 2)
                word[length++] = *at;
            continue;
        }
        word[length] = ' ';
        word[length + 1] = 0;
        n += length > 1 && strstr(l->words, word);
        length = 1;
        if (!*at)
            return n;
    }
}

bool language_known(const char *code) {
    return language_find(code);
}

bool language_is(const char *lower, const char *code) {
    const language *l = language_find(code);
    size_t own = 0, letters = 0;
    assert(l);
    for (const char *at = lower; *at;) {
        utf8proc_int32_t point;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)at, -1, &point);
        at += n > 0 ? n : 1;
        utf8proc_category_t kind = n > 0 ? utf8proc_category(point) : UTF8PROC_CATEGORY_CN;
        if (kind < UTF8PROC_CATEGORY_LU || kind > UTF8PROC_CATEGORY_LO)
            continue;
        letters++;
        own += in_script(l, point);
    }
    if (2 * own <= letters)
        return false;
    size_t mine = l->words ? common_words(lower, l) : 0;
    for (size_t i = 0; l->words && i < N_LANGUAGES; i++)
        if (languages[i].first == l->first && &languages[i] != l && common_words(lower, &languages[i]) > mine)
            return false;
    return true;
}
