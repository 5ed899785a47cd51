/* The remote backend: any server that speaks OpenAI's /chat/completions, through libcurl's multi
 * interface. A request of K samples is K transfers, each with its own seed: servers do not promise
 * independent samples under "n". A transfer is
 *
 * - waiting, until it may start (rate limit, transfers side by side, backoff), then
 * - under way, then
 * - done; or waiting again after 408, 429, 5xx, a broken connection, a time-out or an answer that
 *   is no chat completion, for backoff * 2^attempt (half to all of it, drawn from the seed) or
 *   what Retry-After asks for, up to the time for an answer; or
 * - failed, at any other status or when no retries are left: the sentence names url and status.
 *
 * A raw prompt is sent as one user message, because chat is all that every such server has. The key
 * is read from its environment variable for each transfer and is kept nowhere else; redirects are
 * not followed, since they would carry it to another host. An answer larger than ANSWER_LIMIT is
 * cut off and refused. */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/random.h"
#include "role/backend_private.h"
#include <curl/curl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_LIMIT = 8 << 20, EXCERPT = 160 };
static const double LONGEST_WAIT = 300, CONNECT_SECONDS = 15, LONGEST_POLL = 0.2;

typedef enum transfer_state { WAITING, UNDER_WAY, FINISHED } transfer_state;

typedef struct transfer {
    transfer_state state;
    size_t item, sample; /* which request of the queue */
    int attempt;
    double not_before; /* on the clock of monotonic_seconds */
    CURL *handle;
    struct curl_slist *headers;
    char *body;
    buffer answer;
    bool too_large;
    char curl_error[CURL_ERROR_SIZE];
} transfer;

typedef struct remote {
    backend base;
    char *url, *model, *key_env;
    double timeout_seconds, backoff_seconds;
    double spacing; /* seconds between two starts, 0: none */
    double next_start;
    int max_retries, max_parallel, n_under_way;
    CURLM *multi;
    backend_queue queue;
    transfer **transfers; /* [n_transfers]; pointers, since curl keeps addresses of their parts */
    size_t n_transfers, capacity;
} remote;

/* ---- one transfer --------------------------------------------------------------- */

static void transfer_end(remote *b, transfer *t) {
    if (t->handle) {
        curl_multi_remove_handle(b->multi, t->handle);
        curl_easy_cleanup(t->handle);
        b->n_under_way--;
    }
    curl_slist_free_all(t->headers);
    free(t->body);
    buffer_free(&t->answer);
    t->handle = NULL;
    t->headers = NULL;
    t->body = NULL;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg) {
    transfer *t = arg;
    if (!buffer_append(&t->answer, data, size * n)) {
        t->too_large = true;
        return 0; /* curl ends the transfer */
    }
    return size * n;
}

static int set_positive(json_t *o, const char *key, double value, double neutral) {
    return value == neutral ? 0 : json_object_set_new(o, key, json_real(value));
}

/* The JSON body of one sample; new, NULL on memory or text that is not UTF-8. */
static char *request_body(const remote *b, const backend_request *r, size_t sample) {
    json_t *messages = r->prompt ? json_pack("[{s:s, s:s}]", "role", "user", "content", r->prompt)
                                 : backend_messages_json(r);
    json_t *o = json_pack("{s:s, s:o, s:f, s:b}", "model", b->model, "messages", messages,
                          "temperature", (double)r->sampling.temperature, "stream", 0);
    if (!o)
        return NULL;
    int bad = 0;
    if (r->sampling.max_tokens)
        bad |=
            json_object_set_new(o, "max_tokens", json_integer((json_int_t)r->sampling.max_tokens));
    if (r->seeds) /* servers differ in how wide a seed may be; 31 bits suit all */
        bad |= json_object_set_new(o, "seed",
                                   json_integer((json_int_t)(r->seeds[sample] & 0x7fffffff)));
    if (r->sampling.top_p > 0)
        bad |= set_positive(o, "top_p", r->sampling.top_p, 1);
    bad |= set_positive(o, "frequency_penalty", r->sampling.frequency_penalty, 0);
    bad |= set_positive(o, "presence_penalty", r->sampling.presence_penalty, 0);
    if (r->sampling.top_k > 0) /* not OpenAI's own, but of most other servers */
        bad |= json_object_set_new(o, "top_k", json_integer(r->sampling.top_k));
    if (r->sampling.n_stop) {
        json_t *stop = json_array();
        for (size_t i = 0; i < r->sampling.n_stop; i++)
            bad |= json_array_append_new(stop, json_string(r->sampling.stop[i]));
        bad |= json_object_set_new(o, "stop", stop);
    }
    char *text = bad ? NULL : json_canonical(o);
    json_decref(o);
    return text;
}

