/* A critique as claims: clauses, what each says of the answer, and what of that can be worked out again; see critique_claims.h. What is read is bounded
 * (CRITIQUE_READ, CLAIMS_MOST, QUOTES_MOST), and each clause is read a fixed number of times. A clause that says nothing of these kinds has no check: it
 * cannot be verified. Where a reading is doubtful ("it does not explain why 3 ..") there is no check either. */
#include "base/ctx.h"
#include "base/utf8.h"
#include "task/calculation.h"
#include "task/critique_private.h"
#include "task/family.h"
#include <stdlib.h>
#include <string.h>

const char *claim_check_name(claim_check check) {
    static const char *const names[CLAIM_CHECKS] = {"quote", "said", "arithmetic", "count", "verdict", "answer", "consistent"};
    return names[check];
}

/* ---- phrases -------------------------------------------------------------------------------------------------- */

bool any_phrase(const char *text, size_t from, size_t to, const char *phrases, span *out) {
    char phrase[64];
    bool any = false;
    span s;
    *out = (span){0, 0};
    for (size_t k = 0; alternative(phrases, k, phrase, sizeof phrase); k++)
        if (phrase_find(text, from, phrase, &s) && s.end <= to && (!any || s.start < out->start)) {
            *out = s;
            any = true;
        }
    return any;
}

bool take_phrase(const char *text, size_t *at, const char *phrases) {
    char phrase[64];
    size_t from = *at, end, p;
    while (text[from] == ' ' || text[from] == ',' || text[from] == ':')
        from++;
    for (size_t k = 0; alternative(phrases, k, phrase, sizeof phrase); k++) {
        if (!phrase_at(text, from, phrase, &end))
            continue;
        p = end;
        int32_t next = text_next(text, &p);
        if (next && code_is_word(next))
            continue;
        *at = end;
        return true;
    }
    return false;
}

bool is_asked(const char *text, size_t to) {
    span s;
    return any_phrase(text, 0, to,
                      "should|must|ought|needs to|need to|needed to|asks|asked|require|requires|required|requested|expected|allowed|instead of|rather than|question|query|"
                      "task|prompt|instruction|instructions|request|correct answer|right answer|correct sentence|correct word|right word|would be|could",
                      &s);
}

#define SAYS "says|said|say|answers|answered|gives|gave|give|claims|claimed|claim|states|stated|state|writes|wrote|write|names|named|name|concludes|calculates|computes"
#define HAS "contain|contains|use|uses|include|includes|mention|mentions|have|say|write|name|give|show|state"

/* ---- one critique ------------------------------------------------------------------------------------------------ */

typedef struct claim_reader {
    agon_ctx *ctx;
    const claim_facts *f;
    const char *text; /* the critique, bounded */
    char *words;      /* the same with blanks for what is quoted */
    critique_claims *out;
    /* Of the sentence read so far: */
    int unit;                  /* of its last count, -1 */
    bool said, said_number;    /* its last clause says what the answer says */
    rational number;
    /* Of the critique: */
    bool judged, judged_right; /* it has called the answer right or wrong */
    bool named;                /* it has named the right answer, a number */
    rational named_number;
} claim_reader;

static void settle(critique_claim *c, claim_check check, bool holds) {
    if (c->check[check] != CHECK_FAILS)
        c->check[check] = holds ? CHECK_HOLDS : CHECK_FAILS;
}

/* ---- quotes ------------------------------------------------------------------------------------------------------- */

/* The end of what is quoted from text[at], QUOTE_LONGEST bytes at most; false: nothing is. *start, *end: without marks, *behind: behind them. */
static bool quoted(const char *text, size_t at, size_t *start, size_t *end, size_t *behind) {
    static const char *const marks[][2] = {{"<q>", "</q>"}, {"\"", "\""}, {"\xE2\x80\x9C", "\xE2\x80\x9D"}, {"\xE2\x80\x98", "\xE2\x80\x99"}, {"`", "`"}, {"'", "'"}};
    for (size_t k = 0; k < sizeof marks / sizeof *marks; k++) {
        size_t n = strlen(marks[k][0]);
        if (strncmp(text + at, marks[k][0], n) != 0)
            continue;
        const bool apostrophe = *marks[k][0] == '\'';
        if (apostrophe && at > 0 && !strchr(" (\n[", text[at - 1]))
            return false;
        const char *from = text + at + n, *stop = from;
        const size_t reach = strnlen(from, QUOTE_LONGEST), m = strlen(marks[k][1]);
        while ((stop = memmem(stop, reach - (size_t)(stop - from), marks[k][1], m)) && apostrophe && is_letter(stop[1]))
            stop++;
        if (!stop || (apostrophe && text[at + n] == ' '))
            return false;
        *start = at + n;
        *end = (size_t)(stop - text);
        *behind = *end + strlen(marks[k][1]);
        return true;
    }
    return false;
}

