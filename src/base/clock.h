/* The clock for durations: it only goes forward. Times of day are the store's (store_now_ms). */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

/* Seconds since some moment in the past, the same for the whole process. Never part of a result. */
double monotonic_seconds(void);

#endif
