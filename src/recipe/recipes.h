/* The recipes, a line each: the name users write. Each is the recipe_NAME (recipe_private.h) of a file of its own. */
#ifndef RECIPE_RECIPES_H
#define RECIPE_RECIPES_H

#define RECIPES(X) \
    X(loop)        \
    X(sealed)      \
    X(train)

#endif
