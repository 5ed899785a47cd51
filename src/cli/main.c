/* agon: the command. One line a command in table.h, one file a command. */
#include "cli/cli.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *heading; /* of the commands from here on; NULL: goes on */
    const command *command;
} commands[] = {
#define COMMAND_LINE(heading, name) {heading, &command_##name},
    COMMANDS(COMMAND_LINE)
#undef COMMAND_LINE
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *to) {
    fprintf(to, "agon %s: the superalignment loop\n\nusage: agon COMMAND [options]\n", AGON_VERSION);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (commands[i].heading)
            fprintf(to, "\n%s:\n", commands[i].heading);
        fprintf(to, "  %-14s %s\n", commands[i].command->name, commands[i].command->summary);
    }
    fputs("\nagon COMMAND --help shows options and an example. To begin: agon doctor, then agon init.\n\n"
          "environment:\n"
          "  AGON_MODEL     the model where none is named (else the one in the cache folder)\n"
          "  AGON_MEMORY    what may be used in all: MiB, or \"unlimited\"\n"
          "  AGON_CPU       portable, avx2, avx512 or amx, on ARM portable or neon; the results are the same\n"
          "  AGON_NUMERICS  portable (the default) or native: faster on AMD Zen 4 and later, with bits of its own\n"
          "  AGON_DATA      folder of external suites, such as gsm8k\n\n"
          "exit codes: 0 fine, 1 other failure, 2 wrong usage, 3 not found, 4 bad data or model file,\n"
          "  5 disk, memory or network, 6 busy, 7 verification failed, 8 stopped (run again to go on)\n",
          to);
}

/* NULL: there is none of this name. */
static const command *find_command(const char *name) {
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(name, commands[i].command->name) == 0)
            return commands[i].command;
    return NULL;
}

static int unknown_command(const char *word) {
    const char *near = NULL;
    size_t least = (strlen(word) + 1) / 2; /* a word of which as much differs was not meant */
    for (size_t i = 0; i < N_COMMANDS; i++) {
        size_t n = word_difference(word, commands[i].command->name);
        if (n <= least && (!near || n < least)) {
            least = n;
            near = commands[i].command->name;
        }
    }
    if (near)
        say_error(NULL, "there is no command '%.40s'; did you mean '%s'? agon --help lists all", word, near);
    else
        say_error(NULL, "there is no command '%.40s'; agon --help lists all", word);
    return EXIT_USAGE;
}

/* Nobody reads on: `agon log | head` wants no more, and that is no failure. */
static bool reader_left(void) {
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP));
}

/* The exit code, once it is known that what was printed has arrived. */
static int finish_output(int code) {
    bool failed = fflush(stdout) != 0;
    const char *reason = failed ? strerror(errno) : NULL; /* of an earlier failure nothing is known any more */
    if ((!failed && !ferror(stdout)) || reader_left())
        return code;
    fprintf(stderr, "agon: the output could not be written whole%s%s; make room, or write it elsewhere, and run again\n", reason ? ": " : "",
            reason ? reason : "");
    return code == EXIT_FINE ? EXIT_SYSTEM : code;
}

static int run_command(int argc, char **argv) {
    bool help = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0);
    bool version = argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0);
    const bool of_all = help && (argc == 2 || (argc == 3 && (strcmp(argv[2], "help") == 0 || strcmp(argv[2], "version") == 0)));
    if (argc < 2 || of_all) {
        print_help(argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_USAGE : EXIT_FINE;
    }
    if (argc > (version ? 2 : help ? 3 : argc)) {
        say_error(NULL, "'%.60s' is one word too many after %s", argv[version ? 2 : 3], argv[1]);
        return EXIT_USAGE;
    }
    if (version) {
        printf("agon %s\n", AGON_VERSION);
        return EXIT_FINE;
    }
    char *asked[] = {argv[help ? 2 : 1], "--help", NULL}; /* agon help COMMAND */
    const command *found = find_command(asked[0]);
    if (!found)
        return unknown_command(asked[0]);
    return help ? found->run(2, asked) : found->run(argc - 1, argv + 1);
}

/* A closed stdin, stdout or stderr would be the number of the next file that is opened, and what is printed would go into it. */
static void hold_closed_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0) /* to be read only: printing fails, and is said to */
            return;
}

/* The value of the hexadecimal digits at *at, which is moved behind them. */
static uintptr_t read_hex(const char **at) {
    static const char digits[] = "0123456789abcdef";
    uintptr_t value = 0;
    for (const char *d; **at && (d = strchr(digits, **at)); (*at)++)
        value = value << 4 | (uintptr_t)(d - digits);
    return value;
}

/* The path in a line "from-to ... /path" of the memory map whose range holds the address; else NULL. */
static char *path_of(char *line, uintptr_t address) {
    const char *at = line;
    uintptr_t from = read_hex(&at);
    if (*at++ != '-' || address < from || address >= read_hex(&at))
        return NULL;
    char *path = strchr(line, '/');
    for (char *c = path; c && *c; c++)
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c;
    return path;
}

/* The file that is mapped there, or "a file"; in a signal handler. */
static const char *mapped_file(uintptr_t address) {
    static char line[PATH_MAX + 128];
    char *path = NULL, c;
    size_t n = 0;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && !path && read(fd, &c, 1) == 1) {
        line[n] = c == '\n' ? 0 : c;
        if (c == '\n')
            path = path_of(line, address);
        n = c == '\n' || n + 2 == sizeof line ? 0 : n + 1;
    }
    return path ? path : "a file";
}

/* Files are read where they are mapped: one that is cut short meanwhile, or whose disk fails, ends the program. What was written stays whole: nothing is
 * written through a map. */
static void on_unreadable(int signal, siginfo_t *info, void *context) {
    static const char end[] = ": could not be read further (was it cut short, or is its disk failing?); restore it and run again\n";
    static int said;
    (void)signal, (void)context;
    if (__atomic_exchange_n(&said, 1, __ATOMIC_RELAXED)) /* another thread met the same */
        for (;;)
            pause();
    const char *path = mapped_file((uintptr_t)info->si_addr);
    if (write(STDERR_FILENO, "agon: ", 6) < 0 || write(STDERR_FILENO, path, strlen(path)) < 0 || write(STDERR_FILENO, end, sizeof end - 1) < 0)
        _exit(EXIT_SYSTEM);
    _exit(EXIT_SYSTEM);
}

static void watch_maps(void) {
    struct sigaction action = {.sa_sigaction = on_unreadable, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

int main(int argc, char **argv) {
    hold_closed_streams();
    watch_maps();
    int code = run_command(argc, argv);
    return finish_output(environment_is_wrong() ? EXIT_USAGE : code);
}
