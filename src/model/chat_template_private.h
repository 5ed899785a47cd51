/* The text that a chat template can write, read off its source (chat_template.c), and the marks in it. */
#ifndef MODEL_CHAT_TEMPLATE_PRIVATE_H
#define MODEL_CHAT_TEMPLATE_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#define CHAT_EOS "\x01"   /* the EOS token */
#define CHAT_VALUE "\x02" /* a value that only a conversation has */
#define CHAT_BREAK "\x03" /* a statement; also the beginning and the end */
#define CHAT_BOS "\x04"   /* the BOS token */
#define CHAT_OTHER "\x05" /* a value that is not written as it is, or a statement that is not known */

/* Where a byte is written: under conditions (for the first message, the last, an opened answer, behind the last question, for no
 * message of a role), in a loop, in a set; as the text of a variable that the conversation's system message replaces; or the value
 * of a variable with "system" in its name. */
enum {
    CHAT_IF = 1,
    CHAT_LOOP = 2,
    CHAT_FIRST = 4,
    CHAT_OPENS = 8,
    CHAT_LATE = 16,
    CHAT_NO_SYSTEM = 32,
    CHAT_SET = 64,
    CHAT_GIVEN = 128,
    CHAT_LAST = 256,
    CHAT_NO_USER = 512,
    CHAT_NO_ANSWER = 1024,
    CHAT_SYSTEM_VALUE = 2048
};

typedef struct chat_text {
    char *text;     /* what can be written, with the bytes above in it */
    uint16_t *where; /* of each byte of it */
    bool has_default;     /* it may have a system message of its own, also where the text does not show one */
    bool trims, keeps;                 /* contents are written without the white space around them, or with it; */
    bool trims_answers, keeps_answers; /* those where no user's message comes by; */
    bool trims_parts, keeps_parts;     /* those of which a set makes one with other texts */
    bool reasons;         /* reasoning is cut out of contents */
} chat_text;

/* What a template's source can write where there are no tools. False: no memory, too long, or tags that do not close. */
bool chat_text_read(const char *source, chat_text *out);
void chat_text_free(chat_text *x);

#endif
