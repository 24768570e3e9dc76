/* codec.h — compression libraries behind one streaming interface; the only place that knows them. State is bounded: gzip 270 KiB, brotli and zstd with windows of
 * 256 KiB about 1 MiB; gzip and zstd states are recycled. */
#ifndef FLOW_CODEC_H
#define FLOW_CODEC_H

#include "base/attr.h"
#include "http/coding.h"

#include <stdint.h>

typedef struct codec codec;

enum codec_op { CODEC_RUN, CODEC_FLUSH, CODEC_END };

/* `in` shrinks by what was taken, `out_n` grows by what was written. */
struct codec_io {
    str in;
    char *out;
    size_t out_n, out_cap;
};

/* level < 0: the coding's usual one. size: bytes that will come, -1: unknown. NULL: out of memory. */
MUST_USE codec *codec_new(enum coding c, int level, int64_t size);
/* The way back, gzip only. */
MUST_USE codec *codec_new_gunzip(void);
void codec_free(codec *c);
/* 0: all of `in` was taken and the op is complete; 1: more room is needed, call again with the same op; ERR_INVALID (decoding: not gzip), ERR_MEM. */
MUST_USE int codec_run(codec *c, struct codec_io *io, enum codec_op op);

#endif