/* Appends to a list that stays valid when memory runs out. */
static bool add_header(struct curl_slist **list, const char *line) {
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer)
        *list = longer;
    return longer != NULL;
}

static bool add_key(const remote *b, struct curl_slist **list) {
    const char *key = b->key_env ? getenv(b->key_env) : NULL;
    if (!key)
        return true;
    char *line = NULL;
    bool ok = asprintf(&line, "Authorization: Bearer %s", key) >= 0 && add_header(list, line);
    if (line) {
        explicit_bzero(line, strlen(line));
        free(line);
    }
    return ok;
}

static agon_status transfer_start(agon_ctx *ctx, remote *b, transfer *t) {
    const backend_request *r = b->queue.items[t->item].request;
    char url[2100];
    snprintf(url, sizeof url, "%s/chat/completions", b->url);
    buffer_init(&t->answer, ANSWER_LIMIT);
    t->too_large = false;
    t->curl_error[0] = 0;
    t->body = request_body(b, r, t->sample);
    if (!t->body) {
        transfer_end(b, t);
        t->state = FINISHED;
        backend_fail(b->queue.items[t->item].response,
                     "%s: the request is not valid UTF-8, or memory ran out", b->url);
        return AGON_OK;
    }
    t->handle = curl_easy_init();
    bool ok = t->handle && add_header(&t->headers, "Content-Type: application/json") &&
              add_key(b, &t->headers);
    if (t->handle)
        b->n_under_way++;
    if (!ok) {
        transfer_end(b, t);
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for a request to %s", b->url);
    }
    CURL *h = t->handle;
    curl_easy_setopt(h, CURLOPT_URL, url);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_POSTFIELDS, t->body);
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, t->curl_error);
    curl_easy_setopt(h, CURLOPT_PRIVATE, t);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "agon/" AGON_VERSION);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(1000 * fmin(CONNECT_SECONDS, b->timeout_seconds)));
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)(1000 * b->timeout_seconds));
    if (curl_multi_add_handle(b->multi, h) != CURLM_OK) {
        transfer_end(b, t);
        return ctx_fail(ctx, AGON_ENOMEM, "libcurl could not start a request to %s", b->url);
    }
    t->state = UNDER_WAY;
    return AGON_OK;
}

/* ---- what became of it ---------------------------------------------------------- */

/* The first part of an answer, for an error sentence; empty if it might show the key. */
static void excerpt(const remote *b, const transfer *t, char *out, size_t size) {
    const char *key = b->key_env ? getenv(b->key_env) : NULL;
    const char *text = t->answer.data ? t->answer.data : "";
    out[0] = 0;
    if (!*text || (key && *key && strstr(text, key)))
        return;
    snprintf(out, size, ": %.*s%s", EXCERPT, text, strlen(text) > EXCERPT ? "..." : "");
}

static bool worth_retrying(CURLcode code, long status) {
    if (code != CURLE_OK)
        return code != CURLE_UNSUPPORTED_PROTOCOL && code != CURLE_URL_MALFORMAT &&
               code != CURLE_PEER_FAILED_VERIFICATION;
    return status == 408 || status == 429 || (status >= 500 && status != 501);
}

static const char *first_text(const json_t *choice) {
    const json_t *message = json_object_get(choice, "message");
    const char *text = json_string_value(json_object_get(message, "content"));
    return text ? text : json_string_value(json_object_get(choice, "text"));
}

static size_t usage_of(const json_t *answer, const char *key) {
    return backend_token_count(json_object_get(json_object_get(answer, "usage"), key));
}

