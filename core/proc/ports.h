/* ports.h — the listening sockets. The master opens them (as root, before anything is promised) and
 * workers inherit them or get them over the channel; both sides know a socket by the address text
 * of the configuration, so that a generation finds its sockets whatever order they came in.
 *
 * A text that occurs twice in one configuration (only sensible with port 0) is two sockets: keys
 * get "#2", "#3"... */
#ifndef PROC_PORTS_H
#define PROC_PORTS_H

#include "base/str.h"
#include "base/vec.h"

typedef struct port {
    char *key;     /* owned */
    char *address; /* owned: the text as configured, kept for unix paths */
    int fd;
    char shown[128]; /* the real address, for logs and status */
    bool fresh;      /* opened by the swap under way */
    bool wanted;     /* scratch of ports_keep */
} port;

/* How a socket is to be opened. */
struct port_wish {
    int backlog;
    bool v6only;
};

typedef struct ports {
    VEC(port *) all;
} ports;

/* The key of the n-th listener of a list of address texts. */
void ports_key(const str *addresses, int n, char *buf, size_t cap);

void ports_init(ports *p);
/* Closes the descriptors; removes unix socket files when `unlink_files` (the master at its end). */
void ports_fini(ports *p, bool unlink_files);
port *ports_find(const ports *p, const char *key);
/* Master: opens those addresses that are not open yet and marks them fresh. 0, or ERR_* with a text
 * naming the address in err; what was opened by this call is closed again then. */
MUST_USE int ports_open(ports *p, const str *addresses, const struct port_wish *wishes, int n, char *err,
                        size_t errcap);
/* Worker: a socket that came over the channel; takes fd. */
void ports_adopt(ports *p, str key, int fd);
/* Master: a socket of the process that this one takes over from; takes fd. */
struct sockaddr;
void ports_inherit(ports *p, str key, int fd, const struct sockaddr *at, unsigned len);
/* Closes all but those listed; nothing is fresh any more. */
void ports_keep(ports *p, const str *addresses, int n, bool unlink_files);
/* Closes the fresh ones (a swap failed). */
void ports_drop_fresh(ports *p);

#endif