/* Lists the quotes and blanks them in r->words. */
static void blank_quotes(claim_reader *r) {
    critique_claims *out = r->out;
    const size_t n = strlen(r->text);
    for (size_t at = 0, start, end, behind; at < n; at++) {
        if (!quoted(r->text, at, &start, &end, &behind))
            continue;
        if (out->n_quotes < QUOTES_MOST && end > start)
            out->quotes[out->n_quotes++] = (claimed_quote){start, end, SIZE_MAX, QUOTE_ANYWHERE, r->text[at] == '<'};
        memset(r->words + start, ' ', end - start);
        memset(r->words + at, '"', 1);
        memset(r->words + at + 1, ' ', behind - at - 1);
        r->words[behind - 1] = '"';
        at = behind - 1;
    }
}

/* Is what follows text[0, at) said to be absent: "does not contain the word"? *doubtful: denied in another way. */
static bool absent_before(const char *text, size_t at, bool *doubtful) {
    span s, verb;
    *doubtful = false;
    if (any_phrase(text, 0, at, "lacks|lack|is missing|are missing|misses|without|omits|never uses|never says|never mentions|has no|contains no|there is no", &s))
        return true;
    if (!any_phrase(text, 0, at, "not|doesn't|don't|didn't|isn't|never|no|cannot|can't|fails to", &s))
        return false;
    size_t n = 0, p = s.end;
    if (!any_phrase(text, s.end, at, HAS, &verb) || verb.start > s.end + 1)
        *doubtful = true;
    for (span w; !*doubtful && token_next(text, &p, &w) && w.end < at;)
        *doubtful = ++n > 6;
    return !*doubtful;
}

/* How a quote of this clause must stand in the answer; false: it is none of the answer's. */
static bool quote_place_in(const clause *c, const claimed_quote *q, bool contrast, quote_place *out) {
    const size_t before = q->start - c->start;
    size_t p = q->end - c->start;
    bool doubtful;
    *out = QUOTE_ANYWHERE;
    p += strspn(c->words + p, " \"");
    if (absent_before(c->words, before, &doubtful) ||
        take_phrase(c->words, &p, "does not occur|does not appear|is missing|is absent|is not there|is not used|is not mentioned|never occurs|never appears|doesn't occur|doesn't appear"))
        *out = QUOTE_NOWHERE;
    size_t k = before;
    while (k > 0 && strchr(" \"'`", c->words[k - 1]))
        k--;
    if (!q->strict && (take_phrase(c->words, &p, "is asked|is required|is expected|was asked|was required") || (*out == QUOTE_ANYWHERE && (contrast || doubtful || is_asked(c->words, before)))))
        return false;
    span s;
    const size_t near = k > 14 ? k - 14 : 0;
    if (*out == QUOTE_ANYWHERE && any_phrase(c->words, near, k, "starts with|begins with|opens with|start with|begin with", &s) && s.end == k)
        *out = QUOTE_FIRST;
    else if (*out == QUOTE_ANYWHERE && any_phrase(c->words, near, k, "ends with|closes with|end with", &s) && s.end == k)
        *out = QUOTE_LAST;
    return true;
}

static void claim_quotes(claim_reader *r, const clause *c, size_t claim) {
    for (size_t i = 0; i < r->out->n_quotes; i++) {
        claimed_quote *q = &r->out->quotes[i];
        if (q->start >= c->start && q->end <= c->start + c->n && quote_place_in(c, q, c->contrast && r->said, &q->place))
            q->claim = claim;
    }
}

/* ---- what the answer says ------------------------------------------------------------------------------------------- */

static bool response_has(const char *response, rational value) {
    number_token t;
    bool has = false;
    for (size_t at = 0, n = strlen(response); !has && number_next(response, at, n, &t); at = t.end)
        has = !t.invalid && rational_equal(t.value, value);
    for (size_t at = 0; !has && number_words_next(response, &at, true, &t);)
        has = rational_equal(t.value, value);
    return has;
}

/* "writes 3 * 4 = 13": all its numbers. */
static bool response_has_all(const char *response, const char *words, size_t start, size_t end) {
    number_token t;
    int n = 0;
    for (size_t at = start; number_next(words, at, end, &t); at = t.end)
        if (++n > 32 || t.invalid || !response_has(response, t.value))
            return false;
    return n > 0;
}

