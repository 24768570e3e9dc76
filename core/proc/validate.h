/* validate.h — the throw-away child: reads the disk once, loads and checks everything as a worker
 * would, and leaves a bundle behind. Whatever the configuration does (loops, eats memory, crashes)
 * happens there. Its diagnostics come back as text. */
#ifndef PROC_VALIDATE_H
#define PROC_VALIDATE_H

#include "net/loop.h"
#include "proc/bundle.h"
#include "proc/recipe.h"

typedef struct validation validation;

/* `b`: the bundle (a reference for the receiver), NULL when the configuration was refused. `text`:
 * diagnostics, borrowed; warnings too. */
typedef void validate_fn(void *arg, bundle *b, str text);

/* In the background; on_done is called once, later. `base` not NULL: only certificate files come
 * from the disk, everything else from it (borrowed until the return). NULL when no child could be
 * made. */
MUST_USE validation *validate_start(loop *l, const recipe *r, bundle *base, validate_fn *on_done,
                                    void *arg);
/* Ends the child; on_done is not called. */
void validate_cancel(validation *v);
/* Waits (the start, -t). `dump`: the child prints the canonical configuration to stdout. */
void validate_now(const recipe *r, bool dump, validate_fn *on_done, void *arg);
/* In a child that keeps the process: drops the parent's side without ending the validation. */
void validate_forget(validation *v);

#endif
