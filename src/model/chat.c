/* Chat templates, by recognising the known families.
 *
 * A model file carries a Jinja program; agon does not run it but recognises which family it belongs to,
 * by what only that family's templates write (chat_template.c, chat_recognise.c), and renders the conversation itself. A
 * template that holds any other text, changes contents otherwise than by trimming them, or writes turns in other places is
 * refused: a wrong prompt is worse than none. The families and their turns are one table (chat_family.c). Special strings are parsed in the markup only. Between two special
 * tokens, markup ("user\n") and content are one text for the encoder, exactly as in the reference, so
 * the ids are equal; a special string inside content stays text, so content cannot forge a turn. That
 * holds for every token of the family's turns: DeepSeek R1 does not call its own special. It does not hold of markup that is
 * no token: Llama 2's "[INST]" is text, there as in the reference.
 *
 * Llama 3.1's template prints a date; the one it uses where no clock is given (26 Jul 2024) is used
 * always, so that the same conversation has the same ids on any day. */
#include "model/chat_private.h"
#include "base/ctx.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

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
    const bool *unlearnt; /* [n] messages, whose mask is 0 throughout; NULL: none */
    bool quiet;           /* the one being written is such */
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
        ok = buffer_char(&w->wanted, (char)(wanted && !w->quiet));
    return ok ? AGON_OK : no_memory(w->ctx);
}

static agon_status put_special(writer *w, int32_t id, bool wanted) {
    agon_status s = flush(w);
    if (!s && (!token_list_push(w->ids, id) || (w->mask && !buffer_char(w->mask, (char)(wanted && !w->quiet)))))
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
        s = put_markup(w, "Cutting Knowledge Date: December 2023\nToday Date: " CHAT_DATE "\n\n", false);
    if (answer && f->drops_thinking)
        drop_thinking(&text, &n);
    if (!s)
        s = answer && f->thinks ? put_thinking_answer(w, text, n, at.last, at.keeps_thinking)
                                : put_content(w, text, n, answer);
    return s ? s : put_markup(w, close, answer);
}

static int role_of(const char *name) {
    for (int i = 0; name && i < N_ROLES; i++)
        if (strcmp(name, chat_roles[i]) == 0)
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
            at += (size_t)snprintf(text + at, size - at, "%s%s", at ? ", " : "", chat_roles[i]);
    return text;
}

static agon_status check_messages(agon_ctx *ctx, const tokenizer *t, const chat_message *messages, size_t n) {
    if (!t->family)
        return ctx_fail(ctx, AGON_EUNSUPPORTED,
                        t->chat_template
                            ? "the model's chat template is not one agon knows; name the family it is "
                              "closest to with --chat-template NAME (" CHAT_FAMILIES ")"
                            : "the model has no chat template; name one with --chat-template NAME "
                              "(" CHAT_FAMILIES "), or use plain prompts");
    if (strstr(t->family->close[ASSISTANT], CHAT_EOS) && t->eos < 0)
        return ctx_fail(ctx, AGON_EINVAL, "template %s ends answers with the EOS token, and the tokenizer names none; give it one "
                        "(eos_token), or another template with --chat-template NAME (" CHAT_FAMILIES ")", t->family->name);
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
        w->quiet = w->unlearnt && w->unlearnt[i];
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

static agon_status encode(agon_ctx *ctx, const tokenizer *t, const chat_message *messages, size_t n_messages, const bool *unlearnt,
                          bool open_answer, token_list *out, buffer *mask) {
    size_t before = out->n;
    agon_status s = check_messages(ctx, t, messages, n_messages);
    if (s)
        return s;
    writer w = {.ctx = ctx, .t = t, .ids = out, .mask = mask, .unlearnt = unlearnt};
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

agon_status chat_encode(agon_ctx *ctx, const tokenizer *t, const chat_message *messages, size_t n_messages,
                        bool open_answer, token_list *out, buffer *mask) {
    return encode(ctx, t, messages, n_messages, NULL, open_answer, out, mask);
}

agon_status chat_encode_learnt(agon_ctx *ctx, const tokenizer *t, const chat_message *messages, size_t n_messages,
                               const bool *unlearnt, token_list *out, buffer *mask) {
    return encode(ctx, t, messages, n_messages, unlearnt, false, out, mask);
}
