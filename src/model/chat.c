/* Chat templates, by recognising the known families.
 *
 * A model file carries a Jinja program; agon does not run it but recognises which family it belongs to,
 * by what only that family's templates write (chat_template.c), and renders the conversation itself. A
 * template that holds any other text, changes contents otherwise than by trimming them, or writes turns in other places is
 * refused: a wrong prompt is worse than none. The families and their turns are one table. Special strings are parsed in the markup only. Between two special
 * tokens, markup ("user\n") and content are one text for the encoder, exactly as in the reference, so
 * the ids are equal; a special string inside content stays text, so content cannot forge a turn. That
 * holds for every token of the family's turns: DeepSeek R1 does not call its own special. It does not hold of markup that is
 * no token: Llama 2's "[INST]" is text, there as in the reference.
 *
 * Llama 3.1's template prints a date; the one it uses where no clock is given (26 Jul 2024) is used
 * always, so that the same conversation has the same ids on any day. */
#include "model/tokenizer_private.h"
#include "base/ctx.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { SYSTEM, USER, ASSISTANT, TOOL, N_ROLES };
static const char *const role_names[N_ROLES] = {"system", "user", "assistant", "tool"};

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

#define IM(role) "<|im_start|>" role "\n"
#define IM_END "<|im_end|>\n"
#define HEADER(role) "<|start_header_id|>" role "<|end_header_id|>\n\n"