/* The verb that reports what the answer says, in words[0, to), and no "because" behind it. */
static bool reported(const char *words, size_t to, span *verb) {
    return any_phrase(words, 0, to, SAYS, verb) && (verb->start == 0 || !is_digit(words[verb->start - 1])) && !is_asked(words, verb->start);
}

/* A short text behind "says" that is no number and stands in no marks, to be looked up like a quote: "says h". */
static void claim_text(claim_reader *r, const clause *c, size_t at, size_t claim) {
    size_t end = at;
    span s;
    while (c->words[at] == ' ')
        at++;
    const char *which = strstr(c->words + at, ", which");
    end = which ? (size_t)(which - c->words) : c->n;
    while (end > at && strchr(" .,;:!", c->words[end - 1]))
        end--;
    if (end == at || end - at > 60 || memchr(c->words + at, '"', end - at) || any_phrase(c->words, at, end, "that|it|how|why|what|nothing|no|the|something|is|are|only", &s))
        return;
    if (r->out->n_quotes == QUOTES_MOST)
        return;
    r->out->quotes[r->out->n_quotes++] = (claimed_quote){c->start + at, c->start + end, claim, QUOTE_ANYWHERE, false};
    r->said = true;
}

static void check_said(claim_reader *r, const clause *c, size_t claim) {
    critique_claim *out = &r->out->claims[claim];
    relation said;
    number_token t;
    span verb = {0, 0}, s;
    if (!reported(c->words, c->n, &verb))
        return;
    size_t at = verb.end;
    bool says = take_phrase(c->words, &(size_t){verb.start}, "says");
    (void)take_phrase(c->words, &at, "that");
    (void)take_phrase(c->words, &at, "the answer is|it is|the result is|its answer is|an answer of|a result of|a value of");
    while (c->words[at] == ' ' || c->words[at] == ':')
        at++;
    if (!number_here(c->words, at, &t) || t.invalid) {
        if (says && !any_phrase(c->words, 0, verb.start, "not|doesn't|never|didn't", &s))
            claim_text(r, c, verb.end, claim);
        return;
    }
    if (relation_next(c->words, at, &said) && said.start <= at && !said.which) {
        settle(out, CHECK_SAID, response_has_all(r->f->response, c->words, said.start, said.end));
        return;
    }
    const bool denied = any_phrase(c->words, 0, verb.start, "not|doesn't|never|didn't|don't", &s);
    settle(out, CHECK_SAID, response_has(r->f->response, t.value) != denied);
    r->said = r->said_number = !denied;
    r->number = t.value;
}

/* ---- arithmetic -------------------------------------------------------------------------------------------------------- */

#define FALSE_WORDS "false|wrong|incorrect|untrue|not true|not correct|not right|not valid|invalid|not a valid|not a correct|inaccurate"

/* What the words behind a relation make of it: 1 true, -1 false, 0 nothing. */
static int called(const char *words, size_t at) {
    if (!take_phrase(words, &at, "which is|which was|that is|is|are"))
        return 0;
    if (take_phrase(words, &at, FALSE_WORDS))
        return -1;
    return take_phrase(words, &at, "true|correct|right|valid") ? 1 : 0;
}

static void check_arithmetic(const clause *c, critique_claim *out) {
    relation e;
    span verb = {0, 0}, s;
    for (size_t at = 0; relation_next(c->words, at, &e); at = e.end) {
        const int word = called(c->words, e.end);
        bool expected = word >= 0 && !any_phrase(c->words, 0, e.start, "not true that|false that|wrong that|incorrect that|not the case that", &s);
        if (reported(c->words, e.start, &verb) && !e.which && word == 0)
            continue; /* the answer's own: check_said */
        settle(out, CHECK_ARITHMETIC, e.holds == expected);
    }
}

/* ---- right and wrong ------------------------------------------------------------------------------------------------------ */

