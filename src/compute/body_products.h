/* The tables of products of one file: over chains where it names CHAINS, over pairs where it names PAIRS, and what packs matrices
 * where it names PACKING. */

#if defined(CHAINS) || defined(PAIRS)
#define TASKS_OF_TILES .most_rows = 96, .most_turned_rows = 132, .row_floats = 96 * 1024 /* 384 KiB */, .tasks = 3
#endif

#if defined(CHAINS)
const products CHAINS = {
    .round_rows = round_rows,
    .dw_rows = dw_rows,
    .dw_panels = dw_panels,
    .row_step = 2, /* tiles are of nearly equal height, so equal tasks matter more than whole tiles */
    .least_step = 2,
    TASKS_OF_TILES,
    .multiply = multiply,
    .q8_rows = TILE_ROWS,
#if defined(ATTEND_ONE)
    .attend_one = attend_one_chains,
#endif
};
#endif

#if defined(PAIRS)
const products PAIRS = {
#if defined(PAIRS_AS_FLOATS)
    .round_rows = round_rows,
    .dw_rows = dw_rows,
    .dw_panels = dw_panels,
    .q8_rows = TILE_ROWS,
#else
    .pairs = true,
    .round_rows = round_pair_rows,
    .dw_rows = dw_pair_rows,
    .dw_panels = dw_pair_panels,
    .q8_rows = PAIR_ROWS,
#endif
    .row_step = 2, /* tiles are of nearly equal height, so equal tasks matter more than whole tiles */
    .least_step = 2,
    TASKS_OF_TILES,
    .multiply = multiply_pairs,
#if defined(ATTEND_ONE_PAIRS)
    .attend_one = attend_one_pairs,
#endif
};
#endif

#if defined(PACKING)
const packing PACKING = {.unpack_q8 = unpack_q8, .turn_pairs = turn_pairs, .turn_floats = turn_floats,
                         .depth_panels = depth_panels, .round_row = round_row, .depth_panels_rounded = depth_panels_rounded,
                         .turn_rounded = turn_rounded, .split = split_rows, .join = join_rows};
#endif
