/* changes.h — what operators changed in upstreams while the gateway runs: servers that were added, put down, drained, brought up, given another weight.
 *
 * The master keeps the list and its file (proc/upstreams.c); workers get a copy and let it win over their configuration (group_set_change). As text, which is the file
 * and what travels to the workers, a server is a line:
 *
 *   # moongate upstreams 1
 *   app 127.0.0.1:3000 drain
 *   app 127.0.0.1:3002 added weight=2 max_conns=100 backup
 *   end 2
 *
 * The last line says how many there are: half a file is not taken for a whole one. */
#ifndef BACK_CHANGES_H
#define BACK_CHANGES_H

#include "base/str.h"
#include "base/vec.h"

#include <stdio.h>

enum change_state { CHANGE_NONE, CHANGE_UP, CHANGE_DOWN, CHANGE_DRAIN };

enum {
    CHANGES_MAX = 4096,     /* lines */
    CHANGES_ADDED_MAX = 64, /* servers added to one upstream */
    CHANGE_TEXT_MAX = 255,  /* of a name or an address */
    CHANGES_BYTES_MAX = 4 * 1024 * 1024,
    CHANGE_WEIGHT_MAX = 65535,
};

typedef struct change {
    char *upstream, *server; /* owned; as configured, or the address of a peer */
    bool added, backup;
    enum change_state state;
    int weight;    /* 0: as configured */
    int max_conns; /* of added ones */
} change;

typedef struct changes {
    VEC(change) all;
} changes;

void changes_fini(changes *c);
/* NULL: none. Borrowed until the list changes. */
change *changes_find(const changes *c, str upstream, str server);
/* A new one, without any change yet. NULL: there are CHANGES_MAX. */
MUST_USE change *changes_put(changes *c, str upstream, str server);
void changes_remove(changes *c, change *one);
/* It says nothing (any more). */
bool change_is_empty(const change *one);
uint32_t changes_count_added(const changes *c, str upstream);
/* Of a whole text. 0, or ERR_INVALID with "line N: …" in err; *out is initialised by it and holds nothing then. */
MUST_USE int changes_parse(str text, changes *out, char *err, size_t cap);
void changes_write(const changes *c, FILE *f);
const char *change_state_name(enum change_state s);
/* "weight=2", "max_conns=10", "backup", "up", "down", "drain". 0, or ERR_INVALID with a text in err. */
MUST_USE int change_parse_word(change *one, str word, char *err, size_t cap);
/* May a text be an upstream or a server here: neither empty, too long, nor with blanks. */
bool changes_is_word(str text);

#endif
