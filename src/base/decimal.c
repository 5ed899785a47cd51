/* See decimal.h. */
#include "base/decimal.h"
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static locale_t plain; /* for the life of the process; 0: no memory for it */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_plain(void) {
    plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
}

static locale_t enter(void) {
    pthread_once(&once, make_plain);
    return plain ? uselocale(plain) : (locale_t)0;
}

static void leave(locale_t before) {
    if (before)
        uselocale(before);
}

double decimal_read(const char *text, char **end) {
    locale_t before = enter();
    double value = strtod(text, end);
    leave(before);
    return value;
}

int decimal_print_list(char *to, size_t size, const char *format, va_list args) {
    locale_t before = enter();
    int n = vsnprintf(to, size, format, args);
    leave(before);
    return n;
}

int decimal_print(char *to, size_t size, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = decimal_print_list(to, size, format, args);
    va_end(args);
    return n;
}
