/* Which family a model's chat template belongs to: by what only that family's templates write, and then by its writing nothing else. */
#include "model/chat_private.h"
#include "base/ctx.h"
#include <string.h>

/* ---- which family ---------------------------------------------------------------------------------------- */

/* A mark is in the template's source, or in what it writes. */
static bool has_mark(const tokenizer *t, const char *text, const char *mark) {
    return strstr(text, mark) || strstr(t->chat_template, mark);
}

static bool is_family(const tokenizer *t, const char *text, const chat_family *f) {
    for (size_t i = 0; i < sizeof f->marks / sizeof *f->marks && f->marks[i]; i++)
        if (!has_mark(t, text, f->marks[i]))
            return false;
    for (size_t i = 0; i < sizeof f->never / sizeof *f->never && f->never[i]; i++)
        if (has_mark(t, text, f->never[i]))
            return false;
    return strstr(f->close[ASSISTANT], CHAT_EOS) || !strstr(text, CHAT_EOS);
}

/* The template's own system turn, where one text is it; false when there may be one that is not read. */
static bool read_default_system(tokenizer *t, const char *text, bool has_default) {
    const char *open = t->family->open[SYSTEM], *close = t->family->close[SYSTEM], *found = NULL;
    size_t n_close = close ? strlen(close) : 0, n_found = 0;
    for (const char *p = text; open && *open && !t->family->dated_system && (p = strstr(p, open));) {
        p += strlen(open);
        size_t n = strcspn(p, CHAT_VALUE CHAT_BREAK CHAT_BOS CHAT_OTHER);
        const char *turn = p;
        p += n;
        if (!memmem(turn, n, close, n_close))
            continue;
        n = n >= n_close && memcmp(turn + n - n_close, close, n_close) == 0 ? n - n_close : 0;
        if (n == 0 || memchr(turn, CHAT_EOS[0], n) || (found && (n != n_found || memcmp(found, turn, n) != 0)))
            return false;
        found = turn;
        n_found = n;
    }
    t->default_system = found ? arena_text(t->arena, found, n_found) : NULL;
    return t->default_system || !(found || has_default);
}

/* Whether answers are opened with <think>; false when they are in a way that agon does not write. */
static bool read_opening(tokenizer *t, const char *text) {
    const char *open = t->family->open[ASSISTANT];
    for (const char *p = text; *open && (p = strstr(p, open));) {
        p += strlen(open);
        if (strncmp(p, "<think>", 7) != 0)
            continue;
        if (strncmp(p + 7, "\n" CHAT_BREAK, 2) != 0 || !(t->family->thinks || t->family->drops_thinking))
            return false;
        t->chat_opens_thinking = true;
    }
    return true;
}

/* ---- whether it writes nothing else ----------------------------------------------------------------------- */

/* What is being checked, byte for byte. */
typedef struct checker {
    tokenizer *t;
    const chat_family *f;
    const chat_text *x;
    const char *p, *bos, *eos;              /* texts of the tokens; "": none */
    enum { BETWEEN, OPENED, FILLED } state; /* before or behind a turn, behind its opening, behind its content */
    int role;                               /* that was opened; N_ROLES: by a value */
    bool turns, ends, asks, has_system, has_late_system, has_reasoning; /* what was met: a turn, an answer's end, its opening, ... */
    bool joins; /* a system message and what follows it are one turn, written where that is */
} checker;

static unsigned here(const checker *c) {
    return c->x->where[c->p - c->x->text];
}

/* Steps over `text` where it stands. */
static bool take(checker *c, const char *text) {
    size_t n = strlen(text);
    bool found = n > 0 && strncmp(c->p, text, n) == 0;
    c->p += found ? n : 0;
    return found;
}

/* An opening with the role's own name, or with a value in its place. */
static bool take_open(checker *c) {
    for (int role = 0; role < N_ROLES; role++)
        if (c->f->open[role] && take(c, c->f->open[role])) {
            c->role = role;
            return true;
        }
    for (int role = 0; role < N_ROLES; role++) {
        const char *open = c->f->open[role], *name = open ? strstr(open, chat_roles[role]) : NULL;
        size_t n = name ? (size_t)(name - open) : 0;
        if (n == 0 || strncmp(c->p, open, n) != 0 || c->p[n] != CHAT_VALUE[0])
            continue;
        const char *from = c->p;
        c->p += n + 1;
        c->role = N_ROLES;
        if (take(c, name + strlen(chat_roles[role])))
            return true;
        c->p = from;
    }
    return false;
}

