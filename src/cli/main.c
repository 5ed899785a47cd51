/* agon: the command. One line a command in the table below, one file a command. */
#include "cli/cli.h"
#include <string.h>

static const command *const commands[] = {
    &command_init,   &command_run,    &command_status, &command_log,      &command_show,
    &command_why,    &command_verify, &command_unseal, &command_review,   &command_generate,
    &command_chat,   &command_score,  &command_tokenize, &command_data,     &command_train,  &command_soup,   &command_loss,
    &command_eval,   &command_weak_to_strong, &command_experiment, &command_import, &command_export, &command_doctor,
    &command_bench,
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *to) {
    fprintf(to, "agon %s: the superalignment loop\n\nusage: agon COMMAND [options]\n\n", AGON_VERSION);
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-14s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(to, "\nagon COMMAND --help shows options and an example.\n\n"
                "exit codes: 0 fine, 1 other failure, 2 wrong usage, 3 not found, 4 bad data or model file,\n"
                "  5 disk, memory or network, 6 busy, 7 verification failed, 8 stopped (run again to go on)\n");
}

static int unknown_command(const char *word) {
    const command *near = commands[0];
    for (size_t i = 1; i < N_COMMANDS; i++)
        if (word_difference(word, commands[i]->name) < word_difference(word, near->name))
            near = commands[i];
    fprintf(stderr, "agon: there is no command '%.40s'; did you mean '%s'? agon --help lists all\n", word, near->name);
    return EXIT_USAGE;
}

int main(int argc, char **argv) {
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_USAGE : EXIT_FINE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        printf("agon %s\n", AGON_VERSION);
        return EXIT_FINE;
    }
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(argv[1], commands[i]->name) == 0)
            return commands[i]->run(argc - 1, argv + 1);
    return unknown_command(argv[1]);
}
