/* recipe.h — what to load, as the command line said it; the same for every generation of a master.
 */
#ifndef PROC_RECIPE_H
#define PROC_RECIPE_H

#include "base/attr.h"

typedef struct recipe {
    const char *share;  /* folder of lua/ and scripts/ */
    const char *path;   /* absolute path of the configuration; NULL with pairs */
    const char *prefix; /* -p, or NULL */
    const char *const *pairs;
    int npairs;
    const char *const *overrides; /* -g */
    int noverrides;
} recipe;

#endif
