/* What may stand beside a query without changing it, or in the place of its names; see wording.h.
 *
 * A remark is plain if it is made of known words alone that state how harmless things are: the weather, moods, what animals and people
 * do. None of them asks, orders, denies, limits, counts, or speaks of language, order or answers. It begins as a statement does, and shares no noun or verb
 * with the query. In a story nobody does anything that the story could mean. */
#include "base/ctx.h"
#include "task/wording.h"
#include "task/words.h"
#include <stdlib.h>
#include <string.h>

/* ---- remarks ------------------------------------------------------------------------------------------------------- */

static const char beginnings[] = "the|a|an|my|our|his|her|their|it|i|we|he|she|they|there|today|yesterday|winter|summer|spring|autumn|people|birds|cats|dogs";

/* Words that join others; a query may have them too. */
static const char joining[] = "the|a|an|my|our|his|her|their|it|i|we|he|she|they|there|is|was|are|were|am|and|in|on|at|of|to|by|with|for|near|from|around|under|"
                              "behind|over|who|has|had|have|very|so|too|really|quite";

static const char of_persons[] = "his|her|their|it|he|she|they|has|had|have";

static const char known[] =
    "today|yesterday|tomorrow|morning|evening|night|day|days|week|month|year|season|winter|summer|spring|autumn|monday|weekend|lunch|breakfast|time|long|"
    "weather|sky|sun|moon|rain|snow|wind|cloud|clouds|storm|air|sea|river|lake|ocean|beach|hill|hills|mountain|mountains|forest|garden|gardens|field|fields|tree|trees|"
    "flower|flowers|grass|leaves|raining|snowing|shining|shines|blowing|rained|snowed|windy|sunny|rainy|cloudy|foggy|"
    "blue|red|green|yellow|white|black|brown|grey|gray|pink|dark|bright|clear|warm|cold|hot|cool|wet|dry|fresh|soft|quiet|loud|noisy|calm|nice|lovely|beautiful|pretty|"
    "good|great|bad|fine|fun|funny|happy|sad|tired|hungry|sleepy|angry|busy|kind|friendly|brave|clever|old|young|new|big|huge|tall|tiny|fast|slow|quickly|slowly|late|"
    "early|again|outside|inside|home|here|alone|asleep|favorite|favourite|famous|popular|sweet|delicious|tasty|boring|exciting|interesting|scary|strange|wonderful|amazing|"
    "sunny|crowded|empty|clean|dirty|expensive|broken|sick|healthy|sore|born|hero|cute|little|"
    "like|likes|liked|love|loves|loved|enjoy|enjoys|enjoyed|hate|hates|sleep|sleeps|slept|sleeping|sing|sings|sang|singing|play|plays|played|playing|walk|walks|walked|"
    "walking|run|runs|ran|running|swim|swims|swam|fly|flies|flew|flying|barks|barked|barking|sits|sat|sitting|stands|stood|standing|looks|looked|feels|felt|smells|tastes|"
    "sounds|opens|opened|closes|closed|went|goes|going|came|lives|lived|works|worked|rests|rested|chased|chases|jumped|jumps|danced|dances|laughed|smiles|smiled|"
    "visited|watched|ate|eats|eating|cooked|fell|moving|travels|sells|won|saw|heard|met|"
    "friend|friends|neighbor|neighbour|neighbors|brother|sister|mother|father|uncle|aunt|cousin|grandmother|grandfather|man|woman|men|women|boy|girl|baby|people|family|"
    "children|child|teacher|farmer|doctor|nurse|sailor|driver|singer|painter|actor|chef|team|band|cat|cats|dog|dogs|bird|birds|horse|horses|cow|cows|mouse|puppy|"
    "animal|animals|city|town|village|street|park|house|room|kitchen|office|store|shop|corner|restaurant|hospital|station|museum|beach|library|church|car|cars|bus|train|"
    "trains|boat|boats|plane|bike|road|traffic|piano|guitar|radio|song|songs|music|movie|film|game|games|party|concert|trip|vacation|holiday|walk|sofa|couch|bed|chair|"
    "ball|map|glass|star|fox|elephant|dragon|artist|person|apple|"
    "window|door|roof|floor|ceiling|ground|wall|soup|bread|cake|coffee|tea|pizza|dinner|food|job|color|colour|life|world|place|thing";

static bool is_one_of(const char *text, span s, const char *list) {
    char word[64];
    size_t end;
    for (size_t k = 0; alternative(list, k, word, sizeof word); k++)
        if (phrase_at(text, s.start, word, &end) && end == s.end)
            return true;
    return false;
}

