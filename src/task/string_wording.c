/* Family "string": the wordings of its questions that a rewording may have; see wording.h. What the family itself says is among them. */
#include "base/ctx.h"
#include "task/string_puzzle.h"
#include "task/wording.h"
#include <stdio.h>

enum { MOST_KNOWN = 10 };

/* By the work: what says nothing in its questions, and other ways to ask than the family's own. */
static const struct known {
    work work;
    const char *neutral;
    const char *says[MOST_KNOWN];
} all[] = {
    {FIRST_LETTER, "what|what's|which|is|the|of|does|do|tell me|that|name|give me|in|a|please|can you|could you",
     {"first letter \"{word}\"", "letter first \"{word}\"", "letter comes first \"{word}\"", "letter start \"{word}\"", "letter first letter \"{word}\"",
      "with letter \"{word}\" start", "\"{word}\" start with letter", "letter at start \"{word}\"", "letter \"{word}\" start with"}},
    {LAST_LETTER, "what|what's|which|is|the|of|does|do|tell me|that|name|give me|in|a|please|can you|could you",
     {"last letter \"{word}\"", "letter last \"{word}\"", "letter comes last \"{word}\"", "letter end \"{word}\"", "letter last letter \"{word}\"",
      "with letter \"{word}\" end", "\"{word}\" end with letter", "letter at end \"{word}\"", "letter \"{word}\" end with"}},
    {FIRST_WORD, "what|what's|which|is|the|of|does|do|tell me|that|name|give me|in|a|this|following|please|can you|could you",
     {"first word \"{sentence}\"", "word first \"{sentence}\"", "word comes first \"{sentence}\"", "word start \"{sentence}\"", "with word \"{sentence}\" start",
      "word \"{sentence}\" start with", "\"{sentence}\" start with word"}},
    {LAST_WORD, "what|what's|which|is|the|of|does|do|tell me|that|name|give me|in|a|this|following|please|can you|could you",
     {"last word \"{sentence}\"", "word last \"{sentence}\"", "word comes last \"{sentence}\"", "word end \"{sentence}\"", "with word \"{sentence}\" end",
      "word \"{sentence}\" end with", "\"{sentence}\" end with word"}},
    {CAPITALISE, "the|a|its|of|with|in|down|write|put|give me|please|can you|could you",
     {"capitalize first letter \"{word}\"", "\"{word}\" first letter capitalized", "\"{word}\" capital first letter", "\"{word}\" first letter capital"}},
    {UPPER_WORD, "the|write|put|give me|print|convert|change|turn|please|can you|could you", {"\"{word}\" in capital letters", "in capital letters \"{word}\""}},
    {REPEAT_WORD, "the|write|put down|put|say|print|type|give me|please|can you|could you|in a row",
     {"\"{word}\" {n} times", "{n} times \"{word}\"", "repeat \"{word}\" {n} times"}},
    {COUNT_WORDS, "is|are|there|the|of|in|does|this|has|have|consist|contain|contains|tell me|what|what's|give me|please|can you|could you|following",
     {"how many words \"{sentence}\"", "count words \"{sentence}\"", "number words \"{sentence}\""}},
    {COUNT_LETTERS, "is|are|there|the|of|in|does|this|has|have|consist|contain|contains|tell me|what|what's|give me|please|can you|could you",
     {"how many letters \"{word}\"", "count letters \"{word}\"", "number letters \"{word}\""}},
    {COUNT_LETTER, "is|does|the|in|tell me|please|can you|could you",
     {"how many times letter \"{letter}\" occur \"{word}\"", "how often letter \"{letter}\" occur \"{word}\"", "count letter \"{letter}\" \"{word}\""}},
    {SPELL_HYPHENS, "the|a|please|can you|could you",
     {"spell \"{word}\" with hyphens between letters", "spell \"{word}\" with hyphens", "spell \"{word}\" with hyphen between each letter",
      "write \"{word}\" with hyphens between letters", "write \"{word}\" letter by letter with hyphens", "with hyphens between letters spell \"{word}\"",
      "spell \"{word}\" using hyphens between letters", "letter by letter with hyphens spell \"{word}\"", "write letters of \"{word}\" with hyphens between letters"}},
    {SPELL_SPACES, "the|a|please|can you|could you",
     {"spell \"{word}\" with spaces between letters", "spell \"{word}\" with spaces", "spell \"{word}\" with space between each letter",
      "write \"{word}\" with spaces between letters", "write \"{word}\" letter by letter with spaces", "with spaces between letters spell \"{word}\"",
      "spell \"{word}\" using spaces between letters", "letter by letter with spaces spell \"{word}\"", "write letters of \"{word}\" with spaces between letters"}},
    {REVERSE_WORD, "the|please|can you|could you",
     {"reverse \"{word}\"", "reverse letters of \"{word}\"", "reverse letters in \"{word}\"", "spell \"{word}\" backwards", "reverse order of letters in \"{word}\""}},
    {REVERSE_LIST, "the|these|this|following|words|of|in|write|give me|put|list|please|can you|could you", {"reverse order {list}", "from last to first {list}"}},
};

agon_status string_wordings(agon_ctx *ctx, const puzzle *p, wordings *out) {
    static const char *const same[] = {
        "first|initial", "last|final", "start|starts|begin|begins", "end|ends", "capitalize|capitalise", "capitalized|capitalised", "hyphen|hyphens", "space|spaces",
        "occur|occurs|appear|appears",
        "in capital letters|in upper case|in upper case letters|in uppercase|in uppercase letters|in all caps|in capitals|in all capital letters|in block capitals|"
        "into upper case letters|into upper case|into uppercase|into uppercase letters|into capital letters|to upper case|to uppercase|to capital letters|"
        "with all letters capitalized|in all capitals|in all uppercase letters|using capital letters|using uppercase letters", NULL};
    char list[FIELD_MAX] = "", n[24];
    for (size_t i = 0, used = 0; i < p->n_list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ", p->list[i]);
    snprintf(n, sizeof n, "%lld", (long long)p->n);
    const text_fill fills[] = {{"word", p->text ? p->text : ""}, {"sentence", p->text ? p->text : ""}, {"list", list}, {"n", n}, {"letter", p->letter ? p->letter : ""}};
    agon_status status = AGON_OK;
    out->same = same;
    out->label = p->kind->material == A_SENTENCE ? "sentence" : "word";
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        if (all[k].work != p->kind->work)
            continue;
        out->neutral = all[k].neutral;
        for (size_t i = 0; i < MOST_KNOWN && all[k].says[i] && !status; i++)
            status = wordings_add(ctx, out, all[k].says[i], fills, 5);
    }
    for (size_t i = 0; i < 4 && !status; i++)
        status = wordings_add(ctx, out, i < 2 ? p->kind->usual[i] : p->kind->rare[i - 2], fills, 5);
    return status;
}
