/* Reading verdicts out of model text (spec: loop 0.5). The last match wins; what is out of range or
 * absent is unparsable, and never becomes a default score. */
#ifndef ROLE_PARSE_H
#define ROLE_PARSE_H

#include "agon.h"

/* The last [[number]], if it lies in [low, high] (V:parse_rating). false: unparsable. */
bool parse_rating(const char *text, double low, double high, double *value);
/* The last of [[A]], [[B]], [[C]]: 'A', 'B' or 'T' for a tie (V:parse_verdict); 0: unparsable. */
char parse_verdict(const char *text);
/* The last of [[Yes]], [[No]]: 1 or 0; -1: unparsable. */
int parse_yes_no(const char *text);

/* Likelihood form of a verdict: softmax over the summed log_prob of the allowed final strings,
 * p[n]. false when a score is not finite (p is then left alone). */
bool parse_likelihood(const double *scores, size_t n, double *p);

#endif