/* Does the text have this word, or one that differs in its ending? */
static bool shares_word(const char *text, const char *words, span s) {
    const size_t n = s.end - s.start, stem = n > 5 ? n - 2 : n > 3 ? n - 1 : n;
    char begin[64];
    if (n >= sizeof begin)
        return true;
    memcpy(begin, words + s.start, stem);
    begin[stem] = 0;
    span found;
    return stem_find(text, begin, &found);
}

agon_status wording_check_remark(agon_ctx *ctx, const task_query *query, const char *words, const char **why) {
    const task_family *f = family_find(query->family);
    size_t at = 0, n = 0;
    (void)ctx;
    for (const char *p = words; *p; p++)
        if ((unsigned char)*p >= 0x80 || (!code_is_word((unsigned char)*p) && !strchr(" .,!'\n", *p))) {
            *why = "what it adds holds a sign that a plain remark has not";
            return AGON_OK;
        }
    for (span s; !*why && word_next(words, &at, &s); n++) {
        const bool joins = is_one_of(words, s, joining);
        if (n == 0 && !is_one_of(words, s, beginnings))
            *why = "what it adds does not begin as a plain statement";
        else if (f->events && is_one_of(words, s, of_persons))
            *why = "what it adds may be a part of the story";
        else if (!joins && !is_one_of(words, s, known))
            *why = "what it adds says more than a plain remark";
        else if (!joins && shares_word(query->text, words, s))
            *why = "what it adds may concern the task";
    }
    return AGON_OK;
}

/* ---- names --------------------------------------------------------------------------------------------------------- */

/* Capitalised, they look like names and say how many, which or none. */
static const char no_names[] =
    "no|nobody|none|noone|nothing|neither|either|each|every|everybody|everyone|everything|all|both|some|somebody|someone|something|any|anybody|anyone|anything|another|other|"
    "others|few|fewer|many|more|most|several|half|twice|double|triple|dozen|one|who|whoever|which|he|she|it|they|them|we|us|you|i|his|her|their|its|our|your|my|this|that|these|"
    "those|not|never|if|unless|only|zero|first|last|same";

enum { MAX_NAMES = 8 };

typedef struct pair {
    span old, new;
} pair;

static bool same_span(const char *a, span x, const char *b, span y) {
    return x.end - x.start == y.end - y.start && memcmp(a + x.start, b + y.start, x.end - x.start) == 0;
}

/* Is the word of the query at `s` a name of its keep list? Its genitive counts. */
static bool is_kept(const task_query *query, span s) {
    const json_t *entry;
    size_t i;
    json_array_foreach(query->keep, i, entry) {
        const char *kind = json_string_value(json_object_get(entry, "kind")), *value = json_string_value(json_object_get(entry, "value"));
        if (kind && value && strcmp(kind, "name") == 0 && same_span(query->text, s, value, (span){0, strlen(value)}))
            return true;
    }
    return false;
}

static span ascii_letters(const char *text, size_t at) {
    size_t end = at;
    while ((text[end] >= 'A' && text[end] <= 'Z') || (text[end] >= 'a' && text[end] <= 'z'))
        end++;
    return (span){at, end};
}

agon_status wording_check_names(agon_ctx *ctx, const task_query *query, const char *text, const char **why) {
    static const char differs[] = "it is not the query with other names";
    const char *old = query->text;
    pair pairs[MAX_NAMES];
    size_t n = 0, i = 0, k = 0;
    (void)ctx;
    for (; old[i];) {
        const span a = ascii_letters(old, i), b = ascii_letters(text, k);
        if (a.end > a.start && is_kept(query, a)) {
            size_t p = 0;
            while (p < n && !same_span(old, pairs[p].old, old, a) && !same_span(text, pairs[p].new, text, b))
                p++;
            const bool fits = p < n ? same_span(old, pairs[p].old, old, a) && same_span(text, pairs[p].new, text, b) : n < MAX_NAMES;
            size_t second = b.start + 1;
            if (!fits || b.end - b.start < 2 || text[b.start] > 'Z' || !code_is_lower(text_next(text, &second)) || is_one_of(text, b, no_names)) {
                *why = !fits ? differs : "what stands for a name is none";
                return AGON_OK;
            }
            if (p == n)
                pairs[n++] = (pair){a, b};
        } else if (!(a.end > a.start ? same_span(old, a, text, b) : old[i] == text[k])) {
            *why = differs;
            return AGON_OK;
        }
        i = a.end > a.start ? a.end : i + 1;
        k = a.end > a.start ? b.end : k + 1;
    }
    if (text[k])
        *why = differs;
    return AGON_OK;
}
