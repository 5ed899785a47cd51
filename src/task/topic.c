/* Topics, and sentences about them composed from slots: subject, adjective, action, place or time.
 *
 * Demonstrations are few and their reader is small, so they share a plain style (one short sentence, subject first) and
 * differ in topic and slots. */
#include "task/topic.h"
#include <stdio.h>
#include <string.h>

static const topic topics[] = {
    {"the sea", "sea|ocean|wave|water", false, false, {"deep", "blue", "calm"}, {"moves with the wind", "shines in the sun"}},
    {"dogs", "dog|pupp", true, false, {"loyal", "friendly", "playful"}, {"like to run", "love long walks"}},
    {"cats", "cat|kitten", true, false, {"quiet", "clever", "soft"}, {"sleep a lot", "like warm places"}},
    {"rain", "rain|drop", false, false, {"cold", "gentle", "wet"}, {"falls from the clouds", "helps the plants grow"}},
    {"the moon", "moon", false, true, {"bright", "round", "pale"}, {"shines over the hills", "moves around the earth"}},
    {"coffee", "coffee|cup", false, false, {"hot", "strong", "bitter"}, {"smells good", "wakes people up"}},
    {"school", "school|student|class", false, false, {"useful", "busy", "fun"}, {"starts early", "teaches many things"}},
    {"trees", "tree|leaf|leaves|forest", true, false, {"tall", "green", "old"}, {"give us shade", "grow very slowly"}},
    {"music", "music|song", false, false, {"lively", "sweet", "calm"}, {"makes people happy", "fills the room"}},
    {"bread", "bread|loaf", false, false, {"warm", "fresh", "soft"}, {"smells good", "tastes best with butter"}},
    {"birds", "bird", true, false, {"small", "free", "light"}, {"sing in the trees", "fly over the lake"}},
    {"snow", "snow", false, false, {"white", "cold", "soft"}, {"covers the roofs", "melts in the sun"}},
    {"the sun", "sun", false, true, {"warm", "bright", "golden"}, {"gives us light", "rises over the hills"}},
    {"trains", "train|rail", true, false, {"fast", "long", "loud"}, {"run through the valley", "carry many people"}},
    {"books", "book|read|novel", true, false, {"useful", "quiet", "old"}, {"tell great stories", "teach us many things"}},
    {"gardens", "garden|flower|plant", true, false, {"green", "quiet", "pretty"}, {"need water", "smell of flowers"}},
    {"tea", "tea", false, false, {"hot", "mild", "green"}, {"warms the hands", "tastes good with honey"}},
    {"horses", "horse", true, false, {"strong", "fast", "gentle"}, {"run over the fields", "eat fresh grass"}},
    {"mountains", "mountain|peak|hill", true, false, {"high", "cold", "quiet"}, {"rise above the clouds", "look blue from far away"}},
    {"rivers", "river|stream|water", true, false, {"long", "wide", "clear"}, {"flow to the sea", "bring water to the fields"}},
    {"apples", "apple", true, false, {"red", "sweet", "crisp"}, {"grow on trees", "taste best in autumn"}},
    {"bees", "bee|honey|hive", true, false, {"small", "busy", "useful"}, {"make honey", "visit many flowers"}},
    {"friends", "friend", true, false, {"kind", "funny", "honest"}, {"help each other", "share good times"}},
    {"football", "football|soccer|ball|team|game", false, false, {"fast", "fun", "popular"}, {"brings people together", "needs good teams"}},
    {"bicycles", "bicycle|bike|cycl", true, false, {"cheap", "light", "useful"}, {"roll down the hill", "need no fuel"}},
    {"cheese", "cheese", false, false, {"soft", "rich", "tasty"}, {"comes from milk", "goes well with bread"}},
    {"the city", "city|cities|street", false, true, {"busy", "loud", "big"}, {"never sleeps", "grows every year"}},
    {"farms", "farm", true, false, {"large", "busy", "green"}, {"feed many people", "need hard work"}},
    {"summer", "summer", false, true, {"hot", "long", "sunny"}, {"brings warm nights", "comes after spring"}},
    {"autumn", "autumn|fall", false, true, {"cool", "golden", "windy"}, {"turns the leaves red", "comes before winter"}},
    {"bridges", "bridge", true, false, {"long", "strong", "old"}, {"cross wide rivers", "join the two sides"}},
    {"clouds", "cloud", true, false, {"white", "soft", "grey"}, {"drift over the hills", "bring the rain"}},
    {"fish", "fish", true, false, {"quick", "silent", "cold"}, {"swim in the lake", "live under water"}},
    {"soup", "soup", false, false, {"hot", "thick", "tasty"}, {"warms the body", "smells of onions"}},
    {"painting", "paint|art", false, false, {"slow", "calm", "creative"}, {"needs a steady hand", "brings color to life"}},
    {"the wind", "wind|breeze", false, false, {"strong", "cold", "wild"}, {"bends the trees", "blows over the fields"}},
    {"stars", "star", true, true, {"bright", "distant", "old"}, {"shine in the dark", "guide the ships"}},
    {"winter", "winter", false, true, {"cold", "dark", "long"}, {"brings snow", "comes after autumn"}},
    {"doctors", "doctor", true, false, {"busy", "careful", "kind"}, {"help sick people", "work long hours"}},
    {"teachers", "teacher", true, false, {"patient", "clever", "kind"}, {"explain hard things", "help children learn"}},
    {"chocolate", "chocolate|cocoa", false, false, {"sweet", "dark", "rich"}, {"melts in the mouth", "makes a good gift"}},
    {"flowers", "flower|rose|bloom", true, false, {"pretty", "bright", "fresh"}, {"smell sweet", "open in the sun"}},
    {"boats", "boat|ship|sail", true, false, {"slow", "small", "wooden"}, {"cross the lake", "rock on the waves"}},
    {"the library", "librar|book", false, false, {"quiet", "large", "bright"}, {"lends many books", "opens early"}},
    {"elephants", "elephant", true, false, {"huge", "grey", "gentle"}, {"have long memories", "drink a lot of water"}},
    {"cooking", "cook|food|meal", false, false, {"fun", "useful", "creative"}, {"takes some time", "fills the house with good smells"}},
    {"islands", "island", true, false, {"small", "sunny", "quiet"}, {"rise out of the sea", "attract many visitors"}},
    {"lemons", "lemon", true, false, {"yellow", "sour", "fresh"}, {"taste sour", "grow in warm places"}},
    {"sheep", "sheep|lamb|wool", true, false, {"calm", "white", "woolly"}, {"give us wool", "eat fresh grass"}},
    {"dancing", "danc", false, false, {"fun", "lively", "healthy"}, {"makes people smile", "needs good music"}},
    {"honey", "honey", false, false, {"sweet", "golden", "sticky"}, {"comes from bees", "tastes good on toast"}},
    {"children", "child|kid", true, false, {"curious", "lively", "young"}, {"like to play", "ask many questions"}},
    {"the market", "market", false, false, {"busy", "loud", "open"}, {"sells fresh fruit", "opens early"}},
    {"spring", "spring", false, true, {"mild", "fresh", "green"}, {"brings new flowers", "wakes the garden"}},
    {"planes", "plane|aircraft|fly|flight", true, false, {"fast", "loud", "modern"}, {"fly above the clouds", "cross the sea"}},
    {"milk", "milk", false, false, {"white", "cold", "fresh"}, {"comes from cows", "makes bones strong"}},
    {"sleep", "sleep", false, true, {"healthy", "deep", "sweet"}, {"rests the body", "clears the mind"}},
    {"lakes", "lake", true, false, {"calm", "deep", "clear"}, {"freeze when it is cold", "mirror the sky"}},
    {"grandparents", "grand", true, false, {"wise", "kind", "old"}, {"tell old stories", "bake good cakes"}},
    {"tomatoes", "tomato", true, false, {"red", "ripe", "juicy"}, {"need a lot of sun", "make a good sauce"}},
    {"the beach", "beach|sand", false, false, {"sandy", "sunny", "wide"}, {"draws many visitors", "smells of salt"}},
    {"pizza", "pizza", false, false, {"hot", "cheesy", "tasty"}, {"comes from Italy", "feeds the whole family"}},
    {"swimming", "swim", false, false, {"healthy", "fun", "hard"}, {"trains the whole body", "cools you down"}},
    {"candles", "candle", true, false, {"warm", "small", "bright"}, {"give soft light", "burn down slowly"}},
    {"owls", "owl", true, false, {"wise", "silent", "brown"}, {"hunt in the dark", "turn their heads"}},
    {"work", "work|job", false, false, {"hard", "useful", "busy"}, {"fills the day", "pays the bills"}},
};
enum { N_TOPICS = sizeof topics / sizeof *topics };

