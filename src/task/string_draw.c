/* Family "string": the words and sentences its questions are about. */
#include "task/family.h"
#include "task/string_puzzle.h"
#include <stdio.h>
#include <string.h>

/* Common words of 3 to 9 letters. */
static const char *const words[] = {
    "cat", "dog", "sun", "map", "cup", "hat", "pen", "bus", "key", "box", "egg", "ice", "fox", "bag", "bed", "car", "toy",
    "jam", "leg", "net", "owl", "pot", "rug", "sky", "tea", "van", "web", "zoo", "arm", "bee", "cow", "day", "ear", "fan",
    "gas", "ink", "jet", "lip", "mud", "nut", "oak", "pie", "red", "sea", "top", "bird", "fish", "tree", "moon", "star",
    "book", "door", "milk", "rain", "snow", "wind", "hand", "foot", "lamp", "road", "ship", "king", "bell", "cake", "desk",
    "farm", "gold", "hill", "iron", "jump", "kite", "leaf", "nose", "park", "rose", "salt", "tent", "wolf", "yard", "boat",
    "coat", "duck", "face", "gate", "home", "lake", "mind", "neck", "pipe", "ring", "sand", "team", "wall", "apple",
    "bread", "chair", "dance", "eagle", "field", "grape", "horse", "juice", "knife", "lemon", "mouse", "night", "ocean",
    "paper", "queen", "river", "stone", "table", "uncle", "voice", "water", "youth", "zebra", "beach", "cloud", "dream",
    "earth", "flame", "glass", "heart", "light", "music", "nurse", "piano", "smile", "train", "wheel", "plant", "sugar",
    "ant", "axe", "bat", "bow", "can", "cap", "den", "dot", "fig", "fin", "fog", "gem", "gum", "ham", "hen", "hut", "jar",
    "job", "jug", "kid", "lid", "log", "mat", "men", "mix", "mop", "oil", "pan", "paw", "pig", "pin", "ram", "rat", "rib",
    "saw", "six", "tap", "tie", "tub", "wax", "bean", "bark", "barn", "belt", "bone", "bowl", "bulb", "cave", "chin", "clay",
    "corn", "crab", "crow", "dawn", "deer", "dish", "drum", "dust", "fern", "film", "flag", "fork", "frog", "goat", "harp",
    "hawk", "herb", "hook", "horn", "joke", "knee", "lace", "lawn", "lime", "lion", "mask", "meal", "mint", "mole", "nest",
    "oven", "palm", "path", "pear", "plum", "poem", "pond", "port", "raft", "rope", "sail", "seed", "shoe", "silk", "soap",
    "song", "soup", "swan", "tail", "tide", "toad", "town", "vase", "vine", "wave", "wing", "wool", "worm", "actor", "badge",
    "basin", "berry", "brush", "cabin", "camel", "candy", "chalk", "cliff", "coast", "crown", "daisy", "ferry", "fence",
    "ghost", "glove", "honey", "hotel", "igloo", "jewel", "koala", "ladle", "magic", "melon", "novel", "olive", "onion",
    "panda", "peach", "pearl", "petal", "pilot", "porch", "raven", "robin", "sauce", "shelf", "skirt", "snail", "spoon",
    "squid", "straw", "tiger", "torch", "tower", "tulip", "violin", "walrus", "wizard", "basket", "beaver", "butter",
    "button", "camera", "castle", "cherry", "copper", "cotton", "desert", "dragon", "finger", "forest", "helmet", "insect",
    "kettle", "ladder", "lizard", "meadow", "mirror", "museum", "napkin", "pepper", "pillow", "pocket", "potato", "puzzle",
    "ribbon", "rocket", "saddle", "salmon", "shadow", "spider", "statue", "sunset", "tunnel", "turtle", "valley", "velvet",
    "animal", "bottle", "candle", "doctor", "engine", "family", "garden", "hammer", "island", "jacket", "kitten", "letter",
    "market", "needle", "orange", "pencil", "rabbit", "school", "ticket", "window", "yellow", "bridge", "carpet", "dinner",
    "flower", "guitar", "monkey", "planet", "silver", "spring", "summer", "winter", "blanket", "captain", "diamond",
    "evening", "feather", "giraffe", "holiday", "journey", "kitchen", "library", "machine", "picture", "rainbow", "teacher",
    "village", "weather", "banana", "balloon", "cabbage", "mountain", "elephant", "sandwich", "building", "computer",
    "daughter", "football", "hospital", "internet", "language", "magazine", "notebook", "question", "umbrella", "vacation",
    "chocolate", "breakfast", "butterfly", "crocodile", "pineapple", "telephone", "adventure", "classroom", "dangerous",
};
enum { N_WORDS = sizeof words / sizeof *words };

const char *string_word(rng *r, int64_t low, int64_t high) {
    for (;;) {
        const char *word = draw_text(r, words, N_WORDS);
        int64_t n = (int64_t)strlen(word);
        if (n >= low && n <= high)
            return word;
    }
}

void string_sentence(rng *r, int64_t n_words, char *out, size_t size) {
    static const char *const who[] = {"dog", "cat", "teacher", "farmer", "boy", "girl", "doctor", "bird", "horse", "child",
                                      "baker", "nurse", "king", "sailor", "painter", "driver", "singer", "woman"};
    static const char *const how[] = {"old", "young", "happy", "tired", "quiet", "little", "brave", "clever", "hungry"};
    static const char *const does[] = {"sleeps", "waits", "sings", "walks", "works", "smiles", "rests", "sits", "stays",
                                       "plays", "talks", "reads"};
    static const char *const when[] = {"today", "outside", "alone", "again", "here", "slowly", "inside"};
    static const char *const where[] = {"house", "river", "garden", "school", "window", "market", "station", "bridge",
                                        "lake", "forest", "church", "table"};
    static const char *const near[] = {"near", "behind", "by"};
    const char *w = draw_text(r, who, 18), *h = draw_text(r, how, 9), *d = draw_text(r, does, 12),
               *t = draw_text(r, when, 7), *p = draw_text(r, where, 12), *b = draw_text(r, near, 3);
    switch (n_words) {
    case 3:
        snprintf(out, size, "The %s %s.", w, d);
        break;
    case 4:
        snprintf(out, size, "The %s %s %s.", w, d, t);
        break;
    case 5:
        snprintf(out, size, "The %s %s %s %s.", h, w, d, t);
        break;
    case 6:
        snprintf(out, size, "The %s %s %s the %s.", w, d, b, p);
        break;
    default:
        snprintf(out, size, "The %s %s %s %s the %s.", h, w, d, b, p);
    }
    static const char *const starts[] = {"The", "My", "Our", "This", "One", "Every", "That", "Her", "His"};
    char rest[FIELD_MAX];
    snprintf(rest, sizeof rest, "%s", out + 3);
    snprintf(out, size, "%s%s", draw_text(r, starts, 9), rest);
}

