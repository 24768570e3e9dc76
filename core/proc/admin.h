/* admin.h — the master's unix socket: one line in, one answer out, then it closes.
 *
 *   status        the page as JSON
 *   status text   the page for people
 *   metrics       all figures as Prometheus text
 *   reload        new generation; answers when it is committed or rejected:
 * {"ok":…,"generation":…,"text":…} rollback      back to the previous generation; the same answer
 *   quit, end     graceful or immediate stop; answers at once
 *   reopen        log files
 *
 * The socket's mode is 0600; whoever may connect may do everything here. */
#ifndef PROC_ADMIN_H
#define PROC_ADMIN_H

#include "proc/crew.h"

typedef struct admin admin;

/* NULL when the socket cannot be made (logged): the gateway runs without. */
admin *admin_open(struct master *m);
/* In a child `remove_files` is false. NULL is ignored here and below. */
void admin_close(admin *a, bool remove_files);
/* The configured path may have changed. */
void admin_follow(admin *a);
void admin_on_status(admin *a, const crew_worker *w, const channel_msg *msg);
/* A worker has taken what changed in upstreams. */
void admin_on_told(admin *a, const crew_worker *w, const channel_msg *msg);
void admin_on_gone(admin *a, const crew_worker *w);
void admin_on_swap_done(admin *a);

#endif
