/* init: the first process of the emulated machine (tests/amx/run). Runs the programs its arguments name, says how each ended and turns
 * the machine off. */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void run(const char *program) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        execl(program, program, (char *)NULL);
        perror(program);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0)
        printf("%s did not start\n", program);
    else if (WIFEXITED(status))
        printf("%s ended with code %d\n", program, WEXITSTATUS(status));
    else
        printf("%s was ended by signal %d\n", program, WTERMSIG(status));
    fflush(stdout);
}

/* No thread may be stopped for another while its tiles are in use, as they would be lost: every program runs until it waits
 * (inherited), and Linux gives no part of the time to its own threads. */
static void run_undisturbed(void) {
    static const char server[] = "/debug/sched/fair_server/cpu0/runtime";
    if (sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1}) != 0)
        perror("sched_setscheduler");
    FILE *f = mkdir("/debug", 0755) == 0 && mount("none", "/debug", "debugfs", 0, NULL) == 0 ? fopen(server, "w") : NULL;
    if (!f || fputs("0", f) < 0 || fclose(f) != 0)
        perror(server);
}

int main(int argc, char **argv) {
    run_undisturbed();
    for (int i = 1; i < argc; i++)
        if (*argv[i] == '/') /* Linux passes on what it does not know itself, too */
            run(argv[i]);
    tcdrain(STDOUT_FILENO);
    if (iopl(3) == 0)
        for (const char *c = "Shutdown"; *c; c++) /* how Bochs is asked to end */
            outb((unsigned char)*c, 0x8900);
    for (;;)
        pause();
}
