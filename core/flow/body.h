/* body.h — the request body on its way to the upstream (or to a hook): streamed, or held in memory and then in an unlinked temp file. */
#ifndef FLOW_BODY_H
#define FLOW_BODY_H

#include "flow/req.h"

typedef struct body body;

/* For a request whose message has a body. */
body *body_new(req *r);
/* Bytes ready for the uploader, at most `max`: > 0, ERR_AGAIN (the job is woken), ERR_EOF (all given), ERR_BODY_TOO_LARGE, ERR_CLIENT_TIMEOUT, other < 0. */
MUST_USE ssize_t body_read(req *r, bufq *q, size_t max);
/* Takes in everything (memory, then file) before anything is read: 0 complete, ERR_AGAIN, < 0. Legal at any time before body_read gave bytes. */
MUST_USE int body_hold(req *r);
/* As body_hold, but without waiting and within what may be kept in memory: when the body is here as a whole it is held, else it is streamed as before. */
MUST_USE int body_hold_if_here(req *r);
/* Reads away what is here of a body that nobody wants: 0, or what is wrong with its framing. */
MUST_USE int body_discard_here(req *r);
/* After body_hold: total bytes. */
int64_t body_size(const body *b);
/* After body_hold, all in memory (copied to the pool when in several pieces); ERR_LIMIT when larger than max (or in a file and larger). */
MUST_USE int body_text(req *r, size_t max, str *out);
/* Replaces the body (a script). */
void body_replace(req *r, str bytes);
/* Gives `to` a body of the same bytes, all of which are held (body_hold): memory and file are shared, not copied. */
void body_share(const req *r, req *to);
/* Can everything that was read be read again (retries)? True while held or untouched. */
bool body_is_replayable(const body *b);
/* Is it taken in as a whole before it is given away? */
bool body_is_held(const body *b);
/* Was it too large for memory? */
bool body_is_in_file(const body *b);
/* The file it was taken into, which gets a name when it had none; empty: there is no file, or it can have no name. */
str body_file(req *r);
/* Was all of it given, and is that known? A body that streams shows its end with the next read. */
bool body_is_given(const body *b);
/* Starts over from the first byte; only when replayable. */
void body_rewind(body *b);
/* Has the whole body left the client's connection (so that it may carry another request)? */
bool body_is_consumed(const req *r);

#endif
