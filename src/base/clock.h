/* Clocks for durations: they only go forward. Times of day are the store's (store_now_ms). */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

/* Seconds since some moment in the past, the same for the whole process. Never part of a result. */
double monotonic_seconds(void);
/* Seconds of processor time of all threads, for what a piece of work would take on cores that have nothing else to do. Never part of a result. */
double processor_seconds(void);

#endif
