/* transcode.h — a sink that sends a body through a codec: pieces in, at most one chunk of output held at a time. */
#ifndef FLOW_TRANSCODE_H
#define FLOW_TRANSCODE_H

#include "flow/codec.h"
#include "flow/req.h"

typedef struct transcode transcode;

/* In r->pool; takes the codec. */
transcode *transcode_new(req *r, codec *c);
/* Its sink, in front of `next`. */
sink *transcode_sink(transcode *t, sink *next);
/* Hundredths of how often what came out fits in what went in; 0: nothing came out yet. */
uint64_t transcode_ratio(const transcode *t);

#endif
