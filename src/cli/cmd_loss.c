/* agon loss: an objective on numbers, to check it against a paper by hand. */
#include "cli/rows.h"
#include <stdlib.h>

static int run(int argc, char **argv) {
    const char *objective = NULL;
    const char **settings = NULL;
    bool json = false;
    const option_spec specs[] = {{.name = "--set", .list = &settings}, {.name = "--json", .flag = &json}, {0}};
    size_t n, n_settings = 0;
    int code;
    if (!parse_options(&command_loss, argc, argv, specs, &objective, 1, &n, &code)) {
        free(settings);
        return code;
    }
    if (!objective) {
        free(settings);
        return usage_error(&command_loss, "name an objective");
    }
    while (settings && settings[n_settings])
        n_settings++;
    char *answer = NULL, *text = read_all("loss", stdin, &n);
    agon_ctx *ctx = text ? open_context("loss") : NULL;
    code = ctx ? EXIT_FINE : EXIT_SYSTEM;
    if (ctx) {
        agon_status s = agon_loss_json(ctx, objective, settings, n_settings, text, n, &answer);
        if (s)
            code = fail_with("loss", s, ctx);
        else
            puts(answer);
        close_context(ctx);
    }
    agon_text_free(answer);
    free(text);
    free(settings);
    return code;
}

const command command_loss = {
    "loss",
    "an objective's loss and gradients on numbers given as JSON",
    "loss OBJECTIVE [--set k=v]...\n\n"
    "Reads one JSON object {\"rows\": [...]}. A response is {\"log_probs\": [...], \"reference\": [...]?, \"old\": [...]?,\n"
    "\"values\": [...]?, \"mask\": [...]?, \"head\": [...]?, \"targets\": [...]?, \"reward\": r?, \"advantage\": a?,\n"
    "\"label\": true|false?, \"weight\": w?}; a row is a response, {\"chosen\": R, \"rejected\": R}, or\n"
    "{\"responses\": [R, ...]}. Writes {\"loss\", \"losses\", \"rows\" with d_log_probs, \"metrics\"}.\n"
    "Likelihood: sft nll gce sce token-forward. Pairs: dpo cdpo rdpo dpo-forward ropo dpo-soft ipo simpo orpo exo-pref\n"
    "rso-hinge rso-sigmoid spin modpo. Others: kto exo-rw pro grpo gspo rloo reinforce++ ppo.\n"
    "Heads: bt plackett-luce rm-pointwise prm cloud classify aux-confidence.\n\n"
    "  --set k=v   an option of the objective: beta, label_smoothing, gamma, clip, length_normalised, ...\n\n"
    "  echo '{\"rows\":[{\"chosen\":{\"log_probs\":[-1],\"reference\":[-1]},\"rejected\":{\"log_probs\":[-2],\"reference\":[-1]}}]}' |\n"
    "    agon loss dpo --set beta=0.1",
    run,
};
