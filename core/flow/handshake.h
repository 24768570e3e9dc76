/* handshake.h — certificates whose names have variables: they are chosen while a client shakes hands, by a request that nobody made. */
#ifndef FLOW_HANDSHAKE_H
#define FLOW_HANDSHAKE_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct plan plan;
typedef struct plan_listen plan_listen;
typedef struct req req;
typedef struct site site;
typedef struct stream stream;
struct conf_site;

/* Tells a request whose connection this stream is; filled by front. */
extern void (*handshake_introduce)(stream *s, req *r);

/* Does a site have such certificates? */
bool handshake_chooses(const struct conf_site *c);
/* What tls_server_certify wants as `arg` for handshake_certify; in the plan's pool. NULL with a text in err. */
MUST_USE void *handshake_new(plan *p, const plan_listen *l, const site *s, char *err, size_t errcap);
bool handshake_certify(void *arg, stream *s);

#endif