/* The opening of a turn in the place where it stands, up to its content. */
static bool check_open(checker *c) {
    unsigned at = here(c);
    if (c->state != BETWEEN || !take_open(c))
        return false;
    c->state = OPENED;
    c->turns = true;
    if (c->f->inst && c->role == USER && (!(at & CHAT_NO_ANSWER) || at & CHAT_NO_USER))
        return false;
    bool system = !(at & CHAT_NO_SYSTEM) && (c->role == SYSTEM || c->role == N_ROLES);
    c->has_system = c->has_system || system;
    c->has_late_system = c->has_late_system || (system && at & CHAT_LOOP);
    if (c->role == SYSTEM && !(at & (CHAT_IF | CHAT_LOOP)) && !c->f->dated_system && !(here(c) & CHAT_GIVEN))
        return false; /* written always, also where there is no system message */
    bool thinks = (c->f->thinks || c->f->drops_thinking) && (c->role == ASSISTANT || c->role == N_ROLES) && take(c, "<think>\n");
    if (*c->p == CHAT_BREAK[0] && c->role == ASSISTANT) {
        c->asks = true;
        return at & CHAT_OPENS; /* an answer that is opened by itself, where one is asked for only */
    }
    bool again = thinks && c->has_reasoning;
    c->has_reasoning = c->has_reasoning || thinks;
    return !thinks || (!again && c->f->thinks && (at & CHAT_LATE) && *c->p == CHAT_VALUE[0]);
}

/* BOS comes before the first turn. */
static bool check_bos(checker *c) {
    unsigned at = here(c);
    if (!take(c, CHAT_BOS) && !take(c, c->bos))
        return false;
    c->t->chat_bos = true;
    return at & CHAT_FIRST || !(c->turns || at & CHAT_LOOP);
}

/* Turns of the role begin with markup. */
static bool opens(const chat_family *f, int role) {
    return f->open[role] && *f->open[role];
}

/* Where the system message opens a user's turn. */
static bool is_system_place(const checker *c, unsigned at) {
    return at & (c->f->system == SYSTEM_IN_FIRST_USER ? CHAT_FIRST : CHAT_LAST);
}

static bool is_middle(const char *p) {
    return p[0] == '\n' && p[1] == '\n';
}

static bool is_value_expected(const checker *c) {
    const chat_family *f = c->f;
    return c->state == OPENED || c->state == FILLED || here(c) & CHAT_SET || !opens(f, SYSTEM) || !opens(f, ASSISTANT);
}

static bool is_answer_place(unsigned at) {
    return at & CHAT_NO_USER && !(at & CHAT_NO_ANSWER);
}

/* In front of an answer, which follows. */
static bool take_lead(checker *c) {
    if (!c->f->lead || c->state != BETWEEN || !is_answer_place(here(c)) || !take(c, c->f->lead) || *c->p != CHAT_VALUE[0])
        return false;
    c->state = OPENED;
    c->role = ASSISTANT;
    c->turns = true;
    return true;
}

/* A value of an inst family: in a set, behind what its turn begins with, or an answer that begins with itself. */
static bool is_inst_value_expected(checker *c) {
    unsigned at = here(c);
    if (at & CHAT_SET)
        return c->state != OPENED || (c->role == SYSTEM && at & CHAT_SYSTEM_VALUE && is_system_place(c, at));
    if (c->state == OPENED)
        return c->role != SYSTEM && (!(at & CHAT_SYSTEM_VALUE) || (c->role == USER && is_middle(c->p + 1)));
    if (c->state == FILLED)
        return is_middle(c->p - 2);
    c->role = ASSISTANT;
    return !c->f->lead && is_answer_place(at) && !(at & CHAT_SYSTEM_VALUE);
}

