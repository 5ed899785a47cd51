/* A trained attacker in a folder: a PEFT adapter and, beside it, attacker.json, which says for what it is good:
 *
 *   {"model": id of the model it was trained on (model_id), "prompts": [templates it was trained with, "attack-paraphrase@3", ...]}
 *
 * Whoever trains one writes it by attacker_export, whoever uses one reads it by attacker_open: the model and the prompts are then the same. */
#ifndef ROLE_ATTACKER_ADAPTER_H
#define ROLE_ATTACKER_ADAPTER_H

#include "base/json.h"
#include "role/attacker.h"

/* `model`: hexadecimal id of the adapter's model, base_name: where it lies; kinds: rewordings it was trained to write. */
AGON_MUST_CHECK agon_status attacker_export(agon_ctx *ctx, const adapter *a, const char *model, const char *base_name, const attacker_kinds *kinds,
                                            const char *folder);
/* *out new, for a model with the id `model`. AGON_ENOTFOUND: no such folder; AGON_EINVAL: it holds no trained attacker, or one of other names alone, which
 * most queries have not; AGON_EMISMATCH: of another model, or of prompts that there are no more; AGON_EFORMAT and others as adapter_import_peft. */
AGON_MUST_CHECK agon_status attacker_open(agon_ctx *ctx, const model *m, const char *model, const char *folder, adapter **out, attacker_kinds *kinds);
/* The templates of these kinds, a new list; NULL on memory. */
json_t *attacker_prompts_json(const attacker_kinds *kinds);

#endif
