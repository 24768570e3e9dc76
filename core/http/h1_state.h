/* h1_state.h — where a reader of HTTP/1 stands between two pieces of input: for h1_parse.h and h1_chunk.h to use, for whoever owns a connection to embed. */
#ifndef HTTP_H1_STATE_H
#define HTTP_H1_STATE_H

#include <stdbool.h>
#include <stdint.h>

/* All zero before a message; zero again after one was parsed or refused. */
typedef struct h1_scan {
    uint32_t at;        /* bytes already searched for the end of the head */
    bool line_seen;     /* the start line was complete and judged */
} h1_scan;

typedef struct h1_chunk {
    uint64_t left;   /* bytes left in the current chunk */
    uint64_t total;  /* body bytes so far */
    uint32_t ext;    /* extension bytes so far in the body: bounded, all chunks together */
    uint16_t trailer; /* trailer bytes seen (bounded by the caller through h1_parse_trailers) */
    uint8_t state;
} h1_chunk;

#endif
