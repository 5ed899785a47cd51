/* Stories of one, two and three steps, see word_story.h. Questions avoid "does X have", so that one clause serves every
 * phrasing, and every count is at least two, so that things are always plural. */
#include "task/word_story.h"
#include <assert.h>

static const word_story one[] = {
    {"{N} has {a} {t} and buys {b} more.", "how many {t} are there now", "a+b"},
    {"{N} has {a} {t}. {M} has {b} {t}.", "how many {t} are there in all", "a+b"},
    {"A shop sold {a} {t} on Monday and {b} {t} on Tuesday.", "how many {t} were sold in all", "a+b"},
    {"{N} has {a} {t} and gives {b} of them to {M}.", "how many {t} are left", "a-b"},
    {"There are {a} {t} on a table. {N} takes away {b} of them.", "how many {t} are left on the table", "a-b"},
    {"{N} has {a} {t}. {M} has {b} {t}.", "how many more {t} belong to {N} than to {M}", "a-b"},
    {"{N} has {a} boxes with {b} {t} in each box.", "how many {t} are there in all", "a*b"},
    {"{N} buys {a} {t}. Each one costs {b} dollars.", "how many dollars are spent", "a*b"},
    {"{N} shares {a} {t} equally among {b} friends.", "how many {t} go to each friend", "a/b"},
    {"{N} puts {a} {t} into bags of {b}.", "how many bags are filled", "a/b"},
};

static const word_story two[] = {
    {"{N} has {a} boxes with {b} {t} in each box and gives away {c} {t}.", "how many {t} are left", "a*b 1-c"},
    {"{N} buys {a} bags of {b} {t} and already has {c} {t} at home.", "how many {t} are there in all", "a*b 1+c"},
    {"{N} has {a} {t}, buys {b} more and then loses {c}.", "how many {t} are left", "a+b 1-c"},
    {"{N} has {a} {t}, gives {b} to {M} and loses {c}.", "how many {t} are left", "a-b 1-c"},
    {"A bus has {a} people. At a stop, {b} people get off and {c} get on.", "how many people are on the bus now",
     "a-b 1+c"},
    {"{N} reads {a} pages on Monday, {b} pages on Tuesday and {c} pages on Wednesday.",
     "how many pages were read in all", "a+b 1+c"},
    {"{N} has {a} {t} and {M} has {b} {t}. They share all of them equally among {c} friends.",
     "how many {t} go to each friend", "a+b 1/c"},
    {"{N} has {a} bags of {b} {t} and shares all the {t} equally among {c} friends.",
     "how many {t} go to each friend", "a*b 1/c"},
    {"A box holds {a} red {t} and {b} blue {t}. {N} buys {c} such boxes.", "how many {t} are bought in all",
     "a+b 1*c"},
    {"A ticket costs {a} dollars, but today it is {b} dollars cheaper. {N} buys {c} tickets.",
     "how many dollars are spent", "a-b 1*c"},
    {"{N} has {c} dollars and buys {a} {t} for {b} dollars each.", "how many dollars are left", "a*b c-1"},
    {"{N} shares {a} {t} equally among {b} friends. {M} is one of them and already had {c} {t}.",
     "how many {t} belong to {M} now", "a/b 1+c"},
};

static const word_story three[] = {
    {"{N} has {a} boxes with {b} {t} in each box, finds {c} more and then gives away {d}.", "how many {t} are left",
     "a*b 1+c 2-d"},
    {"{N} buys {a} bags of {b} {t} and {c} boxes of {d} {t}.", "how many {t} are bought in all", "a*b c*d 1+2"},
    {"A shop has {a} crates of {b} {t} and sells {c} bags of {d} {t}.", "how many {t} are left", "a*b c*d 1-2"},
    {"{N} finds {a} {t} on Monday, {b} on Tuesday and {c} on Wednesday, and then gives {d} to {M}.",
     "how many {t} are left", "a+b 1+c 2-d"},
    {"{N} has {a} dollars, spends {b} dollars on food and {c} dollars on books, and then earns {d} dollars.",
     "how many dollars are there now", "a-b 1-c 2+d"},
    {"A box holds {a} red {t} and {b} blue {t}. {N} buys {c} such boxes and gives away {d} {t}.",
     "how many {t} are left", "a+b 1*c 2-d"},
    {"{N} has {a} bags of {b} {t}, loses {c} {t} and shares the rest equally among {d} friends.",
     "how many {t} go to each friend", "a*b 1-c 2/d"},
    {"{N} has {a} {t} and {M} has {b} {t}. They give away {c} and put the rest into bags of {d}.",
     "how many bags are filled", "a+b 1-c 2/d"},
    {"A ticket costs {a} dollars, but today it is {b} dollars cheaper. {N} buys {c} tickets and a drink for {d} "
     "dollars.",
     "how many dollars are spent", "a-b 1*c 2+d"},
    {"{N} has {d} dollars and buys {a} {t} for {b} dollars each and a bag for {c} dollars.",
     "how many dollars are left", "a*b 1+c d-2"},
};

const word_story *word_stories(int n_steps, size_t *n) {
    static const struct {
        const word_story *stories;
        size_t n;
    } all[MAX_STEPS] = {{one, sizeof one / sizeof *one},
                        {two, sizeof two / sizeof *two},
                        {three, sizeof three / sizeof *three}};
    assert(n_steps >= 1 && n_steps <= MAX_STEPS);
    *n = all[n_steps - 1].n;
    return all[n_steps - 1].stories;
}