/* In order of recognition: the more particular first. */
static const chat_family families[] = {
    {.name = "qwen3",
     .marks = {"\n" CHAT_VALUE "<|im_end|>\n", "reasoning_content",
               "\n<think>\n" CHAT_VALUE "\n</think>\n\n" CHAT_VALUE},
     .never = {CHAT_BREAK "<think>\n" CHAT_BREAK}, /* opens answers with it by a condition */
     .thinks = true,
     .open = {IM("system"), IM("user"), IM("assistant"), NULL},
     .close = {IM_END, IM_END, IM_END, NULL},
     .end_of_turn = "<|im_end|>"},
    {.name = "chatml",
     .marks = {"<|im_start|>", "\n" CHAT_VALUE "<|im_end|>\n"},
     .never = {"think>", IM_END "<|im_start|>assistant"},
     .open = {IM("system"), IM("user"), IM("assistant"), IM("tool")},
     .close = {IM_END, IM_END, IM_END, IM_END},
     .end_of_turn = "<|im_end|>"},
    {.name = "llama3.1",
     .marks = {"<|end_header_id|>\n\n" CHAT_VALUE "<|eot_id|>", "Cutting Knowledge Date: December 2023\n",
               "Today Date: "},
     .bos = true,
     .trim = true,
     .dated_system = true,
     .open = {HEADER("system"), HEADER("user"), HEADER("assistant"), NULL},
     .close = {"<|eot_id|>", "<|eot_id|>", "<|eot_id|>", NULL},
     .end_of_turn = "<|eot_id|>"},
    {.name = "llama3",
     .marks = {"<|start_header_id|>", "<|end_header_id|>\n\n" CHAT_VALUE "<|eot_id|>"},
     .never = {"Knowledge Date", "think>"},
     .bos = true,
     .trim = true,
     .open = {HEADER("system"), HEADER("user"), HEADER("assistant"), NULL},
     .close = {"<|eot_id|>", "<|eot_id|>", "<|eot_id|>", NULL},
     .end_of_turn = "<|eot_id|>"},
    {.name = "mistral-v7-tekken",
     .marks = {"[SYSTEM_PROMPT]", "[INST]" CHAT_VALUE "[/INST]", CHAT_VALUE CHAT_EOS},
     .never = {"[SYSTEM_PROMPT] "},
     .bos = true,
     .alternates = true,
     .system_first = true,
     .open = {"[SYSTEM_PROMPT]", "[INST]", "", NULL},
     .close = {"[/SYSTEM_PROMPT]", "[/INST]", CHAT_EOS, NULL}},
    {.name = "mistral-v3-tekken",
     .marks = {"[INST]" CHAT_VALUE "[/INST]", "[INST]" CHAT_VALUE "\n\n" CHAT_VALUE "[/INST]", CHAT_VALUE CHAT_EOS},
     .bos = true,
     .alternates = true,
     .system_first = true,
     .system = SYSTEM_IN_LAST_USER,
     .open = {"", "[INST]", "", NULL},
     .close = {"\n\n", "[/INST]", CHAT_EOS, NULL}},
    {.name = "mistral-v3",
     .marks = {"[INST] " CHAT_VALUE "[/INST]", "[INST] " CHAT_VALUE "\n\n" CHAT_VALUE "[/INST]", " " CHAT_VALUE CHAT_EOS,
               "loop.last and system_message is defined"},
     .never = {" [INST] "},
     .bos = true,
     .system_first = true,
     .system = SYSTEM_IN_LAST_USER,
     .alternates = true,
     .inst = true,
     .open = {"", "[INST] ", "", NULL},
     .close = {"\n\n", "[/INST]", CHAT_EOS, NULL},
     .lead = " "},
    {.name = "mistral-v1",
     .marks = {" [INST] " CHAT_VALUE " [/INST]", " [INST] " CHAT_VALUE "\n\n" CHAT_VALUE " [/INST]", " " CHAT_VALUE CHAT_EOS,
               "loop.first and system_message is defined"},
     .bos = true,
     .system_first = true,
     .system = SYSTEM_IN_FIRST_USER,
     .alternates = true,
     .inst = true,
     .open = {"", " [INST] ", "", NULL},
     .close = {"\n\n", " [/INST]", CHAT_EOS, NULL},
     .lead = " "},
    {.name = "llama2",
     .marks = {CHAT_BOS "[INST] " CHAT_VALUE " [/INST]", "<<SYS>>\n" CHAT_VALUE "\n<</SYS>>\n\n" CHAT_VALUE, " " CHAT_VALUE " " CHAT_EOS,
               "loop.index0 == 0 and system_message != false"},
     .trim = true,
     .system_first = true,
     .system = SYSTEM_IN_FIRST_USER,
     .alternates = true,
     .inst = true,
     .open = {"<<SYS>>\n", CHAT_BOS "[INST] ", "", NULL},
     .close = {"\n<</SYS>>\n\n", " [/INST]", " " CHAT_EOS, NULL},
     .lead = " "},
    /* The first templates of Mistral's instruction models, without a system message. */
    {.name = "mistral-v0.1",
     .marks = {CHAT_BREAK "[INST] " CHAT_VALUE " [/INST]" CHAT_BREAK, CHAT_BREAK CHAT_VALUE CHAT_EOS " " CHAT_BREAK},
     .never = {"<<SYS>>", "system_message"},
     .bos = true,
     .alternates = true,
     .inst = true,
     .open = {NULL, "[INST] ", "", NULL},
     .close = {NULL, " [/INST]", CHAT_EOS " ", NULL}},
    {.name = "mistral-v0.2",
     .marks = {CHAT_BREAK "[INST] " CHAT_VALUE " [/INST]" CHAT_BREAK, CHAT_BREAK CHAT_VALUE CHAT_EOS CHAT_BREAK},
     .never = {"<<SYS>>", "system_message"},
     .bos = true,
     .alternates = true,
     .inst = true,
     .open = {NULL, "[INST] ", "", NULL},
     .close = {NULL, " [/INST]", CHAT_EOS, NULL}},
    {.name = "deepseek-r1",
     .marks = {"<｜User｜>" CHAT_VALUE, "<｜Assistant｜>" CHAT_VALUE, "</think>"},
     .bos = true,
     .system_first = true,
     .drops_thinking = true,
     .open = {"", "<｜User｜>", "<｜Assistant｜>", NULL},
     .close = {"", "", CHAT_EOS, NULL}},
    {.name = "zephyr",
     .marks = {"<|user|>\n" CHAT_VALUE CHAT_EOS "\n", "<|assistant|>\n" CHAT_VALUE CHAT_EOS "\n"},
     .open = {"<|system|>\n", "<|user|>\n", "<|assistant|>\n", NULL},
     .close = {CHAT_EOS "\n", CHAT_EOS "\n", CHAT_EOS "\n", NULL}},
    {.name = "tulu",
     .marks = {"<|user|>\n" CHAT_VALUE "\n" CHAT_BREAK, "<|assistant|>\n" CHAT_VALUE CHAT_EOS "\n",
               "<|assistant|>\n" CHAT_VALUE CHAT_EOS CHAT_BREAK},
     .bare_end = true,
     .open = {"<|system|>\n", "<|user|>\n", "<|assistant|>\n", NULL},
     .close = {"\n", "\n", CHAT_EOS "\n", NULL}},
};
enum { N_FAMILIES = sizeof families / sizeof *families };

