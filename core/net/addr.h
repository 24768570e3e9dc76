/* addr.h — socket addresses: IPv4, IPv6, unix. Parse, print, compare, CIDR match. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include "base/str.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

typedef struct addr {
    socklen_t len; /* 0: none */
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        char room[28];
    };
    const char *unix_path; /* AF_UNIX: borrowed from the configuration, NUL-terminated; else NULL */
} addr;

enum { ADDR_TEXT_MAX = 64 };

/* "1.2.3.4", "1.2.3.4:80", "[::1]:80", "::1", "unix:/path". A name is ERR_INVALID. `default_port` when the text has none. */
MUST_USE int addr_parse(str text, uint16_t default_port, addr *out);
/* "1.2.3.4:80" / "[::1]:80" / "unix:/path"; returns the length. */
size_t addr_print(const addr *a, char *buf, size_t cap);
/* Without the port: "1.2.3.4", "::1", "unix:". */
size_t addr_print_ip(const addr *a, char *buf, size_t cap);
uint16_t addr_port(const addr *a);
void addr_set_port(addr *a, uint16_t port);
bool addr_eq(const addr *a, const addr *b);
/* Fills a sockaddr for a system call; unix paths too. */
socklen_t addr_to_sockaddr(const addr *a, struct sockaddr_storage *ss);
void addr_from_sockaddr(addr *a, const struct sockaddr *sa, socklen_t len);

/* A network in CIDR form; IPv4 ones match v4-mapped addresses too. */
typedef struct cidr {
    uint8_t family; /* 4 or 6; 0: matches unix sockets ("unix:") */
    uint8_t bits;
    uint8_t net[16];
} cidr;
MUST_USE int cidr_parse(str text, cidr *out);
bool cidr_has(const cidr *c, const addr *a);

#endif
