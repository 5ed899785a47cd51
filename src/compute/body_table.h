/* The tables of one CPU path; KERNELS, CHAINS, PAIRS and PACKING are their names. */
const kernels KERNELS = {
    .softmax_segment = softmax_segment,
    .logit_gradients = logit_gradients,
    .attend = attend,
#if defined(ROWS_TOGETHER)
    .attend_rows = attend_rows,
    .attend_backward_rows = attend_backward_rows,
#endif
    .attend_backward = attend_backward,
    .attend_backward_keys = attend_backward_keys,
    .softmax_rows = softmax_rows_of_block,
    .softmax_rows_backward = softmax_rows_backward,
    .scale_rows = scale_rows,
    .divide_rows = divide_rows,
    .dot_rows_bf16 = dot_rows_bf16,
    .rms_norm = rms_norm_rows,
    .rms_norm_dx = rms_norm_dx,
    .rms_norm_dweight = rms_norm_dweight,
    .column_sums = column_sums,
    .rope_table = rope_angles,
    .rope = rope_row,
    .swiglu = swiglu_range,
    .swiglu_backward = swiglu_backward_range,
    .add = add_range,
    .exp = exp_range,
    .adamw = adamw_range,
    .sum_squares = sum_squares_range,
};

#include "compute/body_products.h"