/* The family's own text in a system turn, or in the set of a variable that is written there. */
static bool take_system(checker *c) {
    bool in_set = here(c) & CHAT_SET, opened = c->state == OPENED && c->role == SYSTEM;
    if (c->f->dated_system && in_set)
        return take(c, CHAT_DATE);
    if (c->f->dated_system)
        return opened && take(c, "Cutting Knowledge Date: December 2023\nToday Date: ") && (take(c, CHAT_VALUE) || take(c, CHAT_DATE)) &&
               take(c, "\n\n");
    if (!(in_set || opened) || !c->t->default_system || !take(c, c->t->default_system))
        return false;
    c->state = FILLED;
    return true;
}

/* A value that a variable with "system" in its name has. */
static bool at_system(const checker *c, int offset) {
    return c->x->where[c->p - c->x->text + offset] & CHAT_SYSTEM_VALUE;
}

/* What stands between two contents of a turn. */
static bool take_middle(checker *c) {
    const chat_family *f = c->f;
    unsigned at = here(c);
    bool with_user = f->system != SYSTEM_OWN_TURN && !opens(f, SYSTEM);
    bool joins = with_user || (f->system_first && at & CHAT_SET); /* system messages, to the next content */
    if (c->state != FILLED || !((f->thinks && take(c, "\n</think>\n\n")) || (joins && take(c, "\n\n"))))
        return false;
    c->joins = c->joins || (with_user && !(at & CHAT_SET));
    return !f->inst || (is_system_place(c, at) && c->role == USER && c->p[-3] == CHAT_VALUE[0] && at_system(c, -3) &&
                        c->p[0] == CHAT_VALUE[0] && !at_system(c, 0));
}

/* The end of a turn. EOS in it may be written as its text. */
static bool take_end(checker *c) {
    for (int role = 0; c->state != OPENED && role < N_ROLES; role++) {
        if (c->f->inst && (role != c->role || c->state != FILLED))
            continue;
        const char *close = c->f->open[role] ? c->f->close[role] : "", *eos = strchr(close, CHAT_EOS[0]), *from = c->p;
        size_t n = eos ? (size_t)(eos - close) : 0;
        if (!eos && take(c, close))
            return true;
        if (!eos || c->state != FILLED || strncmp(c->p, close, n) != 0)
            continue;
        c->p += n;
        if (take(c, CHAT_EOS) || take(c, c->eos)) {
            c->ends = true;
            return take(c, eos + 1) || !eos[1] || !c->f->inst;
        }
        c->p = from;
    }
    return false;
}

/* Steps over a piece of what the family writes; false: it is none. */
static bool check_piece(checker *c) {
    const char *from = c->p;
    if (take(c, CHAT_BREAK)) {
        c->state = BETWEEN;
        return true;
    }
    if (*c->p == CHAT_VALUE[0]) {
        bool expected = c->f->inst ? is_inst_value_expected(c) : is_value_expected(c);
        c->state = FILLED;
        c->p++;
        return expected;
    }
    if (take_system(c) || take_middle(c) || check_open(c))
        return true;
    if (c->p != from)
        return false;
    if (take_end(c)) {
        c->state = BETWEEN;
        return true;
    }
    if (take_lead(c))
        return true;
    return c->p == from && check_bos(c);
}

static const char *text_of(const tokenizer *t, int32_t id) {
    size_t n;
    return id >= 0 && tokenizer_is_special(t, id) ? tokenizer_bytes(t, id, &n) : "";
}

/* Contents are trimmed alike; those of inst families, where a set joins a system message and a question that are trimmed as one,
 * and where answers are trimmed or not, for themselves. */
static bool trims_as_family(const checker *c) {
    const chat_text *x = c->x;
    bool trims = x->trims || x->trims_answers || x->trims_parts, keeps = x->keeps || x->keeps_answers || x->keeps_parts;
    if (!c->f->inst)
        return !(trims && keeps);
    return !(x->trims && x->keeps) && !(x->trims_answers && x->keeps_answers) && !x->trims_parts && !(c->joins && x->trims);
}

/* Each piece of the template's text is one of the family's, and contents are written alike. A template that never opens an
 * answer is the family's too: agon opens it as the family does. */
