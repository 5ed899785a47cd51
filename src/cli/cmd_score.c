/* agon score: log-probabilities of completions, and the largest logits after them. */
#include "cli/preference.h"
#include "cli/score_pairs.h"
#include <stdlib.h>
#include <string.h>

typedef struct item {
    int32_t *prompt, *completion;
    size_t n_prompt, n_completion, line;
    const agon_adapter *adapter; /* borrowed */
} item;

typedef struct items {
    item *rows;
    size_t n, capacity;
    preference_vectors vectors;
} items;

static void items_free(items *list) {
    for (size_t i = 0; i < list->n; i++) {
        agon_tokens_free(list->rows[i].prompt);
        agon_tokens_free(list->rows[i].completion);
    }
    free(list->rows);
    vectors_free(&list->vectors);
}

/* Under --reward: puts the row's "critique" after what is rewarded, as in training. */
static int join_critique(agon_ctx *ctx, json_t *row, size_t line) {
    json_t *list = json_object_get(row, "messages"), *critique = json_object_get(row, "critique");
    json_t *last = json_array_get(list, json_array_size(list) ? json_array_size(list) - 1 : 0);
    json_t *owner = json_object_get(row, "completion") ? row : last;
    const char *key = owner == row ? "completion" : "content", *text = whole_text(json_object_get(owner, key)), *added = whole_text(critique);
    char *joined = NULL;
    if (!critique || json_is_null(critique))
        return EXIT_FINE;
    if (!text || !added)
        return row_error("score", line, "\"critique\" must be a text, beside a completion that is one, both without NUL characters");
    agon_status s = agon_critique_join(ctx, text, added, &joined);
    if (s)
        return fail_in_row("score", line, s, ctx);
    json_object_set_new(owner, key, json_string(joined));
    agon_text_free(joined);
    return EXIT_FINE;
}

/* Appends the token that ends an answer, unless there is none or the answer brought it. */
static agon_status add_end(item *out, int32_t end) {
    if (end < 0 || (out->n_completion && out->completion[out->n_completion - 1] == end))
        return AGON_OK;
    int32_t *grown = realloc(out->completion, (out->n_completion + 1) * sizeof *grown);
    if (!grown)
        return AGON_ENOMEM;
    grown[out->n_completion++] = end;
    out->completion = grown;
    return AGON_OK;
}

/* The last message, when the assistant's, with its end of turn is what is scored. */
static agon_status encode_messages(agon_ctx *ctx, const agon_tokenizer *t, const agon_message *messages, size_t n,
                                   item *out) {
    bool answered = strcmp(messages[n - 1].role, "assistant") == 0;
    agon_status s = agon_chat_tokenize(ctx, t, messages, n - (answered ? 1 : 0), true, &out->prompt, &out->n_prompt, NULL);
    if (s)
        return s;
    const char *text = answered ? messages[n - 1].content : "";
    s = agon_tokenize_answer(ctx, t, out->prompt, out->n_prompt, text, strlen(text), false, true, &out->completion, &out->n_completion);
    return s || !answered ? s : add_end(out, agon_end_of_turn(t));
}

/* {"prompt", "completion"}, {"messages"} that end with an answer, or {"messages", "completion"}. A completion is tokenised by
 * itself, as training and generation do; with `ended` a text gets its end token, where training puts rewards. Only with `contexts` is "context" a known field. */
static int read_row(agon_ctx *ctx, const agon_tokenizer *t, const json_t *row, size_t line, bool ended, bool contexts, item *out) {
    const char *const fields[] = {"prompt", "completion", "messages", "critique", "preference", contexts ? "context" : NULL, NULL};
    const json_t *list = json_object_get(row, "messages"), *prompt = json_object_get(row, "prompt"),
                 *completion = json_object_get(row, "completion");
    int code = check_fields("score", line, row, fields);
    if (code != EXIT_FINE)
        return code;
    if (!list && !prompt)
        return row_error("score", line, "a row needs \"prompt\" (it may be empty) and \"completion\", or \"messages\"");
    if (list && !completion) {
        size_t n = 0;
        agon_message *messages = read_messages("score", line, list, &n);
        if (!messages)
            return EXIT_BAD_DATA;
        agon_status s = encode_messages(ctx, t, messages, n, out);
        free(messages);
        return s ? fail_in_row("score", line, s, ctx) : EXIT_FINE;
    }
    if (list)
        code = read_prompt("score", line, ctx, t, row, true, &out->prompt, &out->n_prompt);
    else
        code = read_tokens("score", line, ctx, t, "prompt", prompt, (row_place){ROW_PROMPT, NULL, 0}, &out->prompt, &out->n_prompt);
    const row_place behind = {list ? ROW_ANSWER : ROW_COMPLETION, out->prompt, out->n_prompt};
    if (code == EXIT_FINE)
        code = read_tokens("score", line, ctx, t, "completion", completion, behind, &out->completion, &out->n_completion);
    if (code == EXIT_FINE && ended && json_is_string(completion) && add_end(out, list ? agon_end_of_turn(t) : agon_end_of_text(t)))
        return EXIT_SYSTEM;
    if (code == EXIT_FINE && out->n_prompt + out->n_completion == 0)
        return row_error("score", line, "prompt and completion are both empty");
    return code;
}

