/* The command backend: a user's program, in any language, that reads one JSON line a request on
 * its standard input and writes one JSON line an answer on its standard output.
 *
 * In:
 * - {"id": item, "role": "learner", "messages": [{"role", "content"}] or "prompt": text,
 *   "n": samples, "max_tokens", "temperature", "top_p", "seed": the first sample's, "seeds": [...],
 *   "stop"?: [...], "data"?: {...}} (docs/cli.md, "Roles played by your own program": what each role is asked)
 *
 * Out, one of:
 * - {"id": item, "completions": [text or {"text", "finish"?: "stop" or "length"}]}
 * - {"id": item, "verdict": "pass", "fail", true or false, "confidence"?, "evidence"?}
 * - {"id": item, "error": "why not"}
 *
 * Answers may come in any order; of requests with one id the oldest is meant. Other members are
 * kept in the response's extra. "n_prompt_tokens", "n_completion_tokens" are counted if given.
 *
 * Up to WINDOW requests are sent ahead. The program is started at the first request and kept; it
 * should end when its input does. It inherits the environment, since it may need keys of its own.
 *
 * - No answer to anything for timeout_seconds: the oldest request fails, the program is killed with
 *   its whole process group and started anew, and the others are sent again.
 * - The program ends having answered something: it is started anew for the rest (so it may also
 *   serve one request a start).
 * - It ends having answered nothing: the oldest request gets one more try; three such ends in a row
 *   fail everything.
 * - A line that is no answer (not JSON, or an id that was not asked): counted and skipped; the
 *   BAD_LINES-th in a row fails the oldest request.
 *
 * Standard error is read all the time, and its last bytes are kept for the sentences of failures.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "role/backend_private.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WINDOW = 16,
    BAD_LINES = 100,
    DEATHS = 3,
    TRIES = 2,
    LINE_LIMIT = 16 << 20,
    LAST_WORDS = 1000
};
static const double LONGEST_WAIT = 0.2, GRACE_SECONDS = 1;

typedef struct asked {
    const backend_request *request;
    backend_response *response;
    int n_deaths; /* ends of the program that this request was blamed for */
    bool sent;
} asked;

typedef struct command {
    backend base;
    char *line;
    double timeout_seconds;
    pid_t pid; /* also its process group; 0: not running */
    int in, out, err;
    buffer to_send, received;
    size_t n_sent_bytes; /* of to_send */
    asked *queue;        /* [n], oldest first */
    size_t n, capacity;
    double last_progress;
    size_t n_bad_in_a_row, n_deaths_in_a_row;
    bool answered; /* since the program was started */
    char bad_line[128];
    backend_command_report report;
} command;

extern char **environ;

/* ---- the process ---------------------------------------------------------------- */

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static bool make_pipe(int ends[2]) {
    return pipe2(ends, O_CLOEXEC) == 0;
}

static int spawn(const command *b, int in, int out, int err, pid_t *pid) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGINT);
    if (posix_spawn_file_actions_init(&files))
        return ENOMEM;
    if (posix_spawnattr_init(&how)) {
        posix_spawn_file_actions_destroy(&files);
        return ENOMEM;
    }
    posix_spawn_file_actions_adddup2(&files, in, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawn_file_actions_adddup2(&files, err, 2);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                       POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&how, 0);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &usual);
    char *const arguments[] = {"sh", "-c", b->line, NULL};
    int error = posix_spawn(pid, "/bin/sh", &files, &how, arguments, environ);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

static agon_status start(agon_ctx *ctx, command *b) {
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
    agon_status s = AGON_OK;
    int error = 0;
    if (!make_pipe(in) || !make_pipe(out) || !make_pipe(err))
        error = errno;
    else
        error = spawn(b, in[0], out[1], err[1], &b->pid);
    close_fd(&in[0]);
    close_fd(&out[1]);
    close_fd(&err[1]);
    if (error) {
        close_fd(&in[1]);
        close_fd(&out[0]);
        close_fd(&err[0]);
        b->pid = 0;
        return ctx_fail(ctx, AGON_EIO, "the command '%.200s' could not be started: %s", b->line,
                        strerror(error));
    }
    b->in = in[1];
    b->out = out[0];
    b->err = err[0];
    int fds[] = {b->in, b->out, b->err};
    for (int i = 0; i < 3; i++)
        fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) | O_NONBLOCK);
    buffer_clear(&b->to_send);
    buffer_clear(&b->received);
    b->n_sent_bytes = 0;
    b->n_bad_in_a_row = 0;
    b->answered = false;
    b->bad_line[0] = 0;
    b->report.n_starts++;
    for (size_t i = 0; i < b->n; i++)
        b->queue[i].sent = false;
    b->last_progress = monotonic_seconds();
    return s;
}

