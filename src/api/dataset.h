/* The handle of agon.h's datasets. */
#ifndef API_DATASET_H
#define API_DATASET_H

#include "api/models.h"
#include "train/data.h"

struct agon_dataset {
    dataset *d;
    const tokenizer *t; /* borrowed */
    const objective *objective;
    size_t max_length;
    hash256 file; /* of the bytes read */
    char dimensions[MAX_DIMENSIONS][MAX_DIMENSION_NAME + 1];
    size_t n_dimensions; /* 0: rows have none */
    char adapters[MAX_DIMENSIONS][MAX_DIMENSION_NAME + 1];
    size_t n_adapters; /* that rows belong to; 0: one training */
};

/* AGON_ENOTFOUND names the nearest objective. */
AGON_MUST_CHECK agon_status objective_named(agon_ctx *ctx, const char *name, const objective **out);

#endif
