/* Chat templates' families (chat_family.c), recognising a model's (chat_recognise.c), and writing a conversation as it does (chat.c). */
#ifndef MODEL_CHAT_PRIVATE_H
#define MODEL_CHAT_PRIVATE_H

#include "model/chat_template_private.h"
#include "model/tokenizer_private.h"

/* ---- chat_family.c ---- */

enum { SYSTEM, USER, ASSISTANT, TOOL, N_ROLES };
extern const char *const chat_roles[N_ROLES]; /* "system", "user", "assistant", "tool" */

enum system_place { SYSTEM_OWN_TURN, SYSTEM_IN_FIRST_USER, SYSTEM_IN_LAST_USER };

/* CHAT_EOS and CHAT_BOS in a turn stand for the model's own tokens. */
struct chat_family {
    const char *name;
    const char *marks[4];       /* all of them are in the template, or in what it writes */
    const char *never[2];       /* none of these is */
    bool bos, trim;             /* where the template itself cannot be asked: BOS first, content trimmed */
    bool system_first;          /* a system message is the first, or none */
    enum system_place system;   /* its text may open a user's turn; the last only where it ends the conversation (Mistral) */
    bool inst;                  /* answers begin behind [/INST], with a space of their own in front */
    bool dated_system;          /* a system turn first always, with dates (Llama 3.1) */
    bool thinks;                /* <think> blocks in answers (Qwen 3) */
    bool drops_thinking;        /* earlier reasoning is cut off (DeepSeek R1) */
    bool bare_end;              /* the last answer ends with EOS, without the line end of the others (Tülu) */
    bool alternates;            /* where the template cannot be asked: user and assistant take turns, the user first */
    const char *open[N_ROLES], *close[N_ROLES]; /* open NULL: the family has no such role */
    const char *lead;        /* what is written in front of an answer that is there, and is not in the opening of one */
    const char *end_of_turn; /* NULL: EOS */
};

/* In order of recognition: the more particular first. NULL behind the last. */
const chat_family *chat_family_at(size_t i);

#define CHAT_DATE "26 Jul 2024"
#define CHAT_FAMILIES                                                                                                     \
    "qwen3, chatml, llama3.1, llama3, mistral-v7-tekken, mistral-v3-tekken, mistral-v3, mistral-v1, llama2, mistral-v0.1, " \
    "mistral-v0.2, deepseek-r1, zephyr, tulu"

/* ---- chat_recognise.c ---- */

/* The added token that markup begins with, as the tokenizer cuts it. */
const added_token *markup_added(const tokenizer *t, const char *text);

#endif