#define DATE "26 Jul 2024"
#define FAMILY_NAMES                                                                                                      \
    "qwen3, chatml, llama3.1, llama3, mistral-v7-tekken, mistral-v3-tekken, mistral-v3, mistral-v1, llama2, mistral-v0.1, " \
    "mistral-v0.2, deepseek-r1, zephyr, tulu"

/* ---- recognition ----------------------------------------------------------------------------------- */

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
        const char *open = c->f->open[role], *name = open ? strstr(open, role_names[role]) : NULL;
        size_t n = name ? (size_t)(name - open) : 0;
        if (n == 0 || strncmp(c->p, open, n) != 0 || c->p[n] != CHAT_VALUE[0])
            continue;
        const char *from = c->p;
        c->p += n + 1;
        c->role = N_ROLES;
        if (take(c, name + strlen(role_names[role])))
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
        return take(c, DATE);
    if (c->f->dated_system)
        return opened && take(c, "Cutting Knowledge Date: December 2023\nToday Date: ") && (take(c, CHAT_VALUE) || take(c, DATE)) &&
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

/* The added token that markup begins with, as the tokenizer cuts it. */
static const added_token *markup_added(const tokenizer *t, const char *text) {
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
    for (size_t i = 0; !t->family && i < N_FAMILIES; i++)
        if (is_family(t, x.text, &families[i]))
            t->family = &families[i];
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

const char *chat_end_of_turn(const chat_family *family) {
    return family->end_of_turn;
}

const char *chat_template_name(const tokenizer *t) {
    return t->family ? t->family->name : NULL;
}

agon_status chat_template_set(agon_ctx *ctx, tokenizer *t, const char *name) {
    for (size_t i = 0; i < N_FAMILIES; i++)
        if (strcmp(families[i].name, name) == 0) {
            if (t->family != &families[i]) {
                chat_forget(t);
                t->chat_trims = t->chat_trims_answers = families[i].trim;
                t->chat_bos = families[i].bos;
                t->chat_alternates = families[i].alternates;
                t->chat_system_first = families[i].system_first;
                t->chat_tools = families[i].open[TOOL] != NULL;
            }
            t->family = &families[i];
            find_turn_tokens(t);
            return AGON_OK;
        }
    return ctx_fail(ctx, AGON_EINVAL, "no chat template is called '%.60s' (known: " FAMILY_NAMES ")", name);
}

/* ---- writing turns ----------------------------------------------------------------------------------- */

typedef struct writer {
    agon_ctx *ctx;
    const tokenizer *t;
    token_list *ids;
    text_start start; /* before the plain text */
    buffer *mask;  /* of the tokens; NULL: not wanted */
    buffer text;   /* plain text since the last special token */
    buffer wanted; /* one byte for each byte of it: 1 where the mask is to be 1 */
    buffer ends;
} writer;

static agon_status no_memory(agon_ctx *ctx) {
    return ctx_fail(ctx, AGON_ENOMEM, "no memory to render the conversation");
}

static void writer_free(writer *w) {
    buffer_free(&w->text);
    buffer_free(&w->wanted);
    buffer_free(&w->ends);
}

/* A token that holds the border between markup and answer counts as what it ends with. */
static agon_status flush(writer *w) {
    if (w->text.size == 0)
        return AGON_OK;
    buffer_clear(&w->ends);
    size_t before = w->ids->n;
    token_sink sink = {.ids = w->ids, .ends = &w->ends};
    agon_status s = tokenizer_encode_run(w->ctx, w->t, w->text.data, w->text.size, false, w->start, &sink);
    const size_t *ends = (const size_t *)(const void *)w->ends.data;
    for (size_t i = before; !s && w->mask && i < w->ids->n; i++) {
        size_t end = ends[i - before];
        if (end < 1 || end > w->wanted.size)
            end = end < 1 ? 1 : w->wanted.size;
        if (!buffer_char(w->mask, w->wanted.data[end - 1]))
            s = no_memory(w->ctx);
    }
    buffer_clear(&w->text);
    buffer_clear(&w->wanted);
    w->start = TEXT_GOES_ON;
    return s;
}

static agon_status put_text(writer *w, const char *text, size_t n, bool wanted) {
    bool ok = buffer_append(&w->text, text, n);
    for (size_t i = 0; ok && i < n; i++)
        ok = buffer_char(&w->wanted, (char)wanted);
    return ok ? AGON_OK : no_memory(w->ctx);
}

static agon_status put_special(writer *w, int32_t id, bool wanted) {
    agon_status s = flush(w);
    if (!s && (!token_list_push(w->ids, id) || (w->mask && !buffer_char(w->mask, (char)wanted))))
        s = no_memory(w->ctx);
    w->start = TEXT_AFTER_TOKEN;
    return s;
}

/* The token that markup begins with, and its bytes there; -1: it is text, or a token that the model has not (*n 1 then). */
static int32_t markup_token(const tokenizer *t, const char *text, size_t *n) {
    *n = 1;
    if (*text == CHAT_EOS[0])
        return t->eos;
    if (*text == CHAT_BOS[0])
        return t->bos;
    const added_token *token = markup_added(t, text);
    if (!token || !added_is_held(token))
        return -1;
    *n = token->n;
    return token->id;
}

/* Markup: its special strings and turn tokens become tokens, masked as asked; the rest is text, with mask 0 behind the first of
 * them: an answer ends there. */
static agon_status put_markup(writer *w, const char *text, bool wanted) {
    agon_status s = AGON_OK;
    bool ended = false;
    for (size_t n; !s && *text; text += n) {
        int32_t id = markup_token(w->t, text, &n);
        bool named = *text == CHAT_EOS[0] || *text == CHAT_BOS[0];
        if (id >= 0)
            s = put_special(w, id, wanted);
        else if (!named)
            s = put_text(w, text, n, wanted && !ended);
        ended = ended || id >= 0 || named;
    }
    return s;
}

/* Content is brought into the tokenizer's normal form first, so that byte offsets stay what they are. */
static agon_status put_content(writer *w, const char *text, size_t n, bool wanted) {
    char *changed = NULL;
    agon_status s = tokenizer_normalise(w->ctx, w->t, text, n, &changed, &n);
    if (!s)
        s = put_text(w, changed ? changed : text, n, wanted);
    free(changed);
    return s;
}

/* ---- the conversation ---------------------------------------------------------------------------------- */

/* Python's str.strip(), which is Jinja's trim. */
static void trim(const char **text, size_t *n) {
    while (*n > 0) {
        utf8proc_int32_t c = 0;
        utf8proc_ssize_t k = utf8proc_iterate((const utf8proc_uint8_t *)*text, (utf8proc_ssize_t)*n, &c);
        if (k <= 0 || !(tokenizer_is_space(c) || (c >= 0x1c && c <= 0x1f)))
            break;
        *text += k;
        *n -= (size_t)k;
    }
    while (*n > 0) {
        size_t k = 1;
        while (k < 4 && k < *n && ((uint8_t)(*text)[*n - k] & 0xc0) == 0x80)
            k++;
        utf8proc_int32_t c = 0;
        utf8proc_ssize_t used =
            utf8proc_iterate((const utf8proc_uint8_t *)*text + *n - k, (utf8proc_ssize_t)k, &c);
        if (used != (utf8proc_ssize_t)k || !(tokenizer_is_space(c) || (c >= 0x1c && c <= 0x1f)))
            break;
        *n -= k;
    }
}

static void trim_line_ends(const char **text, size_t *n, bool front, bool back) {
    for (; front && *n > 0 && **text == '\n'; (*text)++)
        (*n)--;
    while (back && *n > 0 && (*text)[*n - 1] == '\n')
        (*n)--;
}

static const char *find_last(const char *text, size_t n, const char *what) {
    size_t m = strlen(what);
    for (size_t i = n < m ? 0 : n - m + 1; i-- > 0;)
        if (memcmp(text + i, what, m) == 0)
            return text + i;
    return NULL;
}

/* What stands behind the last </think>. */
static void drop_thinking(const char **text, size_t *n) {
    const char *end = find_last(*text, *n, "</think>");
    if (!end)
        return;
    end += strlen("</think>");
    *n = (size_t)(*text + *n - end);
    *text = end;
}

/* Qwen 3: an answer behind the last question keeps its reasoning in a <think> block, which the last
 * answer has even when it is empty; earlier answers lose theirs. Where the template opens answers with
 * <think>, that is prompt: nothing of the answer joins its line end, as nothing does when it is sampled. */
static agon_status put_thinking_answer(writer *w, const char *text, size_t n, bool is_last, bool keeps) {
    const char *reasoning = text;
    size_t n_reasoning = 0;
    const char *end = strstr(text, "</think>");
    if (end && end < text + n) {
        n_reasoning = (size_t)(end - text);
        trim_line_ends(&reasoning, &n_reasoning, false, true);
        const char *start = find_last(reasoning, n_reasoning, "<think>");
        if (start) {
            start += strlen("<think>");
            n_reasoning = (size_t)(reasoning + n_reasoning - start);
            reasoning = start;
        }
        trim_line_ends(&reasoning, &n_reasoning, true, true);
        drop_thinking(&text, &n);
        trim_line_ends(&text, &n, true, false);
    }
    agon_status s = AGON_OK;
    if (keeps && (is_last || n_reasoning > 0)) {
        bool opened = w->t->chat_opens_thinking;
        trim_line_ends(&text, &n, true, false);
        if ((s = put_text(w, "<think>\n", 8, !opened)) || (s = opened ? flush(w) : AGON_OK) ||
            (s = put_content(w, reasoning, n_reasoning, true)) || (s = put_text(w, "\n</think>\n\n", 11, true)))
            return s;
    }
    return put_content(w, text, n, true);
}

/* Where a turn stands in the conversation. */
typedef struct place {
    bool first, last, keeps_thinking;
} place;

static agon_status put_turn(writer *w, int role, const char *text, place at) {
    const chat_family *f = w->t->family;
    size_t n = strlen(text);
    bool answer = role == ASSISTANT;
    const char *close = answer && at.last && f->bare_end ? CHAT_EOS : f->close[role];
    agon_status s = put_markup(w, f->open[role], false);
    if (!s && answer && f->lead)
        s = put_text(w, f->lead, strlen(f->lead), true);
    if (answer ? w->t->chat_trims_answers : w->t->chat_trims)
        trim(&text, &n);
    if (!s && role == SYSTEM && at.first && f->dated_system)
        s = put_markup(w, "Cutting Knowledge Date: December 2023\nToday Date: " DATE "\n\n", false);
    if (answer && f->drops_thinking)
        drop_thinking(&text, &n);
    if (!s)
        s = answer && f->thinks ? put_thinking_answer(w, text, n, at.last, at.keeps_thinking)
                                : put_content(w, text, n, answer);
    return s ? s : put_markup(w, close, answer);
}

static int role_of(const char *name) {
    for (int i = 0; name && i < N_ROLES; i++)
        if (strcmp(name, role_names[i]) == 0)
            return i;
    return -1;
}

static bool has_role(const tokenizer *t, int role) {
    return role >= 0 && t->family->open[role] && (role != TOOL || t->chat_tools);
}

/* "system, user, assistant": the roles that the template writes. */
static const char *roles_of(const tokenizer *t, char *text, size_t size) {
    size_t at = 0;
    for (int i = 0; i < N_ROLES && at < size; i++)
        if (has_role(t, i))
            at += (size_t)snprintf(text + at, size - at, "%s%s", at ? ", " : "", role_names[i]);
    return text;
}

static agon_status check_messages(agon_ctx *ctx, const tokenizer *t, const chat_message *messages, size_t n) {
    if (!t->family)
        return ctx_fail(ctx, AGON_EUNSUPPORTED,
                        t->chat_template
                            ? "the model's chat template is not one agon knows; name the family it is "
                              "closest to with --chat-template NAME (" FAMILY_NAMES ")"
                            : "the model has no chat template; name one with --chat-template NAME "
                              "(" FAMILY_NAMES "), or use plain prompts");
    if (strstr(t->family->close[ASSISTANT], CHAT_EOS) && t->eos < 0)
        return ctx_fail(ctx, AGON_EINVAL, "template %s ends answers with the EOS token, and the tokenizer names none; give it one "
                        "(eos_token), or another template with --chat-template NAME (" FAMILY_NAMES ")", t->family->name);
    size_t n_taken = 0; /* turns of user and assistant */
    for (size_t i = 0; i < n; i++) {
        int role = role_of(messages[i].role);
        char roles[64];
        if (!has_role(t, role))
            return ctx_fail(ctx, AGON_EINVAL, "message %zu: role '%.40s' is not one that template %s has (%s)", i,
                            messages[i].role ? messages[i].role : "", t->family->name, roles_of(t, roles, sizeof roles));
        if (!messages[i].content)
            return ctx_fail(ctx, AGON_EINVAL, "message %zu has no content", i);
        if (role == SYSTEM && i > 0 && t->chat_system_first)
            return ctx_fail(ctx, AGON_EINVAL, "message %zu: a system message must be the first", i);
        if (t->chat_alternates && role != SYSTEM && role != (n_taken++ % 2 ? ASSISTANT : USER))
            return ctx_fail(ctx, AGON_EINVAL, "message %zu: template %s has user and assistant by turns, a user first", i, t->family->name);
    }
    return AGON_OK;
}

/* What comes before the first turn: BOS, and the family's own system turn where none is given. */
static agon_status put_start(writer *w, const chat_message *messages, size_t n) {
    const tokenizer *t = w->t;
    agon_status s = AGON_OK;
    if (t->chat_bos && t->bos >= 0)
        s = put_special(w, t->bos, false);
    bool given = n > 0 && role_of(messages[0].role) == SYSTEM;
    if (s || given || n == 0)
        return s;
    if (t->default_system)
        return put_turn(w, SYSTEM, t->default_system, (place){.first = true});
    return t->family->dated_system ? put_turn(w, SYSTEM, "", (place){.first = true}) : AGON_OK;
}

/* A user's turn that a system message opens; what is trimmed is both together. */
static agon_status put_system_and_user(writer *w, const char *system, const char *user) {
    const chat_family *f = w->t->family;
    buffer both = {0};
    buffer_printf(&both, "%s%s%s%s", f->open[SYSTEM], system, f->close[SYSTEM], user);
    const char *text = both.data;
    size_t n = both.size;
    agon_status s = both.failed ? no_memory(w->ctx) : put_markup(w, f->open[USER], false);
    if (w->t->chat_trims)
        trim(&text, &n);
    if (!s)
        s = put_content(w, text, n, false);
    buffer_free(&both);
    return s ? s : put_markup(w, f->close[USER], false);
}

static agon_status put_messages(writer *w, const chat_message *messages, size_t n) {
    const chat_family *f = w->t->family;
    size_t last_user = n;
    for (size_t i = 0; i < n; i++)
        if (role_of(messages[i].role) == USER)
            last_user = i;
    const char *held = NULL; /* the system message, until the user's turn that it opens */
    agon_status s = AGON_OK;
    for (size_t i = 0; !s && i < n; i++) {
        int role = role_of(messages[i].role);
        if (role == SYSTEM && f->system != SYSTEM_OWN_TURN) {
            held = messages[i].content;
            continue;
        }
        if (held && role == USER && (f->system == SYSTEM_IN_FIRST_USER || i + 1 == n)) {
            s = put_system_and_user(w, held, messages[i].content);
            held = NULL;
            continue;
        }
        s = put_turn(w, role, messages[i].content,
                     (place){.first = i == 0, .last = i + 1 == n, .keeps_thinking = i > last_user});
    }
    return s;
}

/* What a prompt that is to be answered ends with. */
static const char *prompt_end(const chat_family *f) {
    return *f->open[ASSISTANT] ? f->open[ASSISTANT] : f->close[USER];
}

agon_status chat_encode_answer(agon_ctx *ctx, const tokenizer *t, const char *text, size_t n, bool parse_special,
                               bool whole, token_list *out) {
    const chat_family *f = t->family && t->family->lead ? t->family : NULL;
    buffer all = {0};
    size_t before = out->n, n_token = 0;
    bool token = false;
    for (const char *p = f ? prompt_end(f) : ""; *p; p += n_token)
        token = markup_token(t, p, &n_token) >= 0;
    token_sink sink = {.ids = out};
    agon_status s = AGON_OK;
    if (f && whole && t->chat_trims_answers)
        trim(&text, &n);
    size_t n_close = f && whole ? strcspn(f->close[ASSISTANT], CHAT_EOS) : 0;
    if (f && (!buffer_text(&all, f->lead) || !buffer_append(&all, text, n) || !buffer_append(&all, f->close[ASSISTANT], n_close)))
        s = no_memory(ctx);
    else if (f)
        text = all.data, n = all.size;
    if (!s)
        s = tokenizer_encode_run(ctx, t, text, n, parse_special, token ? TEXT_AFTER_TOKEN : TEXT_GOES_ON, &sink);
    buffer_free(&all);
    if (s)
        out->n = before;
    return s;
}

/* The last tokens of an opened conversation say it: they spell [/INST]. */
bool chat_begins_text(const tokenizer *t, const int32_t *prompt, size_t n) {
    static const char end[] = "[/INST]";
    enum { N_END = sizeof end - 1 };
    size_t n_text = 0, from = n > N_END ? n - N_END : 0;
    if (tokenizer_begins_text(t, prompt, n))
        return true;
    if (!t->family || !t->family->inst)
        return false;
    char *text = tokenizer_decode(t, prompt + from, n - from, true, &n_text);
    bool found = text && n_text >= N_END && memcmp(text + n_text - N_END, end, N_END) == 0;
    free(text);
    return found;
}

agon_status chat_encode(agon_ctx *ctx, const tokenizer *t, const chat_message *messages, size_t n_messages,
                        bool open_answer, token_list *out, buffer *mask) {
    size_t before = out->n;
    agon_status s = check_messages(ctx, t, messages, n_messages);
    if (s)
        return s;
    writer w = {.ctx = ctx, .t = t, .ids = out, .mask = mask};
    s = put_start(&w, messages, n_messages);
    if (!s)
        s = put_messages(&w, messages, n_messages);
    if (!s && open_answer)
        s = put_markup(&w, t->family->open[ASSISTANT], false);
    if (!s && open_answer && t->chat_opens_thinking)
        s = put_text(&w, "<think>\n", 8, false);
    if (!s)
        s = flush(&w);
    if (s)
        out->n = before;
    writer_free(&w);
    return s;
}
