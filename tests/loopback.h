/* A small HTTP server on the loopback address for tests of remote backends: one forked process, one connection at a time.
 * It cannot outlive or block its test: it dies with its parent (a failed assertion leaves no orphan that holds the test's output open), after
 * four minutes, and when a peer is silent for LOOPBACK_SECONDS. */
#ifndef TESTS_LOOPBACK_H
#define TESTS_LOOPBACK_H

#include "test.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REQUEST_MAX = 16384, KEPT = 64, LOOPBACK_SECONDS = 10, LOOPBACK_LIFE = 240 };

/* What the server saw, in memory that both processes share. */
typedef struct seen {
    volatile int n;
    char requests[KEPT][REQUEST_MAX];
} seen;

typedef void (*handler)(int fd, int index, const char *request);

typedef struct server {
    pid_t pid;
    char url[64];
    seen *seen;
} server;

static inline void send_all(int fd, const char *data, size_t n) {
    while (n) {
        ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        data += sent;
        n -= (size_t)sent;
    }
}

static inline void reply(int fd, int status, const char *headers, const char *body) {
    char head[512];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n", status,
                     strlen(body), headers);
    send_all(fd, head, (size_t)n);
    send_all(fd, body, strlen(body));
}

static inline void good(int fd, const char *text) {
    char body[1024];
    snprintf(body, sizeof body,
             "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},\"finish_"
             "reason\":\"stop\"}],"
             "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}",
             text);
    reply(fd, 200, "", body);
}

static inline void read_request(int fd, char *out) {
    size_t n = 0, want = REQUEST_MAX;
    while (n < want && n + 1 < REQUEST_MAX) {
        ssize_t got = recv(fd, out + n, REQUEST_MAX - 1 - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
        out[n] = 0;
        const char *body = strstr(out, "\r\n\r\n"), *length = strcasestr(out, "content-length:");
        if (body && length)
            want = (size_t)(body + 4 - out) + (size_t)atol(length + 15);
    }
    out[n] = 0;
}

static inline void serve(int listener, seen *s, handler handle, pid_t parent) {
    const struct timeval patience = {LOOPBACK_SECONDS, 0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    alarm(LOOPBACK_LIFE);
    for (int i = 0;; i++) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            _exit(1);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        char *request = s->requests[i < KEPT ? i : KEPT - 1];
        read_request(fd, request);
        s->n = i + 1;
        handle(fd, i, request);
        close(fd);
    }
}

static inline server server_start(handler handle) {
    server s = {0};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    snprintf(s.url, sizeof s.url, "http://127.0.0.1:%d/v1", ntohs(address.sin_port));
    s.seen = mmap(NULL, sizeof *s.seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(s.seen != MAP_FAILED);
    const pid_t parent = getpid();
    s.pid = fork();
    assert_true(s.pid >= 0);
    if (s.pid == 0)
        serve(listener, s.seen, handle, parent);
    close(listener);
    return s;
}

static inline void server_stop(server *s) {
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    munmap(s->seen, sizeof *s->seen);
}

#endif
