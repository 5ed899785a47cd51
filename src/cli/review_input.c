/* The reviewer's keys and texts, see review.h. */
#include "cli/review.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { LONGEST = 1 << 20, CTRL_C = 3, CTRL_D = 4 };

static struct termios before; /* the terminal's mode, for whoever puts it back */

static void on_end(int number) {
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
    signal(number, SIG_DFL);
    raise(number);
}

int review_key(void) {
    struct termios single;
    bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        single = before;
        single.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG); /* Ctrl-C as a key: the mode is put back whatever comes */
        single.c_cc[VMIN] = 1;
        single.c_cc[VTIME] = 0;
        signal(SIGTERM, on_end);
        signal(SIGHUP, on_end);
        signal(SIGINT, on_end); /* sent by another program: the key sends none here */
        tcsetattr(STDIN_FILENO, TCSADRAIN, &single);
    }
    int key = getchar();
    while (!terminal && (key == '\n' || key == '\r' || key == ' '))
        key = getchar();
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
        signal(SIGTERM, SIG_DFL);
        signal(SIGHUP, SIG_DFL);
        signal(SIGINT, SIG_DFL);
    }
    return key == CTRL_C || key == CTRL_D ? EOF : key;
}

char *review_line(const char *prompt) {
    char *line = NULL;
    size_t capacity = 0;
    fputs(prompt, stdout);
    fflush(stdout);
    ssize_t n = getline(&line, &capacity, stdin);
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
        line[--n] = 0;
    if (n > 0)
        return line;
    free(line);
    return NULL;
}

/* ---- the editor ---------------------------------------------------------------------------------------- */

static bool write_text(int fd, const char *text) {
    size_t n = strlen(text);
    while (n > 0) {
        ssize_t did = write(fd, text, n);
        if (did <= 0)
            return false;
        text += did;
        n -= (size_t)did;
    }
    return true;
}

static char *read_text(const char *path) {
    FILE *from = fopen(path, "r");
    char *text = from ? malloc(LONGEST + 1) : NULL;
    if (text) {
        size_t n = fread(text, 1, LONGEST, from);
        while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r')) /* editors end files with one */
            n--;
        text[n] = 0;
    }
    if (from)
        fclose(from);
    return text;
}

/* The variable may hold arguments ("code --wait"), so a shell takes it apart; the file's name comes as an argument. */
static bool run_editor(const char *editor, const char *path) {
    char *command = NULL;
    int state = -1;
    if (asprintf(&command, "%s \"$1\"", editor) < 0)
        return false;
    fflush(stdout);
    void (*before)(int) = signal(SIGINT, SIG_IGN); /* Ctrl-C in the editor is the editor's */
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGINT, SIG_DFL);
        execl("/bin/sh", "sh", "-c", command, "sh", path, (char *)NULL);
        _exit(127);
    }
    free(command);
    while (pid > 0 && waitpid(pid, &state, 0) < 0 && errno == EINTR)
        ;
    signal(SIGINT, before);
    return pid > 0 && WIFEXITED(state) && WEXITSTATUS(state) == 0;
}

char *review_edit(const char *text, const char **problem) {
    const char *visual = getenv("VISUAL"), *editor = visual && *visual ? visual : getenv("EDITOR");
    const char *folder = getenv("TMPDIR");
    char *path = NULL, *edited = NULL;
    *problem = NULL;
    if (!editor || !*editor) {
        *problem = "neither VISUAL nor EDITOR is set; w writes the answer here";
        return NULL;
    }
    if (asprintf(&path, "%s/agon-review-XXXXXX", folder && *folder ? folder : "/tmp") < 0)
        return NULL;
    int fd = mkstemp(path);
    if (fd < 0 || !write_text(fd, text)) {
        *problem = "no temporary file could be written";
    } else if (!run_editor(editor, path)) {
        *problem = "the editor failed; nothing was recorded";
    } else {
        edited = read_text(path);
    }
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    free(path);
    if (edited && (!*edited || strcmp(edited, text) == 0)) {
        *problem = "the text was left as it was; nothing was recorded";
        free(edited);
        return NULL;
    }
    return edited;
}