/* Without --top and --reward a row of no completion would be a 0 that says nothing; an empty one that stands there is meant. */
static int check_completion(const json_t *row, size_t line, bool needed, const item *r) {
    if (!needed || r->n_completion || json_object_get(row, "completion"))
        return EXIT_FINE;
    return row_error("score", line, "there is nothing to score: no \"completion\", and no assistant's message at the end (only --top and --reward need none)");
}

static int read_rows(const opened *o, char *text, bool needs_completion, bool reward, bool ended, items *out) {
    size_t line = 0;
    int code = EXIT_FINE;
    json_t *row;
    while (code == EXIT_FINE && (row = next_row("score", &text, &line, &code))) {
        if (out->n == out->capacity) {
            size_t capacity = out->capacity ? 2 * out->capacity : 64;
            item *grown = realloc(out->rows, capacity * sizeof *grown);
            if (!grown) {
                json_decref(row);
                return EXIT_SYSTEM;
            }
            out->rows = grown;
            out->capacity = capacity;
        }
        out->rows[out->n] = (item){.line = line};
        code = reward ? join_critique(o->ctx, row, line) : EXIT_FINE;
        if (code == EXIT_FINE)
            code = read_row(o->ctx, agon_model_tokenizer(o->model), row, line, ended, out->vectors.contexts, &out->rows[out->n++]);
        if (code == EXIT_FINE)
            code = check_completion(row, line, needs_completion, &out->rows[out->n - 1]);
        if (code == EXIT_FINE)
            code = row_adapter("score", line, row, o, &out->vectors, &out->rows[out->n - 1].adapter);
        json_decref(row);
    }
    return code;
}

static void print_result(const item *r, const agon_score_result *result, bool json, bool top) {
    if (!json) {
        printf("%.6f  (%zu tokens)\n", result->log_prob, r->n_completion);
        return;
    }
    json_t *answer = json_pack("{s:f,s:o,s:o}", "log_prob", result->log_prob, "log_probs",
                               json_floats(result->log_probs, r->n_completion), "tokens",
                               json_numbers(r->completion, r->n_completion));
    if (top) {
        json_t *list = json_array();
        for (size_t i = 0; i < result->n_top; i++)
            json_array_append_new(list, json_pack("{s:i,s:f}", "id", (int)result->top[i].id, "logit",
                                                  (double)result->top[i].logit));
        json_object_set_new(answer, "top", list);
    }
    print_json(answer);
    json_decref(answer);
}

static void print_reward(const agon_reward_result *r, bool json) {
    json_t *answer = json_pack("{s:f}", "reward", r->reward), *list = json_array();
    for (size_t i = 0; i < r->n_tokens; i++)
        json_array_append_new(list, json_real(r->token_rewards[i]));
    json_object_set_new(answer, "token_rewards", list);
    if (json)
        print_json(answer);
    else
        printf("%.6f\n", r->reward);
    json_decref(answer);
}

enum { AT_ONCE = 64 };

/* How many rows from the i-th on are asked together: some at a time, so that answers appear as they are made, and of one adapter. */
static size_t rows_together(const items *list, size_t i) {
    size_t n = 1;
    while (n < AT_ONCE && i + n < list->n && list->rows[i + n].adapter == list->rows[i].adapter)
        n++;
    return n;
}

static agon_score_request request_of(const item *r) {
    return (agon_score_request){r->prompt, r->n_prompt, r->completion, r->n_completion};
}