/* Keeps the end of what the program wrote to its standard error. */
static void read_last_words(command *b) {
    enum { PIECES = 64 }; /* a call, as in receive */
    char piece[4096];
    char *kept = b->report.last_words;
    ssize_t n;
    for (int k = 0; k < PIECES && (n = read(b->err, piece, sizeof piece)) > 0; k++) {
        for (ssize_t i = 0; i < n; i++)
            if (!piece[i])
                piece[i] = ' ';
        size_t take = (size_t)n < LAST_WORDS ? (size_t)n : LAST_WORDS, have = strlen(kept);
        size_t keep = have + take > LAST_WORDS ? LAST_WORDS - take : have;
        memmove(kept, kept + have - keep, keep);
        memcpy(kept + keep, piece + (size_t)n - take, take);
        kept[keep + take] = 0;
    }
}

/* Waits for the program's end up to `seconds`; true when it is over. */
static bool reap(command *b, double seconds, int *status) {
    double end = monotonic_seconds() + seconds;
    for (;;) {
        pid_t done = waitpid(b->pid, status, WNOHANG);
        if (done == b->pid || (done < 0 && errno != EINTR))
            return true;
        if (monotonic_seconds() >= end)
            return false;
        poll(NULL, 0, 5);
    }
}

/* Ends the program and its process group: by closing its input, then SIGTERM, then SIGKILL. A
 * program that hangs is not asked first. Returns the wait status. */
static int stop(command *b, bool ask) {
    int status = 0;
    if (b->pid <= 0)
        return 0;
    close_fd(&b->in);
    bool over = reap(b, ask ? GRACE_SECONDS : 0, &status);
    if (!over) {
        kill(-b->pid, SIGTERM);
        over = reap(b, 0.2, &status);
    }
    kill(-b->pid, SIGKILL); /* its children too, also when it is over itself */
    if (!over)
        waitpid(b->pid, &status, 0);
    read_last_words(b);
    close_fd(&b->out);
    close_fd(&b->err);
    b->pid = 0;
    return status;
}

/* ---- the queue ------------------------------------------------------------------ */

static void remove_asked(command *b, size_t i) {
    memmove(b->queue + i, b->queue + i + 1, (b->n - i - 1) * sizeof *b->queue);
    b->n--;
}

/* A clause for failures: the program's last line on standard error, if any. */
static void words_clause(const command *b, char *out, size_t size) {
    const char *words = b->report.last_words;
    size_t n = strlen(words);
    while (n && (words[n - 1] == '\n' || words[n - 1] == ' '))
        n--;
    const char *from = words + n;
    while (from > words && from[-1] != '\n' && words + n - from < 200)
        from--;
    snprintf(out, size, from < words + n ? "; its last words: %.*s" : "%.*s",
             (int)(words + n - from), from);
}

static void fail_oldest(command *b, const char *why) {
    if (b->n == 0)
        return;
    char words[256];
    words_clause(b, words, sizeof words);
    if (b->bad_line[0])
        backend_fail(b->queue[0].response,
                     "the command %s; it wrote %zu lines that are no answers, such as '%s'%s", why,
                     b->report.n_bad_lines, b->bad_line, words);
    else
        backend_fail(b->queue[0].response, "the command %s%s", why, words);
    remove_asked(b, 0);
}

static void on_death(command *b) {
    int status = stop(b, true);
    char why[96];
    if (b->answered) /* a program may serve some requests and end; the rest goes to the next */
        return;
    if (WIFSIGNALED(status))
        snprintf(why, sizeof why, "was killed by signal %d before it answered", WTERMSIG(status));
    else
        snprintf(why, sizeof why, "ended with code %d before it answered", WEXITSTATUS(status));
    b->n_deaths_in_a_row++;
    if (b->n_deaths_in_a_row >= DEATHS)
        while (b->n)
            fail_oldest(b, why);
    else if (b->n && ++b->queue[0].n_deaths >= TRIES)
        fail_oldest(b, why);
}