bool backend_read_chat(const char *answer, size_t n, backend_response *r, size_t sample) {
    json_t *o = n ? json_loadb(answer, n, 0, NULL) : NULL;
    const json_t *choice = json_array_get(json_object_get(o, "choices"), 0);
    const char *text = first_text(choice),
               *finish = json_string_value(json_object_get(choice, "finish_reason"));
    backend_completion *c = &r->completions[sample];
    if (text)
        c->text = strdup(text);
    if (c->text) {
        c->n_tokens = usage_of(o, "completion_tokens");
        c->finish = finish && !strcmp(finish, "length") ? FINISH_LENGTH : FINISH_STOP;
        r->n_completion_tokens += c->n_tokens;
        r->n_prompt_tokens += usage_of(o, "prompt_tokens");
    }
    json_decref(o);
    return c->text != NULL;
}

/* Seconds to wait before the next attempt: no longer than an answer itself may take, whatever the server asks for. */
static double wait_seconds(const remote *b, const transfer *t, curl_off_t retry_after) {
    double most = fmin(LONGEST_WAIT, b->timeout_seconds);
    if (retry_after > 0)
        return fmin((double)retry_after, most);
    const backend_request *r = b->queue.items[t->item].request;
    rng g = rng_new((r->seeds ? r->seeds[t->sample] : t->item) ^ (uint64_t)t->attempt);
    return fmin(ldexp(b->backoff_seconds, t->attempt), most) *
           (0.5 + 0.5 * rng_uniform(&g));
}

static void fail_status(const remote *b, backend_response *r, long status, const char *shown, int tries, curl_off_t retry_after) {
    if (retry_after > 0 && (double)retry_after > b->timeout_seconds)
        backend_fail(r, "%s: status %ld%s (tried %d times); it asks to be left for %lld s, longer than the time for an answer (%g s)", b->url, status, shown,
                     tries, (long long)retry_after, b->timeout_seconds);
    else
        backend_fail(r, "%s: status %ld%s (tried %d times)", b->url, status, shown, tries);
}

static void finished(remote *b, transfer *t, CURLcode code) {
    backend_response *r = b->queue.items[t->item].response;
    long status = 0;
    curl_off_t retry_after = 0;
    curl_easy_getinfo(t->handle, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->handle, CURLINFO_RETRY_AFTER, &retry_after);
    char shown[EXCERPT + 16] = "";
    excerpt(b, t, shown, sizeof shown);
    bool pending = r->state == BACKEND_PENDING; /* not when another sample of the request failed */
    bool is_answer = pending && code == CURLE_OK && status == 200 && backend_read_chat(t->answer.data, t->answer.size, r, t->sample);
    bool retry = !is_answer && !t->too_large &&
                 (worth_retrying(code, status) || (code == CURLE_OK && status == 200));
    transfer_end(b, t);
    t->state = FINISHED;
    if (is_answer || !pending)
        return;
    if (retry && t->attempt < b->max_retries) {
        t->not_before = monotonic_seconds() + wait_seconds(b, t, retry_after);
        t->attempt++;
        t->state = WAITING;
        return;
    }
    int tries = t->attempt + 1;
    if (t->too_large)
        backend_fail(r, "%s: the answer is longer than %d MiB", b->url, ANSWER_LIMIT >> 20);
    else if (code != CURLE_OK)
        backend_fail(r, "%s: %s (tried %d times)", b->url,
                     t->curl_error[0] ? t->curl_error : curl_easy_strerror(code), tries);
    else if (status == 200)
        backend_fail(r, "%s: the answer of status 200 is no chat completion%s (tried %d times)",
                     b->url, shown, tries);
    else
        fail_status(b, r, status, shown, tries, retry_after);
    r->own_fault = t->too_large || (code == CURLE_OK && (status == 200 || status == 400 || status == 413 || status == 422));
}

/* ---- the backend ---------------------------------------------------------------- */