/* Says which of n rows that were asked together is refused: they are asked one by one. Where there is no reward head no row is to blame. */
static int fail_with_line(const opened *o, const item *rows, size_t n, bool reward, double temperature, agon_status status) {
    bool of_a_row = (status == AGON_EINVAL || status == AGON_ENUMERIC) && (!reward || agon_has_reward(o->model, rows[0].adapter));
    for (size_t k = 0; k < n && of_a_row; k++) {
        const agon_score_request request = request_of(&rows[k]);
        agon_score_result score = {0};
        agon_reward_result rewarded = {0};
        agon_status s = reward ? agon_reward(o->ctx, o->model, rows[k].adapter, &request, 1, &rewarded)
                               : agon_score(o->ctx, o->model, rows[k].adapter, &request, 1, temperature, 0, &score);
        if (s)
            return fail_in_row("score", rows[k].line, s, o->ctx);
        agon_score_result_free(&score);
        agon_reward_result_free(&rewarded);
    }
    return fail_with("score", status, o->ctx);
}

/* Several reward models on one scale, see agon_reward_ensemble. */
typedef struct ensemble {
    agon_adapter **further; /* [n] beside the opened adapter */
    size_t n;
    const char *rule;
    double strength;
} ensemble;

static int open_ensemble(const opened *o, const char **adapters, ensemble *e) {
    while (adapters && adapters[0] && adapters[e->n + 1])
        e->n++;
    e->further = calloc(e->n + 1, sizeof(agon_adapter *));
    for (size_t i = 0; e->further && i < e->n; i++) {
        agon_status s = agon_adapter_open(o->ctx, o->model, adapters[i + 1], &e->further[i]);
        if (s)
            return fail_with("score", s, o->ctx);
    }
    return e->further ? EXIT_FINE : EXIT_SYSTEM;
}

static void close_ensemble(ensemble *e) {
    for (size_t i = 0; e->further && i < e->n; i++)
        agon_adapter_free(e->further[i]);
    free(e->further);
}

static void print_ensemble(const double *of_members, size_t n_members, size_t n, size_t i, double reward, bool json) {
    if (!json) {
        printf("%.6f\n", reward);
        return;
    }
    json_t *list = json_array();
    for (size_t k = 0; k < n_members; k++)
        json_array_append_new(list, json_real(of_members[k * n + i]));
    json_t *answer = json_pack("{s:f,s:o,s:f}", "reward", reward, "members", list, "disagreement",
                               agon_reward_disagreement(of_members, n_members, n, i));
    print_json(answer);
    json_decref(answer);
}

static int reward_by_ensemble(const opened *o, const items *list, const ensemble *e, bool json) {
    size_t k = e->n + 1;
    const agon_adapter **members = calloc(k, sizeof(agon_adapter *));
    double *of_members = calloc(k * AT_ONCE, sizeof *of_members), rewards[AT_ONCE];
    int code = members && of_members ? EXIT_FINE : fail_with("score", AGON_ENOMEM, o->ctx);
    for (size_t i = 0; code == EXIT_FINE && i < k; i++)
        members[i] = i ? e->further[i - 1] : o->adapter;
    for (size_t i = 0, n; code == EXIT_FINE && i < list->n && !ferror(stdout); i += n) {
        agon_score_request requests[AT_ONCE];
        n = list->n - i < AT_ONCE ? list->n - i : AT_ONCE;
        for (size_t j = 0; j < n; j++)
            requests[j] = request_of(&list->rows[i + j]);
        agon_status s = agon_reward_ensemble(o->ctx, o->model, members, k, e->rule, e->strength, requests, n, rewards, of_members);
        if (s)
            code = fail_with_line(o, list->rows + i, n, true, 1, s);
        for (size_t j = 0; !s && j < n; j++)
            print_ensemble(of_members, k, n, j, rewards[j], json);
        fflush(stdout);
    }
    free(members);
    free(of_members);
    return code;
}

static int score_rows(const opened *o, const items *list, double temperature, size_t top, bool reward, bool json) {
    for (size_t i = 0, n; i < list->n && !ferror(stdout); i += n) { /* what nobody gets is not computed */
        n = rows_together(list, i);
        const agon_adapter *adapter = list->rows[i].adapter;
        agon_score_request requests[AT_ONCE];
        agon_score_result scores[AT_ONCE];
        agon_reward_result rewards[AT_ONCE];
        for (size_t k = 0; k < n; k++)
            requests[k] = request_of(&list->rows[i + k]);
        agon_status s = reward ? agon_reward(o->ctx, o->model, adapter, requests, n, rewards)
                               : agon_score(o->ctx, o->model, adapter, requests, n, temperature, top, scores);
        if (s)
            return fail_with_line(o, list->rows + i, n, reward, temperature, s);
        for (size_t k = 0; k < n && reward; k++) {
            print_reward(&rewards[k], json);
            agon_reward_result_free(&rewards[k]);
        }
        for (size_t k = 0; k < n && !reward; k++) {
            print_result(&list->rows[i + k], &scores[k], json, top > 0);
            agon_score_result_free(&scores[k]);
        }
        fflush(stdout);
    }
    return EXIT_FINE;
}

