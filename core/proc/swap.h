/* swap.h — from one generation to the next without losing a request: validate in a child, prepare
 * in every worker, commit in all or discard in all.
 *
 * One swap at a time; a request that comes meanwhile runs one more afterwards. Every phase has a
 * deadline. Until the commit begins nothing has changed and any failure discards; once it has begun
 * the new generation is the committed one, and a worker that does not follow is replaced by one
 * that starts on it. */
#ifndef PROC_SWAP_H
#define PROC_SWAP_H

#include "proc/crew.h"
#include "proc/priv.h"
#include "proc/summary.h"
#include "proc/validate.h"

struct master;

enum swap_state { SWAP_IDLE, SWAP_VALIDATE, SWAP_PREPARE, SWAP_COMMIT };

/* Why: asked for; a file changed (the same content is no swap); a certificate changed (everything
 * else is taken from the running generation, so that a half-edited configuration is not pulled in
 * by a renewal). */
enum swap_mode { SWAP_ALWAYS, SWAP_IF_CHANGED, SWAP_CERTS };

typedef struct swap {
    struct master *m;
    enum swap_state state;
    validation *validation;
    bundle *next; /* reference */
    uint64_t number;
    summary sum; /* of next */
    priv ids;
    bool back; /* to the previous generation */
    enum swap_mode mode;
    bool again;
    enum swap_mode again_mode;
    uint64_t ticket; /* of the swap under way, or of the last one */
    int64_t started_ms;
    struct swap_result {
        uint64_t ticket;
        bool ok;
        char text[8192];
    } last;
    timer deadline;
    job start_again;
} swap;

void swap_init(swap *s, struct master *m);
/* Abandons what is under way. `in_child`: the validation belongs to the parent. */
void swap_fini(swap *s, bool in_child);
/* Returns the ticket of the swap that will have seen the files as they are now; master_on_swap_done
 * names it. */
uint64_t swap_reload(swap *s, enum swap_mode mode);
/* Back to the previous generation. 0: not possible, with a text in err. */
uint64_t swap_rollback(swap *s, char *err, size_t errcap);
const char *swap_state_name(enum swap_state state);

/* From master. */
void swap_on_msg(swap *s, crew_worker *w, const channel_msg *m);
void swap_on_gone(swap *s, const crew_worker *w);
void swap_on_spawned(swap *s, crew_worker *w);

#endif