/* ---- lines out ------------------------------------------------------------------ */

static json_t *texts(const char *const *items, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++)
        if (json_array_append_new(list, json_string(items[i]))) {
            json_decref(list);
            return NULL;
        }
    return list;
}

/* One request as a line; new, NULL on memory or text that is not UTF-8. */
static char *request_line(const asked *a) {
    const backend_request *r = a->request;
    json_t *o = json_pack("{s:s, s:s, s:I, s:f, s:f}", "id", r->id ? r->id : "", "role",
                          r->role ? r->role : "", "n", (json_int_t)r->n_samples, "temperature",
                          (double)r->sampling.temperature, "top_p",
                          r->sampling.top_p > 0 ? (double)r->sampling.top_p : 1.0);
    if (!o)
        return NULL;
    int bad = r->prompt ? json_object_set_new(o, "prompt", json_string(r->prompt))
                        : json_object_set_new(o, "messages", backend_messages_json(r));
    if (r->sampling.max_tokens)
        bad |=
            json_object_set_new(o, "max_tokens", json_integer((json_int_t)r->sampling.max_tokens));
    if (r->seeds && r->n_samples) {
        json_t *seeds = json_array();
        for (size_t i = 0; i < r->n_samples; i++)
            bad |= json_array_append_new(seeds, backend_seed_json(r->seeds[i]));
        bad |= json_object_set_new(o, "seed", backend_seed_json(r->seeds[0])) |
               json_object_set_new(o, "seeds", seeds);
    }
    if (r->sampling.n_stop)
        bad |= json_object_set_new(o, "stop", texts(r->sampling.stop, r->sampling.n_stop));
    if (r->extra)
        bad |= json_object_set_new(o, "data", json_deep_copy(r->extra));
    char *line = bad ? NULL : json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return line;
}

/* Puts requests into the window. */
static void fill_window(command *b) {
    for (size_t i = 0; i < b->n && i < WINDOW; i++) {
        asked *a = &b->queue[i];
        if (a->sent)
            continue;
        size_t before = b->to_send.size;
        char *line = request_line(a);
        if (!line || !buffer_text(&b->to_send, line) || !buffer_char(&b->to_send, '\n')) {
            free(line);
            backend_fail(a->response,
                         "the request is not valid UTF-8, is too long, or memory ran out");
            remove_asked(b, i--);
            b->to_send.failed = false;
            b->to_send.size = before; /* only whole lines are sent */
            continue;
        }
        free(line);
        a->sent = true;
    }
}

/* write() to a pipe whose reader is gone raises SIGPIPE, which a library may neither take from its
 * program nor leave to kill it: it is blocked in this thread for the call, and taken if it was
 * raised. */
static ssize_t write_quietly(int fd, const void *data, size_t n) {
    sigset_t pipe_only, old, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_only, &old);
    ssize_t written = write(fd, data, n);
    int error = errno;
    if (written < 0 && error == EPIPE && !was_pending) {
        const struct timespec at_once = {0, 0};
        while (sigtimedwait(&pipe_only, NULL, &at_once) < 0 && errno == EINTR)
            ;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = error;
    return written;
}

static void send_some(command *b) {
    while (b->n_sent_bytes < b->to_send.size) {
        ssize_t n = write_quietly(b->in, b->to_send.data + b->n_sent_bytes,
                                  b->to_send.size - b->n_sent_bytes);
        if (n <= 0)
            return; /* full, or gone: its end of the output will tell */
        b->n_sent_bytes += (size_t)n;
    }
    buffer_clear(&b->to_send);
    b->n_sent_bytes = 0;
}

/* ---- lines in ------------------------------------------------------------------- */

/* The request an answer's id names, or SIZE_MAX. */
static size_t find_asked(const command *b, const json_t *answer) {
    const char *id = json_string_value(json_object_get(answer, "id"));
    for (size_t i = 0; id && i < b->n; i++) {
        const char *asked_id = b->queue[i].request->id;
        if (b->queue[i].sent && !strcmp(id, asked_id ? asked_id : ""))
            return i;
    }
    return SIZE_MAX;
}

