/* Numbers as text with a decimal point, whatever the locale of the process calls one (LC_NUMERIC): files, hashes and options must not
 * depend on it. */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include <stdarg.h>
#include <stddef.h>

/* strtod. */
double decimal_read(const char *text, char **end);
/* snprintf and vsnprintf. */
__attribute__((format(printf, 3, 4))) int decimal_print(char *to, size_t size, const char *format, ...);
int decimal_print_list(char *to, size_t size, const char *format, va_list args);

#endif