/* --pairs: the opened adapter and the further ones of the ensemble. */
static int judge_pairs(const opened *o, const ensemble *e, const char *path, bool json) {
    size_t n = o->adapter ? e->n + 1 : 0;
    const agon_adapter **members = calloc(n + 1, sizeof(agon_adapter *));
    for (size_t i = 0; members && i < n; i++)
        members[i] = i ? e->further[i - 1] : o->adapter;
    int code = members ? score_pairs(o, members, n, e->rule, e->strength, path, json) : EXIT_SYSTEM;
    free(members);
    return code;
}

static int run(int argc, char **argv) {
    const char *model = NULL, **adapters = NULL, *dtype = NULL, *chat_template = NULL, *pairs = NULL, *against = NULL, *compare = NULL;
    preference_arguments preference = {0};
    const char *of_ensembles = NULL, *of_log_probs = NULL, *of_policies = NULL; /* an option that stood and has no effect elsewhere; NULL: none */
    bool json = false, reward = false, as_it_stands = false;
    ensemble together = {.strength = -1};
    double temperature = 1, beta = 0.1;
    int64_t top = 0;
    const option_spec specs[] = {{.name = "--model", .text = &model},
                                 {.name = "--adapter", .list = &adapters},
                                 {.name = "--preference", .text = &preference.vector},
                                 {.name = "--contexts", .text = &preference.contexts},
                                 {.name = "--context", .text = &preference.context},
                                 {.name = "--dtype", .text = &dtype},
                                 {.name = "--chat-template", .text = &chat_template},
                                 {.name = "--temperature", .real = &temperature, .given = &of_log_probs},
                                 {.name = "--top", .integer = &top, .given = &of_log_probs},
                                 {.name = "--reward", .flag = &reward},
                                 {.name = "--no-end", .flag = &as_it_stands},
                                 {.name = "--pairs", .text = &pairs},
                                 {.name = "--against", .text = &against, .given = &of_policies},
                                 {.name = "--compare", .text = &compare},
                                 {.name = "--beta", .real = &beta, .given = &of_policies},
                                 {.name = "--ensemble", .text = &together.rule, .given = &of_ensembles},
                                 {.name = "--ensemble-strength", .real = &together.strength, .given = &of_ensembles},
                                 {.name = "--json", .flag = &json},
                                 {0}};
    size_t n;
    int code = EXIT_FINE;
    if (!parse_options(&command_score, argc, argv, specs, NULL, 0, &n, &code))
        return code;
    bool several = adapters && adapters[0] && adapters[1];
    if (top < 0)
        code = usage_error(&command_score, "--top must be 0 or more");
    else if (!(temperature >= 1e-4 && temperature <= 1e6))
        code = usage_error(&command_score, "--temperature must be from 0.0001 to 1000000");
    else if (as_it_stands && !reward)
        code = usage_error(&command_score, "--no-end goes with --reward");
    else if (pairs && (as_it_stands || preference.contexts || of_log_probs))
        code = usage_error(&command_score, "--pairs goes without --no-end, --contexts, --temperature and --top");
    else if (pairs && !reward && !against && !adapters)
        code = usage_error(&command_score, "--pairs asks a reward model (--reward), or a policy beside its reference: name --adapter or --against");
    else if (of_policies && (!pairs || reward))
        code = usage_error(&command_score, "%s goes with --pairs and without --reward", of_policies);
    else if (compare && !(pairs && adapters))
        code = usage_error(&command_score, "--compare goes with --pairs and --adapter: it is the other adapter");
    else if (compare && several)
        code = usage_error(&command_score, "--compare is of two reward models, not of an ensemble");
    else if (several && !reward)
        code = usage_error(&command_score, "several --adapter go with --reward");
    else if (of_ensembles && !(several && reward))
        code = usage_error(&command_score, "%s goes with --reward and several --adapter", of_ensembles);
    else if (of_log_probs && reward)
        code = usage_error(&command_score, "%s is of log-probabilities and does not go with --reward", of_log_probs);
    char *text = code == EXIT_FINE && !pairs ? read_lines("score", stdin, &code) : NULL;
    opened o;
    items list = {0};
    if (code == EXIT_FINE && (code = open_model("score", model, adapters ? adapters[0] : NULL, dtype, chat_template, &o)) == EXIT_FINE) {
        code = apply_contexts("score", &preference, &o, &list.vectors);
        if (code == EXIT_FINE && !pairs)
            code = read_rows(&o, text, !reward && !top, reward, reward && !as_it_stands, &list);
        if (code == EXIT_FINE && several)
            code = open_ensemble(&o, adapters, &together);
        if (code == EXIT_FINE && compare)
            code = score_pairs_paired(&o, compare, against, dtype, reward, beta, pairs, json);
        else if (code == EXIT_FINE && pairs && !reward)
            code = score_policy_pairs(&o, against, dtype, beta, pairs, json);
        else if (code == EXIT_FINE && pairs)
            code = judge_pairs(&o, &together, pairs, json);
        else if (code == EXIT_FINE)
            code = several ? reward_by_ensemble(&o, &list, &together, json)
                           : score_rows(&o, &list, temperature, (size_t)top, reward, json);
        close_ensemble(&together);
        items_free(&list);
        close_model(&o);
    }
    free(text);
    free(adapters);
    return code;
}