static const struct tail {
    const char *text, *word;
} tails[] = {
    {"in the morning", "morning"},  {"at night", "night"},     {"in the evening", "evening"},
    {"all year", "year"},           {"every day", "day"},      {"in this country", "country"},
    {"near the window", "window"},  {"on holidays", "holidays"}, {"for my family", "family"},
    {"on the road", "road"},        {"in the village", "village"}, {"on Monday", "Monday"},
    {"with a smile", "smile"},      {"after lunch", "lunch"},  {"near my house", "house"},
    {"behind the station", "station"}, {"in my life", "life"}, {"without a doubt", "doubt"},
    {"in the picture", "picture"},  {"at the weekend", "weekend"},
};
enum { N_TAILS = sizeof tails / sizeof *tails };

static const char *const settings[] = {"in summer", "in winter", "at night", "in the morning", "in the north",
                                       "in old times", "on Sundays"};

size_t setting_count(void) {
    return sizeof settings / sizeof *settings;
}

const char *setting_at(size_t i) {
    return settings[i];
}

size_t topic_count(void) {
    return N_TOPICS;
}

const topic *topic_at(size_t i) {
    return &topics[i];
}

const topic *topic_find(const char *about) {
    for (size_t i = 0; i < N_TOPICS; i++)
        if (strcmp(topics[i].about, about) == 0)
            return &topics[i];
    return NULL;
}

