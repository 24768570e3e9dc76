/* place.h — where the admin socket of a gateway is, so that `moongate status -c FILE` finds it
 * without reading the configuration (which may be broken just when one needs it).
 *
 * A configuration has one default place: <runtime folder>/<first 16 digits of SHA-256 of its
 * absolute path>.sock, the folder being $MOONGATE_RUN, /run/moongate for root, else
 * $XDG_RUNTIME_DIR/moongate or /tmp/moongate-<uid>. When the configuration names a socket of its
 * own, the default place is a symbolic link to it. */
#ifndef PROC_PLACE_H
#define PROC_PLACE_H

#include "proc/recipe.h"

#include <stddef.h>

enum { PLACE_MAX = 100 /* fits sun_path */ };

/* 0; ERR_INVALID: the folder's name is too long. */
MUST_USE int place_of(const recipe *r, char *buf, size_t cap);
/* Where a configuration keeps its state when it does not say: <state folder>/<the same digits>.upstreams, the folder being $MOONGATE_STATE, systemd's $STATE_DIRECTORY,
 * /var/lib/moongate for root, else $XDG_STATE_HOME/moongate or ~/.local/state/moongate. 0; ERR_INVALID: there is none, or its name is too long. */
MUST_USE int place_of_state(const recipe *r, char *buf, size_t cap);
/* Makes the folders above a file (0700), as far as they are missing and can be made: whether they are there is found by whoever opens the file. */
void place_make_above(const char *path);
/* Makes the folder (0700 unless root's). 0 or ERR_*: it cannot be made or belongs to somebody else.
 */
MUST_USE int place_make_folder(void);
/* The only live socket in the folder, for commands without -c: 0; ERR_NOT_FOUND; ERR_LIMIT:
 * several. */
MUST_USE int place_find_only(char *buf, size_t cap);

#endif