const command command_score = {
    "score",
    "log-probabilities of completions under a model",
    "score [--model M] [--adapter DIR] [--dtype f32|bf16] [--temperature T] [--top N] [--reward] [--json]\n\n"
    "Reads JSON lines: {\"prompt\": \"...\", \"completion\": \"...\"} or {\"messages\": [...]} (the last answer is scored).\n"
    "Prompt and completion are texts, tokenised separately, or lists of token ids (agon generate's \"tokens\"). With an empty\n"
    "prompt the first token is not scored: its log_prob is 0.\n\n"
    "  --model M            GGUF file, Hugging Face folder or imported name (default: $AGON_MODEL, else the cached model)\n"
    "  --adapter DIR        PEFT folder, or version of a workspace (WORKSPACE[:ID]), on top of it\n"
    "  --preference X,X...  how much each dimension of an adapter of agon train --dimensions weighs (default: all alike)\n"
    "                       or \"preference\": [X, ...] in a row\n"
    "  --contexts FILE      preference vectors of contexts (agon data contexts): --context NAME, or a row's \"context\",\n"
    "                       chooses; one that was not seen, or none, is the base: --preference, else the file's\n"
    "  --dtype f32|bf16     of the matrix products (default bf16)\n"
    "  --temperature T      log_softmax(logits / T), T from 0.0001 on (default 1)\n"
    "  --top N              adds the N largest logits after the last token\n"
    "  --reward             what the reward head of the adapter or model says instead (agon train bt and the like): the\n"
    "                       reward after the end token, which a text gets as in training (not with --no-end: steps of a\n"
    "                       prm; nor lists of ids); with --json also after each token. A row's \"critique\" follows its\n"
    "                       completion. Several --adapter are an ensemble of reward models, each on the scale of what it was\n"
    "                       trained on:\n"
    "    --ensemble mean|wco|uwo|lcb (mean)  --ensemble-strength X (0.5 of the variance for uwo, 1 of the deviation for lcb);\n"
    "                       with --json {\"reward\", \"members\": [...], \"disagreement\"}\n"
    "  --pairs FILE         held-out pairs instead of stdin. With --reward rows as agon train bt takes them: how many are\n"
    "                       ranked rightly, in all and by margin, the loss, and whether the gaps mean what they say (ECE of\n"
    "                       their sigmoid). Without it rows as agon train dpo takes them, ranked by the policy's implicit\n"
    "                       reward, --beta B (0.1) times its log_prob less that of the model without --adapter, or of\n"
    "                       --against M (a base of the same vocabulary, for a model trained whole)\n"
    "    --compare DIR      another adapter on the same pairs: how many only one of both ranks rightly, the differences of the\n"
    "                       shares and of the mean losses (less DIR's) with paired intervals, and McNemar's exact p\n"
    "  --chat-template NAME the family to use instead of the file's template\n"
    "  --json               {\"log_prob\": sum, \"log_probs\": [...], \"tokens\": [...]} a line\n\n"
    "  echo '{\"prompt\": \"The capital of France is\", \"completion\": \" Paris\"}' | agon score --model model.gguf --json",
    run,
};