static bool writes_family(tokenizer *t, const chat_text *x) {
    const chat_family *f = t->family;
    checker c = {.t = t, .f = f, .x = x, .p = x->text, .bos = text_of(t, t->bos), .eos = text_of(t, t->eos)};
    while (*c.p)
        if (!check_piece(&c))
            return false;
    t->chat_system_first = f->system_first || !c.has_late_system;
    bool asked = strstr(t->chat_template, "add_generation_prompt") && opens(f, ASSISTANT);
    return (c.ends || !strstr(f->close[ASSISTANT], CHAT_EOS)) && (c.asks || !asked) && (c.has_system || !opens(f, SYSTEM)) &&
           trims_as_family(&c) && x->reasons == (f->thinks || f->drops_thinking);
}

/* ---- what follows from it ---------------------------------------------------------------------------------- */

const added_token *markup_added(const tokenizer *t, const char *text) {
    const added_token *token = tokenizer_added_at(t, text, strlen(text), false);
    return token ? token : tokenizer_added_at(t, text, strlen(text), true);
}

/* The tokens that the family's turns are made of. Its marks begin with a bracket: an added token of other markup
 * ("\n", "user") is a word that any text may hold. */
static void find_turn_tokens(tokenizer *t) {
    const chat_family *f = t->family;
    const char *texts[2 * N_ROLES];
    for (int i = 0; i < N_ROLES; i++) {
        texts[2 * i] = f->open[i];
        texts[2 * i + 1] = f->close[i];
    }
    for (size_t i = 0; i < t->n_added; i++)
        t->added[i].turn = t->added[i].id == t->bos || t->added[i].id == t->eos;
    for (size_t i = 0; i < 2 * N_ROLES; i++)
        for (const char *p = texts[i]; p && *p;) {
            const added_token *token = *p == '<' || *p == '[' ? markup_added(t, p) : NULL;
            if (token)
                t->added[token - t->added].turn = true;
            p += token ? token->n : 1;
        }
}

/* What was read off a template of another family, or of none, is not the family's own. */
static void chat_forget(tokenizer *t) {
    t->family = NULL;
    t->default_system = NULL;
    t->chat_opens_thinking = t->chat_bos = false;
}

void chat_recognise(tokenizer *t) {
    chat_text x = {0};
    if (!t->chat_template || !chat_text_read(t->chat_template, &x))
        return;
    const chat_family *f;
    for (size_t i = 0; !t->family && (f = chat_family_at(i)); i++)
        if (is_family(t, x.text, f))
            t->family = f;
    if (t->family && !(read_default_system(t, x.text, x.has_default) && read_opening(t, x.text) && writes_family(t, &x)))
        chat_forget(t);
    if (t->family) {
        t->chat_trims = x.trims || (!t->family->inst && (x.trims_answers || x.trims_parts));
        t->chat_trims_answers = t->family->inst ? x.trims_answers : t->chat_trims;
        t->chat_alternates = t->family->inst || strstr(t->chat_template, "oles must alternate");
        /* A template that asks for neither role writes any role alike. */
        t->chat_tools = t->family->open[TOOL] && !strstr(t->chat_template, "user") && !strstr(t->chat_template, "tool");
        find_turn_tokens(t);
    }
    chat_text_free(&x);
}

agon_status chat_template_set(agon_ctx *ctx, tokenizer *t, const char *name) {
    const chat_family *f;
    for (size_t i = 0; (f = chat_family_at(i)) && strcmp(f->name, name) != 0;)
        i++;
    if (!f)
        return ctx_fail(ctx, AGON_EINVAL, "no chat template is called '%.60s' (known: " CHAT_FAMILIES ")", name);
    if (t->family != f) {
        chat_forget(t);
        t->chat_trims = t->chat_trims_answers = f->trim;
        t->chat_bos = f->bos;
        t->chat_alternates = f->alternates;
        t->chat_system_first = f->system_first;
        t->chat_tools = f->open[TOOL] != NULL;
    }
    t->family = f;
    find_turn_tokens(t);
    return AGON_OK;
}
