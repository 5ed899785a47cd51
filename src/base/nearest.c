/* Nearest word by Levenshtein distance, see nearest.h. */
#include "base/nearest.h"
#include <ctype.h>
#include <string.h>

enum { LIMIT = 63 };

size_t edit_distance(const char *a, const char *b) {
    size_t n = strnlen(a, LIMIT), m = strnlen(b, LIMIT), row[LIMIT + 1];
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

const char *nearest_word(const char *word, const char *const *words, size_t n) {
    const char *best = NULL;
    size_t best_distance = 0;
    for (size_t i = 0; i < n; i++) {
        size_t d = edit_distance(word, words[i]);
        if (!best || d < best_distance) {
            best = words[i];
            best_distance = d;
        }
    }
    return best && best_distance * 3 <= strlen(best) + 2 ? best : NULL;
}

bool is_misspelling(const char *key, const char *name) {
    size_t n = strlen(key), m = strlen(name), i = 0;
    char folded[64];
    if (strcmp(key, name) == 0 || m < 5 || n > m + 1 || n + 1 < m || n >= sizeof folded)
        return false;
    while (key[i] && key[i] == name[i])
        i++;
    if (n == m && i + 1 < n && key[i] == name[i + 1] && key[i + 1] == name[i] && strcmp(key + i + 2, name + i + 2) == 0)
        return true;
    for (i = 0; i <= n; i++)
        folded[i] = key[i] == '-' || key[i] == ' ' ? '_' : key[i] >= 'A' && key[i] <= 'Z' ? (char)(key[i] + 'a' - 'A') : key[i];
    return folded[0] == name[0] && edit_distance(folded, name) <= 1;
}