/* "The answer is incorrect", "Wrong": 1 right, -1 wrong, 0 neither. */
static int verdict_word(const clause *c, const claim_facts *f) {
    size_t at = 0, p;
    const bool puzzle = f->query && strcmp(f->query->family, "string") == 0;
    bool denied = false;
    while (take_phrase(c->words, &at, "so|and|but|because|also|therefore|thus|however|hence|overall|no"))
        ;
    p = at;
    (void)take_phrase(c->words, &p, "the|this|that|your|its|my");
    (void)take_phrase(c->words, &p, "given|final|original|whole|overall|student's|learner's|above");
    if (take_phrase(c->words, &p, puzzle ? "answer|response|solution|result|reply|output|it|this" : "answer|response|solution|result|reply|output|it|this|sentence|text") ||
        p > at) {
        if (take_phrase(c->words, &p, "isn't"))
            denied = true;
        else if (!take_phrase(c->words, &p, "is|was|seems|appears to be|looks"))
            return 0;
        denied = take_phrase(c->words, &p, "not") || denied;
        (void)take_phrase(c->words, &p, "also|simply|clearly|completely|totally|entirely|actually|still|just");
        at = p;
    }
    int word = take_phrase(c->words, &at, "wrong|incorrect|false|inaccurate|mistaken|invalid") ? -1 : take_phrase(c->words, &at, "correct|right|true|accurate|valid") ? 1 : 0;
    p = at;
    if (c->words[p] == ' ' && take_phrase(c->words, &p, "that|to|for|the|your|this|it|by|answer|order|word|number|one|1|letter|value|result"))
        return 0; /* "it is wrong to", "correct answer: 3" */
    return denied ? -word : word;
}

static void check_verdict(claim_reader *r, const clause *c, critique_claim *out) {
    const int word = verdict_word(c, r->f);
    if (!word)
        return;
    if (r->f->verified && r->f->outcome != OUTCOME_UNKNOWN)
        settle(out, CHECK_VERDICT, (r->f->outcome == OUTCOME_PASS) == (word > 0));
    if (r->judged && r->judged_right != (word > 0))
        settle(out, CHECK_CONSISTENT, false);
    r->judged = true;
    r->judged_right = word > 0;
}

/* Where the clause names what would have been right; *end of it. */
static bool named_answer(const clause *c, bool contrast, size_t *start, bool *denied) {
    span s;
    size_t at, p = 0;
    *denied = false;
    if (any_phrase(c->words, 0, c->n,
                   "correct answer|right answer|actual answer|true answer|real answer|correct result|correct value|correct sum|correct response|correct solution|"
                   "correct number|correct word|right result|expected answer|proper answer|correct sentence", &s)) {
        at = s.end;
        if (!take_phrase(c->words, &at, "is actually|is|was|would be|should be|must be|will be") && c->words[at] != ':')
            return false;
        *denied = take_phrase(c->words, &at, "not");
    } else if (any_phrase(c->words, 0, c->n, "should be|must be|should have been|ought to be", &s)) {
        at = s.end;
        while (c->words[at] == ' ')
            at++;
        if (!is_digit(c->words[at]) && c->words[at] != '"')
            return false;
    } else if (contrast) { /* "says 78, but 42 + 25 = 67" */
        at = 0;
        while (any_phrase(c->words, p, c->n, "is", &s))
            p = at = s.end;
        for (size_t i = at; i < c->n; i++)
            if (c->words[i] == '=')
                at = i + 1;
        if (at == 0)
            return false;
    } else {
        return false;
    }
    while (at < c->n && strchr(" :,", c->words[at]))
        at++;
    *start = at;
    return at < c->n;
}

/* The critique's own text from there, without marks around it; new. */
static char *answer_text(const claim_reader *r, const clause *c, size_t at) {
    const char *text = r->text + c->start + at;
    size_t n = c->n - at;
    while (n > 0 && strchr(" \n\r\t\"'`", text[0]))
        text++, n--;
    while (n > 0 && strchr(" \n\r\t\"'`.,;", text[n - 1]))
        n--;
    return strndup(text, n);
}

static void contradicts(claim_reader *r, critique_claim *out, rational value) {
    const number_answer said = number_find(r->f->response);
    if (r->said && r->said_number && rational_equal(r->number, value))
        settle(out, CHECK_CONSISTENT, false); /* "says 67, but it is 67" */
    if (r->judged && said.finding == NUMBER_SAID && rational_equal(said.value, value) != r->judged_right)
        settle(out, CHECK_CONSISTENT, false); /* calls wrong what it names as right, or the other way round */
    if (r->named && !rational_equal(r->named_number, value))
        settle(out, CHECK_CONSISTENT, false);
    r->named = true;
    r->named_number = value;
}