static bool take_completions(const backend_request *q, const json_t *answer, backend_response *r) {
    const json_t *list = json_object_get(answer, "completions");
    if (json_array_size(list) != q->n_samples) {
        backend_fail(r, "the command answered as %s with %zu \"completions\" (a list of texts), %zu were asked%s", q->role ? q->role : "model",
                     json_array_size(list), q->n_samples,
                     q->role && strcmp(q->role, "critic") == 0 ? "; a critic may give a \"verdict\" instead" : "");
        return false;
    }
    for (size_t i = 0; i < q->n_samples; i++) {
        const json_t *c = json_array_get(list, i);
        const char *text = json_string_value(json_is_object(c) ? json_object_get(c, "text") : c);
        const char *finish = json_string_value(json_object_get(c, "finish"));
        r->completions[i].text = text ? strdup(text) : NULL;
        r->completions[i].finish =
            finish && !strcmp(finish, "length") ? FINISH_LENGTH : FINISH_STOP;
        if (!r->completions[i].text) {
            backend_fail(r, "completion %zu of the command's answer is no text", i + 1);
            return false;
        }
    }
    return true;
}

void backend_read_line(const backend_request *q, json_t *answer, backend_response *r) {
    const char *error = json_string_value(json_object_get(answer, "error"));
    if (error) {
        backend_fail(r, "the command says: %.400s", error);
        return;
    }
    bool verdict = json_object_get(answer, "verdict") && !json_object_get(answer, "completions");
    if (!backend_make_room(r, verdict ? 0 : q->n_samples, 0))
        return;
    if (!verdict && !take_completions(q, answer, r))
        return;
    r->n_prompt_tokens = backend_token_count(json_object_get(answer, "n_prompt_tokens"));
    r->n_completion_tokens = backend_token_count(json_object_get(answer, "n_completion_tokens"));
    static const char *const taken[] = {"id", "completions", "n_prompt_tokens",
                                        "n_completion_tokens"};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        json_object_del(answer, taken[i]);
    if (json_object_size(answer))
        r->extra = json_incref(answer);
    r->state = BACKEND_DONE;
}

static void take_answer(const backend_request *q, json_t *answer, backend_response *r) {
    backend_read_line(q, answer, r);
    r->own_fault = r->state == BACKEND_FAILED; /* the program is there: it answered */
}

static void on_line(command *b, const char *line, size_t n) {
    json_t *answer = json_loadb(line, n, 0, NULL);
    size_t i = answer ? find_asked(b, answer) : SIZE_MAX;
    if (i == SIZE_MAX) {
        b->report.n_bad_lines++;
        b->n_bad_in_a_row++;
        snprintf(b->bad_line, sizeof b->bad_line, "%.*s", (int)(n < 80 ? n : 80), line);
    } else {
        take_answer(b->queue[i].request, answer, b->queue[i].response);
        remove_asked(b, i);
        b->n_bad_in_a_row = b->n_deaths_in_a_row = 0;
        b->answered = true;
        b->last_progress = monotonic_seconds();
    }
    json_decref(answer);
}

/* Reads a piece of what is there and handles whole lines; false: the output has ended, or a line is too long to be one. One piece a
 * call: a program that writes faster than it is read would otherwise keep its caller from every limit. */
static bool receive(command *b) {
    char piece[65536];
    ssize_t n = read(b->out, piece, sizeof piece);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK;
    if (n == 0 || !buffer_append(&b->received, piece, (size_t)n))
        return false;
    size_t from = 0;
    for (char *end; (end = memchr(b->received.data + from, '\n', b->received.size - from));) {
        size_t at = (size_t)(end - b->received.data);
        if (at > from)
            on_line(b, b->received.data + from, at - from);
        from = at + 1;
    }
    memmove(b->received.data, b->received.data + from, b->received.size - from);
    b->received.size -= from;
    return true;
}

/* ---- the backend ---------------------------------------------------------------- */

