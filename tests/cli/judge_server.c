/* judge_server FILE: an OpenAI-compatible judge on the loopback address until stdin ends. Prints its URL; appends the body of each request that has the
 * key to FILE. What it says is a function of the body: yes, no, or nothing that is a verdict. The model "gone" is not there. */
#include "loopback.h"

static const char *file;

static void judge(int fd, int i, const char *request) {
    static const char *const words[] = {"Right as it stands. Correct: [[Yes]]", "It is not. Correct: [[No]]", "Fine. Correct: [[Yes]]", "No. Correct: [[No]]", "Hard to say."};
    const char *body = strstr(request, "\r\n\r\n");
    unsigned hash = 0;
    (void)i;
    if (!body || !strcasestr(request, "authorization: bearer secret\r\n")) {
        reply(fd, 401, "", "{\"error\":{\"message\":\"no such key\"}}");
        return;
    }
    if (strstr(body, "\"model\":\"gone\"")) {
        reply(fd, 404, "", "{\"error\":{\"message\":\"no such model\"}}");
        return;
    }
    FILE *f = fopen(file, "a");
    if (f) {
        fprintf(f, "%s\n", body + 4);
        fclose(f);
    }
    for (const char *p = body; *p; p++)
        hash = hash * 31 + (unsigned char)*p;
    good(fd, words[(hash >> 8) % 5]);
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    file = argv[1];
    server s = server_start(judge);
    puts(s.url);
    fflush(stdout);
    while (getchar() != EOF) {
    }
    server_stop(&s);
    return 0;
}
