/* links.h — opening a file with the route's rule about symbolic links. */
#ifndef FLOW_LINKS_H
#define FLOW_LINKS_H

#include "base/str.h"

typedef struct req req;

/* A descriptor for reading that never blocked, or -1 with errno: ELOOP, EXDEV: a link that the rule does not allow. `path` is NUL-terminated and begins with the
 * route's root (`root_n` bytes): the part that the rule is about. */
int links_open(const req *r, str path, size_t root_n);

#endif