static agon_status remote_submit(agon_ctx *ctx, backend *base, const backend_request *requests,
                                 size_t n, backend_response *responses) {
    remote *b = (remote *)base;
    size_t more = 0, first = b->queue.n;
    for (size_t i = 0; i < n; i++)
        more = size_add(more, requests[i].n_samples);
    if (b->n_transfers + more > b->capacity) {
        transfer **list =
            realloc(b->transfers, size_mul(size_add(b->n_transfers, more), sizeof *list));
        if (!list)
            return ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu requests", more);
        b->transfers = list;
        b->capacity = b->n_transfers + more;
    }
    agon_status s = backend_queue_add(ctx, &b->queue, requests, n, responses);
    size_t before = b->n_transfers;
    for (size_t i = 0; !s && i < n; i++) {
        if (!requests[i].n_samples)
            responses[i].state = BACKEND_DONE;
        else if (!backend_make_room(&responses[i], requests[i].n_samples, 0))
            s = ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu samples", requests[i].n_samples);
        for (size_t k = 0; !s && k < requests[i].n_samples; k++) {
            transfer *t = memory_new(1, sizeof *t);
            if (!t) {
                s = ctx_fail(ctx, AGON_ENOMEM, "no memory for a request");
                break;
            }
            t->item = first + i;
            t->sample = k;
            b->transfers[b->n_transfers++] = t;
        }
    }
    if (s) { /* nothing stays queued */
        while (b->n_transfers > before)
            free(b->transfers[--b->n_transfers]);
        b->queue.n = first;
        for (size_t i = 0; i < n; i++)
            backend_response_free(&responses[i]);
    }
    return s;
}

/* Starts what may start; *next: when the earliest that had to wait may. */
static agon_status start_waiting(agon_ctx *ctx, remote *b, double *next) {
    double now = monotonic_seconds();
    *next = INFINITY;
    for (size_t i = 0; i < b->n_transfers; i++) {
        transfer *t = b->transfers[i];
        if (t->state != WAITING)
            continue;
        double from = fmax(t->not_before, b->next_start);
        if (from > now || b->n_under_way >= b->max_parallel) {
            *next = fmin(*next, from);
            continue;
        }
        b->next_start = now + b->spacing;
        agon_status s = transfer_start(ctx, b, t);
        if (s)
            return s;
    }
    return AGON_OK;
}

static void collect(remote *b) {
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(b->multi, &left))) {
        if (m->msg != CURLMSG_DONE)
            continue;
        transfer *t;
        CURLcode code = m->data.result; /* m dies with the handle */
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        finished(b, t, code);
    }
}

/* Requests whose transfers are all finished are done, and forgotten: their responses belong to the
 * submitter again. What is left of failed requests is dropped first. Returns how many requests are
 * not done. */
static size_t settle(remote *b) {
    size_t n_pending = 0, j = 0; /* transfers lie in order of their items */
    for (size_t i = 0; i < b->queue.n; i++) {
        backend_response *r = b->queue.items[i].response;
        size_t n_open = 0;
        for (; j < b->n_transfers && b->transfers[j]->item == i; j++) {
            transfer *t = b->transfers[j];
            if (t->state == FINISHED)
                continue;
            if (r->state == BACKEND_PENDING) {
                n_open++;
                continue;
            }
            transfer_end(b, t);
            t->state = FINISHED;
        }
        if (n_open) {
            n_pending++;
            continue;
        }
        if (r && r->state == BACKEND_PENDING)
            r->state = BACKEND_DONE;
        b->queue.items[i].response = NULL;
    }
    if (n_pending == 0) {
        for (size_t i = 0; i < b->n_transfers; i++)
            free(b->transfers[i]);
        b->n_transfers = b->queue.n = 0;
    }
    return n_pending;
}

static agon_status remote_poll(agon_ctx *ctx, backend *base, double timeout_seconds,
                               size_t *n_pending) {
    remote *b = (remote *)base;
    double end = monotonic_seconds() + timeout_seconds, next;
    for (;;) {
        agon_status s = ctx_check_interrupt(ctx);
        if (!s)
            s = start_waiting(ctx, b, &next);
        if (s)
            return s;
        int running;
        curl_multi_perform(b->multi, &running);
        collect(b);
        *n_pending = settle(b);
        double now = monotonic_seconds(), left = fmin(end - now, LONGEST_POLL);
        if (*n_pending == 0 || left <= 0)
            return AGON_OK;
        if (b->n_under_way < b->max_parallel && next > now)
            left = fmin(left, next - now);
        curl_multi_poll(b->multi, NULL, 0, 1 + (int)(1000 * left), NULL);
    }
}

static void remote_cancel(backend *base) {
    remote *b = (remote *)base;
    for (size_t i = 0; i < b->n_transfers; i++) {
        transfer_end(b, b->transfers[i]);
        free(b->transfers[i]);
    }
    b->n_transfers = b->queue.n = 0;
}

static void remote_free(backend *base) {
    remote *b = (remote *)base;
    if (b->multi)
        curl_multi_cleanup(b->multi);
    curl_global_cleanup();
    free(b->url);
    free(b->model);
    free(b->key_env);
    free(b->queue.items);
    free(b->transfers);
    free(b);
}

