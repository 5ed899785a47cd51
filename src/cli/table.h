/* All commands, in the order of agon --help: one line each, with the heading that begins there or NULL. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#define COMMANDS(X)                                   \
    X("the loop, in a workspace", init)               \
    X(NULL, run)                                      \
    X(NULL, review)                                   \
    X(NULL, status)                                   \
    X(NULL, log)                                      \
    X(NULL, why)                                      \
    X(NULL, show)                                     \
    X(NULL, verify)                                   \
    X(NULL, unseal)                                   \
    X("models", generate)                             \
    X(NULL, chat)                                     \
    X(NULL, score)                                    \
    X(NULL, eval)                                     \
    X(NULL, tokenize)                                 \
    X(NULL, import)                                   \
    X(NULL, export)                                   \
    X("training", data)                               \
    X(NULL, train)                                    \
    X(NULL, soup)                                     \
    X(NULL, loss)                                     \
    X("experiments and this machine", weak_to_strong) \
    X(NULL, experiment)                               \
    X(NULL, doctor)                                   \
    X(NULL, bench)

#endif
