/* Common and unusual nouns, see word_list.h. */
#include "task/word_list.h"

static const char *const common[] = {
    "acorn",  "anchor", "apple",  "arrow",  "baker",  "ball",   "banana", "basket", "beach",  "bear",   "bell",
    "bird",   "boat",   "bottle", "bread",  "bridge", "brush",  "bucket", "butter", "cake",   "camel",  "candle",
    "carpet", "castle", "cat",    "chair",  "cherry", "clock",  "cloud",  "coat",   "coin",   "cow",    "crown",
    "cup",    "desk",   "dog",    "door",   "dragon", "dress",  "drum",   "duck",   "eagle",  "egg",    "elbow",
    "engine", "farmer", "feather", "fence", "finger", "fish",   "flag",   "flower", "forest", "fork",   "fox",
    "frog",   "garden", "gate",   "ghost",  "glass",  "goat",   "grape",  "guitar", "hammer", "hat",    "heart",
    "honey",  "horse",  "house",  "ice",    "island", "jacket", "jar",    "jelly",  "juice",  "kettle", "key",
    "king",   "kite",   "kitten", "kiwi",   "ladder", "lake",   "lamp",   "leaf",   "lemon",  "lion",   "lizard",
    "map",    "market", "melon",  "milk",   "mirror", "monkey", "moon",   "mouse",  "music",  "needle", "nest",
    "night",  "nurse",  "ocean",  "onion",  "orange", "otter",  "owl",    "paint",  "panda",  "paper",  "park",
    "peach",  "pear",   "pencil", "piano",  "pilot",  "plant",  "potato", "queen",  "rabbit", "radio",  "rain",
    "ring",   "river",  "robot",  "rocket", "rose",   "salad",  "salt",   "school", "sheep",  "ship",   "shoe",
    "snow",   "soap",   "spoon",  "star",   "stone",  "sugar",  "sun",    "table",  "tent",   "tiger",  "tomato",
    "tower",  "train",  "tree",   "turtle", "uncle",  "valley", "violin", "wagon",  "water",  "whale",  "wheel",
    "window", "winter", "wolf",   "yard",   "yellow", "zebra",
};

static const char *const unusual[] = {
    "abacus",  "alcove", "bassoon", "bramble",  "cadence",  "cypress", "dirigible", "dulcimer", "ember",
    "ermine",  "falcon", "fjord",   "galleon",  "gargoyle", "hamlet",  "hyacinth",  "ibis",     "ivory",
    "jasper",  "juniper", "kazoo",  "kestrel",  "lantern",  "lichen",  "marmot",    "mosaic",   "nebula",
    "nutmeg",  "obelisk", "orchid", "parchment", "pumice",  "quarry",  "quill",     "raven",    "rhubarb",
    "sextant", "sphinx", "talisman", "trellis", "umbra",    "urchin",  "vellum",    "vortex",   "walrus",
    "wisteria", "xylophone", "yarrow", "zenith", "zephyr",
};

const char *word_list_draw(rng *r, bool rare) {
    return rare ? unusual[rng_below(r, sizeof unusual / sizeof *unusual)]
                : common[rng_below(r, sizeof common / sizeof *common)];
}