static const backend_table table = {remote_submit, remote_poll, remote_cancel, remote_free};

/* An address that may be recorded: http or https, a host, and no user, password, query or fragment.
 */
static agon_status check_url(agon_ctx *ctx, const char *url) {
    if (!url || !*url || strlen(url) > 2000)
        return ctx_fail(ctx, AGON_EINVAL, "a remote backend needs 'url', such as https://host/v1");
    CURLU *u = curl_url();
    if (!u)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for a url");
    char *scheme = NULL, *secret = NULL;
    agon_status s = AGON_OK;
    static const CURLUPart parts[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY,
                                      CURLUPART_FRAGMENT};
    if (curl_url_set(u, CURLUPART_URL, url, 0) || curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) ||
        (strcmp(scheme, "http") && strcmp(scheme, "https")))
        s = ctx_fail(ctx, AGON_EINVAL, "a remote backend's url must look like https://host/v1");
    static const char appended[] = "/chat/completions";
    const char *place = strstr(url, appended);
    if (!s && place && strspn(place + strlen(appended), "/") == strlen(place + strlen(appended)))
        s = ctx_fail(ctx, AGON_EINVAL, "a remote backend's url ends before %s, which is appended; write %.*s", appended, (int)(place - url), url);
    for (size_t i = 0; !s && i < sizeof parts / sizeof *parts; i++)
        if (!curl_url_get(u, parts[i], &secret, 0)) {
            curl_free(secret);
            s = ctx_fail(ctx, AGON_EINVAL,
                         "a remote backend's url is recorded, so it may hold no user, password, "
                         "query or fragment; name "
                         "the key's environment variable in 'key_env'");
        }
    curl_free(scheme);
    curl_url_cleanup(u);
    return s;
}

static agon_status check_key(agon_ctx *ctx, const char *key_env) {
    if (!key_env)
        return AGON_OK;
    const char *key = getenv(key_env);
    if (!key || !*key)
        return ctx_fail(ctx, AGON_ENOTFOUND, "the environment variable %s, named by 'key_env', is not set; export it with the server's key", key_env);
    for (const char *p = key; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return ctx_fail(ctx, AGON_EINVAL,
                            "the key in the environment variable %s holds a control character",
                            key_env);
    return AGON_OK;
}

agon_status backend_remote_new(agon_ctx *ctx, const backend_remote_options *options,
                               backend **out) {
    agon_status s = check_url(ctx, options->url);
    if (!s)
        s = check_key(ctx, options->key_env);
    if (!s && (!options->model || !*options->model))
        s = ctx_fail(ctx, AGON_EINVAL, "a remote backend needs the 'name' of a model");
    if (s)
        return s;
    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        return ctx_fail(ctx, AGON_EIO, "libcurl could not be started");
    remote *b = memory_new(1, sizeof *b);
    if (!b) {
        curl_global_cleanup();
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for a remote backend");
    }
    b->base = (backend){.table = &table, .capabilities = CAN_GENERATE | IS_REMOTE};
    b->url = strdup(options->url);
    b->model = strdup(options->model);
    b->key_env = options->key_env ? strdup(options->key_env) : NULL;
    b->timeout_seconds = options->timeout_seconds > 0 ? options->timeout_seconds : 60;
    b->backoff_seconds = options->backoff_seconds > 0 ? options->backoff_seconds : 0.5;
    b->spacing = options->per_minute > 0 ? 60.0 / (double)options->per_minute : 0;
    b->max_retries = options->max_retries == 0  ? 5
                     : options->max_retries < 0 ? 0
                                                : options->max_retries;
    b->max_parallel = options->max_parallel > 0 ? options->max_parallel : 4;
    b->multi = curl_multi_init();
    if (b->url && *b->url && b->url[strlen(b->url) - 1] == '/')
        b->url[strlen(b->url) - 1] = 0;
    if (!b->url || !b->model || (options->key_env && !b->key_env) || !b->multi ||
        asprintf(&b->base.name, "remote %s %s", b->url, b->model) < 0) {
        b->base.name = NULL;
        backend_free(&b->base);
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for a remote backend");
    }
    *out = &b->base;
    return AGON_OK;
}