size_t tail_count(void) {
    return N_TAILS;
}

const char *tail_at(size_t i) {
    return tails[i].text;
}

const char *tail_word(size_t i) {
    return tails[i].word;
}

void topic_sentence(const topic *t, sentence_style style, const char *tail, rng *r, char *out, size_t size) {
    size_t first = rng_below(r, 3), second = (first + 1 + rng_below(r, 2)) % 3;
    const char *a = t->adjectives[first], *b = t->adjectives[second], *action = t->actions[rng_below(r, 2)];
    const char *is = t->plural ? "are" : "is", *it = t->plural ? "they" : "it";
    size_t form = rng_below(r, 3), drawn = rng_below(r, 6); /* the first tails fit anything */
    const char *where = tail ? tail : tails[drawn].text;
    if (style == STYLE_LONG && form == 0)
        snprintf(out, size, "I like %s because %s %s %s and %s %s", t->about, it, is, a, b, where);
    else if (style == STYLE_LONG)
        snprintf(out, size, "%s %s %s and %s and %s %s %s", t->about, is, a, b, it, action, where);
    else if (form == 0 && !tail)
        snprintf(out, size, "%s %s %s and %s", t->about, is, a, b);
    else if (form == 1)
        snprintf(out, size, "%s %s %s", t->about, action, where);
    else
        snprintf(out, size, "%s %s %s %s", t->about, is, a, where);
    if (out[0] >= 'a' && out[0] <= 'z')
        out[0] = (char)(out[0] - 'a' + 'A');
}