static agon_status command_submit(agon_ctx *ctx, backend *base, const backend_request *requests,
                                  size_t n, backend_response *responses) {
    command *b = (command *)base;
    if (b->n + n > b->capacity) {
        size_t capacity = size_add(b->n, size_mul(n, 2));
        asked *queue = realloc(b->queue, size_mul(capacity, sizeof *queue));
        if (!queue)
            return ctx_fail(ctx, AGON_ENOMEM, "no memory to queue %zu requests", n);
        b->queue = queue;
        b->capacity = capacity;
    }
    if (b->n == 0) /* it was idle: waiting for work is no lack of progress */
        b->last_progress = monotonic_seconds();
    for (size_t i = 0; i < n; i++)
        b->queue[b->n++] = (asked){&requests[i], &responses[i], 0, false};
    return AGON_OK;
}

/* Waits for the program's pipes up to `seconds`, then reads and writes what can be. */
static void exchange(command *b, double seconds) {
    struct pollfd fds[] = {{b->out, POLLIN, 0}, {b->err, POLLIN, 0}, {b->in, POLLOUT, 0}};
    bool sending = b->n_sent_bytes < b->to_send.size;
    poll(fds, sending ? 3 : 2, 1 + (int)(1000 * seconds));
    if (fds[1].revents) {
        read_last_words(b);
        if (fds[1].revents &
            POLLHUP) /* it closed its standard error: poll would not sleep any more */
            close_fd(&b->err);
    }
    if (sending)
        send_some(b);
    if (fds[0].revents && !receive(b)) {
        if (b->received.failed) {
            stop(b, false);
            buffer_clear(&b->received);
            fail_oldest(b, "wrote a line that does not end");
        } else {
            on_death(b);
        }
    }
}

static agon_status command_poll(agon_ctx *ctx, backend *base, double timeout_seconds,
                                size_t *n_pending) {
    command *b = (command *)base;
    double end = monotonic_seconds() + timeout_seconds;
    for (;;) {
        agon_status s = ctx_check_interrupt(ctx);
        if (!s && b->n && !b->pid)
            s = start(ctx, b);
        if (s)
            return s;
        fill_window(b);
        double now = monotonic_seconds(), left = fmin(end - now, LONGEST_WAIT);
        *n_pending = b->n;
        if (b->n == 0 || left <= 0)
            return AGON_OK;
        exchange(b, left);
        if (b->n && b->pid && b->n_bad_in_a_row >= BAD_LINES) {
            stop(b, false);
            fail_oldest(b, "answers with lines that are no answers");
        } else if (b->n && b->pid && monotonic_seconds() - b->last_progress > b->timeout_seconds) {
            char why[64];
            snprintf(why, sizeof why, "gave no answer within %g s", b->timeout_seconds);
            stop(b, false);
            fail_oldest(b, why);
        }
    }
}

static void command_cancel(backend *base) {
    command *b = (command *)base;
    bool busy = b->n > 0;
    b->n = 0;
    if (busy) /* what it still answers belongs to nobody */
        stop(b, false);
}

static void command_free(backend *base) {
    command *b = (command *)base;
    stop(b, true);
    free(b->line);
    free(b->queue);
    buffer_free(&b->to_send);
    buffer_free(&b->received);
    free(b);
}

static const backend_table table = {command_submit, command_poll, command_cancel, command_free};

void backend_command_get_report(const backend *b, backend_command_report *out) {
    *out = b->table == &table ? ((const command *)b)->report : (backend_command_report){0};
}

agon_status backend_command_new(agon_ctx *ctx, const char *line, double timeout_seconds,
                                backend **out) {
    if (!line || !*line)
        return ctx_fail(ctx, AGON_EINVAL, "a command backend needs a 'command'");
    command *b = memory_new(1, sizeof *b);
    if (!b)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for a command backend");
    b->base = (backend){.table = &table, .capabilities = CAN_GENERATE};
    b->in = b->out = b->err = -1;
    b->timeout_seconds = timeout_seconds > 0 ? timeout_seconds : 60;
    buffer_init(&b->to_send, (size_t)WINDOW * LINE_LIMIT);
    buffer_init(&b->received, LINE_LIMIT);
    b->line = strdup(line);
    if (!b->line || asprintf(&b->base.name, "command %s", line) < 0) {
        b->base.name = NULL;
        backend_free(&b->base);
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for a command backend");
    }
    *out = &b->base;
    return AGON_OK;
}
