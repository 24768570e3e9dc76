/* links.h — opening a file with the route's rule about symbolic links. */
#ifndef FLOW_LINKS_H
#define FLOW_LINKS_H

#include "base/str.h"

typedef struct req req;

struct stat;

/* A descriptor for reading that never blocked, or -1 with errno: ELOOP, EXDEV: a link that the rule does not allow. `path` is NUL-terminated and begins with the
 * part whose own links do not matter (`base_n` bytes). */
int links_open(const req *r, str path, size_t base_n);
/* stat() under the same rule. */
int links_stat(const req *r, str path, size_t base_n, struct stat *st);

#endif
