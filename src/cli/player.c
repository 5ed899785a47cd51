/* Players in words, see player.h. */
#include "cli/player.h"
#include "cli/cli.h"

void print_player(const terminal *t, FILE *to, const json_t *player) {
    static const char *const keys[] = {"url", "name", "command", "script"};
    const char *mark = " ";
    fputs(" (", to);
    print_cut(t, to, member_text(player, "backend"), 20, false);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (*member_text(player, keys[i])) {
            fputs(mark, to);
            print_cut(t, to, member_text(player, keys[i]), 80, false);
            mark = ", ";
        }
    fputc(')', to);
}
