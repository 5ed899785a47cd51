/* All objectives: one line each. The name users write is in the objective's own file. */
#ifndef OBJECTIVE_TABLE_H
#define OBJECTIVE_TABLE_H

#include "objective/objective.h"

#define OBJECTIVES(X)                                                                                \
    X(sft)                                                                                           \
    X(dpo)                                                                                           \
    X(cdpo)                                                                                          \
    X(rdpo)                                                                                          \
    X(ipo)                                                                                           \
    X(simpo)                                                                                         \
    X(orpo)                                                                                          \
    X(kto)                                                                                           \
    X(exo_pref)                                                                                      \
    X(exo_rw)                                                                                        \
    X(pro)                                                                                           \
    X(rso_hinge)                                                                                     \
    X(rso_sigmoid)                                                                                   \
    X(spin)                                                                                          \
    X(grpo)                                                                                          \
    X(rloo)                                                                                          \
    X(ppo)                                                                                           \
    X(nll)                                                                                           \
    X(gce)                                                                                           \
    X(sce)                                                                                           \
    X(token_forward)                                                                                 \
    X(dpo_forward)                                                                                   \
    X(ropo)                                                                                          \
    X(dpo_soft)                                                                                      \
    X(modpo)                                                                                         \
    X(gspo)                                                                                          \
    X(reinforce_pp)                                                                                  \
    X(bt)                                                                                            \
    X(plackett_luce)                                                                                 \
    X(rm_pointwise)                                                                                  \
    X(prm)                                                                                           \
    X(cloud)                                                                                         \
    X(classify)                                                                                      \
    X(aux_confidence)                                                                                \
    X(choices)                                                                                       \
    X(choices_confidence)

#define DECLARE_OBJECTIVE(name) extern const objective objective_##name;
OBJECTIVES(DECLARE_OBJECTIVE)
#undef DECLARE_OBJECTIVE

#endif