static agon_status check_answer(claim_reader *r, const clause *c, critique_claim *out) {
    size_t at;
    bool denied;
    if (!named_answer(c, c->contrast && r->said, &at, &denied))
        return AGON_OK;
    char *text = answer_text(r, c, at);
    task_verdict v = {0};
    agon_status s = text ? AGON_OK : ctx_fail(r->ctx, AGON_ENOMEM, "no memory to check a critique");
    number_answer number = {0};
    if (!s)
        number = number_find(text);
    if (!s && !denied && number.finding == NUMBER_SAID)
        contradicts(r, out, number.value);
    if (!s && *text && r->f->verified && r->f->query)
        s = task_verify(r->ctx, r->f->query, text, &v);
    if (!s && v.evidence && v.outcome != OUTCOME_UNKNOWN)
        settle(out, CHECK_ANSWER, (v.outcome == OUTCOME_PASS) != denied);
    task_verdict_free(&v);
    free(text);
    return s;
}

/* ---- clauses ------------------------------------------------------------------------------------------------------------------- */

static bool says_something(const char *text, size_t n) {
    for (size_t at = 0; at < n;)
        if (code_is_word(text_next(text, &at)))
            return true;
    return false;
}

/* `words` [n] of the critique from `start`: copied to end in NUL, so that no phrase is found behind it. */
static agon_status read_clause(claim_reader *r, size_t start, size_t n, bool contrast) {
    critique_claims *out = r->out;
    if (out->n == CLAIMS_MOST || !says_something(r->text + start, n))
        return AGON_OK;
    char *words = strndup(r->words + start, n);
    if (!words)
        return ctx_fail(r->ctx, AGON_ENOMEM, "no memory to check a critique");
    const clause c = {words, start, n, contrast};
    const size_t claim = out->n++;
    critique_claim *made = &out->claims[claim];
    *made = (critique_claim){.start = start, .end = start + n};
    claim_quotes(r, &c, claim);
    check_result counts = contrast && r->said ? CHECK_NONE : check_counts(r->ctx, &c, r->f, &r->unit); /* "says h, but .." goes on with what is right */
    if (counts)
        settle(made, CHECK_COUNT, counts == CHECK_HOLDS);
    check_arithmetic(&c, made);
    check_verdict(r, &c, made);
    agon_status s = check_answer(r, &c, made);
    if (!s && !contrast)
        check_said(r, &c, claim);
    free(words);
    return s;
}

/* Where the clause that begins at `from` ends, in words[from, to): before a joint, which is `*skip` bytes long. */
static size_t clause_end(const char *words, size_t from, size_t to, size_t *skip, bool *contrast) {
    static const struct {
        const char *joint;
        bool contrast;
    } joints[] = {{";", false}, {", but ", true}, {" but ", true}, {" because ", false}, {" since ", false}, {" although ", false}, {" whereas ", false}, {" even though ", false}};
    size_t first = to;
    *skip = 0;
    *contrast = false;
    for (size_t k = 0; k < sizeof joints / sizeof *joints; k++) {
        const char *at = memmem(words + from, first - from, joints[k].joint, strlen(joints[k].joint));
        if (at) {
            first = (size_t)(at - words);
            *skip = strlen(joints[k].joint);
            *contrast = joints[k].contrast;
        }
    }
    return first;
}

static agon_status read_sentence(claim_reader *r, size_t start, size_t end) {
    bool contrast = false, next;
    size_t skip;
    agon_status s = AGON_OK;
    r->unit = -1;
    r->said = r->said_number = false;
    for (size_t from = start, to; from < end && !s; from = to + skip, contrast = next) {
        to = clause_end(r->words, from, end, &skip, &next);
        s = read_clause(r, from, to - from, contrast);
    }
    return s;
}

agon_status critique_claims_read(agon_ctx *ctx, const char *critique, const claim_facts *facts, critique_claims *out) {
    memset(out, 0, sizeof *out);
    claim_reader r = {.ctx = ctx, .f = facts, .out = out};
    char *text = strndup(critique, strlen(critique) > CRITIQUE_READ ? utf8_cut(critique, CRITIQUE_READ) : CRITIQUE_READ), *quoteless = text ? strdup(text) : NULL;
    span sentences[CLAIMS_MOST];
    agon_status s = quoteless ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "no memory to check a critique");
    if (!s) {
        r.text = text;
        r.words = quoteless;
        blank_quotes(&r);
        r.words = number_words_as_digits(quoteless);
        s = r.words ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "no memory to check a critique");
    }
    const size_t found = s ? 0 : text_sentences(r.words, sentences, CLAIMS_MOST), n = found < CLAIMS_MOST ? found : CLAIMS_MOST;
    for (size_t i = 0; i < n && !s; i++)
        s = read_sentence(&r, sentences[i].start, sentences[i].end);
    free(r.words == quoteless ? NULL : r.words);
    free(quoteless);
    free(text);
    return s;
}
