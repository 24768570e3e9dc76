/* codec.c — see codec.h. */
#include "flow/codec.h"

#include "base/err.h"

#include <brotli/encode.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum { GZIP_LEVEL = 5, BROTLI_LEVEL = 4, ZSTD_LEVEL = 3, WINDOW_BITS = 18, SPARE_MAX = 8 };
enum { GZIP_BITS = 15, GZIP_HEADER = 16, GZIP_MEM = 8, GZIP_BITS_MIN = 9 };

struct codec_ops {
    int (*run)(codec *c, struct codec_io *io, enum codec_op op);
    void (*close)(codec *c);
};

struct codec {
    const struct codec_ops *ops;
    codec *next_spare;
    union {
        z_stream z;
        BrotliEncoderState *brotli;
        ZSTD_CCtx *zstd;
    } u;
    int level;
    bool recyclable, between; /* gunzip: between two members */
};

/* Closed states that can begin anew: making one maps and clears a quarter of a megabyte. */
static struct {
    codec *gzip, *zstd;
    int ngzip, nzstd;
} spare;

static codec *take_spare(codec **list, int *n)
{
    codec *c = *list;
    if (c) {
        *list = c->next_spare;
        (*n)--;
    }
    return c;
}

static bool give_spare(codec **list, int *n, codec *c)
{
    if (*n == SPARE_MAX) {
        return false;
    }
    c->next_spare = *list;
    *list = c;
    (*n)++;
    return true;
}

/* -- gzip */

/* zlib's fields are 32 bits wide; pieces are chunks, so nothing is cut in practice. */
static uInt narrow(size_t n)
{
    return n < (1u << 30) ? (uInt)n : 1u << 30;
}

static void z_begin(z_stream *z, const struct codec_io *io)
{
    z->next_in = (Bytef *)(uintptr_t)io->in.p;
    z->avail_in = narrow(io->in.n);
    z->next_out = (Bytef *)io->out + io->out_n;
    z->avail_out = narrow(io->out_cap - io->out_n);
}

static void z_end(const z_stream *z, struct codec_io *io)
{
    io->in = str_from(io->in, (size_t)((const char *)z->next_in - io->in.p));
    io->out_n = (size_t)((char *)z->next_out - io->out);
}

static int gzip_run(codec *c, struct codec_io *io, enum codec_op op)
{
    static const int flush[] = {[CODEC_RUN] = Z_NO_FLUSH, [CODEC_FLUSH] = Z_SYNC_FLUSH, [CODEC_END] = Z_FINISH};
    z_stream *z = &c->u.z;
    z_begin(z, io);
    int rc = deflate(z, flush[op]);
    z_end(z, io);
    if (rc == Z_STREAM_ERROR) {
        return ERR_INVALID;
    }
    if (op == CODEC_END) {
        return rc != Z_STREAM_END;
    }
    return io->in.n > 0 || io->out_n == io->out_cap;
}

static void gzip_close(codec *c)
{
    if (!c->recyclable || deflateReset(&c->u.z) != Z_OK || !give_spare(&spare.gzip, &spare.ngzip, c)) {
        (void)deflateEnd(&c->u.z);
        free(c);
    }
}

static const struct codec_ops gzip_ops = {.run = gzip_run, .close = gzip_close};

/* A small body needs no large window. */
static int bits_for(int64_t size)
{
    int bits = GZIP_BITS;
    while (size >= 0 && bits > GZIP_BITS_MIN && (int64_t)1 << (bits - 1) >= size) {
        bits--;
    }
    return bits;
}

static codec *gzip_new(int level, int64_t size)
{
    level = level < 0 ? GZIP_LEVEL : level;
    codec *c = take_spare(&spare.gzip, &spare.ngzip);
    if (c) {
        if (c->level != level && deflateParams(&c->u.z, level, Z_DEFAULT_STRATEGY) != Z_OK) {
            (void)deflateEnd(&c->u.z);
            free(c);
            return NULL;
        }
        c->level = level;
        return c;
    }
    c = calloc(1, sizeof *c);
    int bits = bits_for(size);
    int mem = bits == GZIP_BITS ? GZIP_MEM : bits - 6 < 1 ? 1 : bits - 6;
    if (!c || deflateInit2(&c->u.z, level, Z_DEFLATED, bits + GZIP_HEADER, mem < GZIP_MEM ? mem : GZIP_MEM, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(c);
        return NULL;
    }
    c->ops = &gzip_ops;
    c->level = level;
    c->recyclable = bits == GZIP_BITS;
    return c;
}

/* Members may follow each other (RFC 1952 §2.2); a cut one is an error at the end. */
static int gunzip_run(codec *c, struct codec_io *io, enum codec_op op)
{
    z_stream *z = &c->u.z;
    for (;;) {
        if (io->in.n == 0 && (c->between || op != CODEC_END)) {
            return 0;
        }
        if (io->out_n == io->out_cap) {
            return 1;
        }
        z_begin(z, io);
        c->between = false;
        int rc = inflate(z, Z_SYNC_FLUSH);
        z_end(z, io);
        if (rc == Z_STREAM_END) {
            c->between = true;
            if (inflateReset(z) != Z_OK) {
                return ERR_INVALID;
            }
        } else if (rc == Z_BUF_ERROR) {
            return op == CODEC_END && io->out_n < io->out_cap ? ERR_INVALID : io->out_n == io->out_cap;
        } else if (rc != Z_OK) {
            return ERR_INVALID;
        }
    }
}

static void gunzip_close(codec *c)
{
    (void)inflateEnd(&c->u.z);
    free(c);
}

static const struct codec_ops gunzip_ops = {.run = gunzip_run, .close = gunzip_close};

codec *codec_new_gunzip(void)
{
    codec *c = calloc(1, sizeof *c);
    if (!c || inflateInit2(&c->u.z, GZIP_BITS + GZIP_HEADER) != Z_OK) {
        free(c);
        return NULL;
    }
    c->ops = &gunzip_ops;
    c->between = true;
    return c;
}

/* -- brotli */

static int brotli_run(codec *c, struct codec_io *io, enum codec_op op)
{
    static const BrotliEncoderOperation ops[] = {
        [CODEC_RUN] = BROTLI_OPERATION_PROCESS, [CODEC_FLUSH] = BROTLI_OPERATION_FLUSH, [CODEC_END] = BROTLI_OPERATION_FINISH};
    BrotliEncoderState *b = c->u.brotli;
    size_t in_n = io->in.n, room = io->out_cap - io->out_n;
    const uint8_t *in = (const uint8_t *)io->in.p;
    uint8_t *out = (uint8_t *)io->out + io->out_n;
    if (!BrotliEncoderCompressStream(b, ops[op], &in_n, &in, &room, &out, NULL)) {
        return ERR_MEM;
    }
    io->in = str_from(io->in, io->in.n - in_n);
    io->out_n = io->out_cap - room;
    if (op == CODEC_END) {
        return !BrotliEncoderIsFinished(b);
    }
    return in_n > 0 || BrotliEncoderHasMoreOutput(b);
}

static void brotli_close(codec *c)
{
    BrotliEncoderDestroyInstance(c->u.brotli);
    free(c);
}

static const struct codec_ops brotli_ops = {.run = brotli_run, .close = brotli_close};

static codec *brotli_new(int level, int64_t size)
{
    codec *c = calloc(1, sizeof *c);
    BrotliEncoderState *b = c ? BrotliEncoderCreateInstance(NULL, NULL, NULL) : NULL;
    if (!b) {
        free(c);
        return NULL;
    }
    uint32_t quality = (uint32_t)(level < 0 ? BROTLI_LEVEL : level);
    (void)BrotliEncoderSetParameter(b, BROTLI_PARAM_QUALITY, quality);
    (void)BrotliEncoderSetParameter(b, BROTLI_PARAM_LGWIN, WINDOW_BITS);
    if (size >= 0 && size < (1 << 30)) {
        (void)BrotliEncoderSetParameter(b, BROTLI_PARAM_SIZE_HINT, (uint32_t)size);
    }
    c->ops = &brotli_ops;
    c->u.brotli = b;
    return c;
}

/* -- zstd */

static int zstd_run(codec *c, struct codec_io *io, enum codec_op op)
{
    static const ZSTD_EndDirective ops[] = {[CODEC_RUN] = ZSTD_e_continue, [CODEC_FLUSH] = ZSTD_e_flush, [CODEC_END] = ZSTD_e_end};
    ZSTD_inBuffer in = {io->in.p, io->in.n, 0};
    ZSTD_outBuffer out = {io->out, io->out_cap, io->out_n};
    size_t left = ZSTD_compressStream2(c->u.zstd, &out, &in, ops[op]);
    if (ZSTD_isError(left)) {
        return ERR_MEM;
    }
    io->in = str_from(io->in, in.pos);
    io->out_n = out.pos;
    return op == CODEC_RUN ? in.pos < in.size : left > 0;
}

static void zstd_close(codec *c)
{
    if (ZSTD_isError(ZSTD_CCtx_reset(c->u.zstd, ZSTD_reset_session_and_parameters)) || !give_spare(&spare.zstd, &spare.nzstd, c)) {
        (void)ZSTD_freeCCtx(c->u.zstd);
        free(c);
    }
}

static const struct codec_ops zstd_ops = {.run = zstd_run, .close = zstd_close};

static codec *zstd_new(int level)
{
    codec *c = take_spare(&spare.zstd, &spare.nzstd);
    if (!c) {
        c = calloc(1, sizeof *c);
        ZSTD_CCtx *z = c ? ZSTD_createCCtx() : NULL;
        if (!z) {
            free(c);
            return NULL;
        }
        c->u.zstd = z;
        c->ops = &zstd_ops;
    }
    (void)ZSTD_CCtx_setParameter(c->u.zstd, ZSTD_c_compressionLevel, level < 0 ? ZSTD_LEVEL : level);
    (void)ZSTD_CCtx_setParameter(c->u.zstd, ZSTD_c_windowLog, WINDOW_BITS);
    return c;
}

codec *codec_new(enum coding c, int level, int64_t size)
{
    switch (c) {
    case CODING_GZIP:
        return gzip_new(level, size);
    case CODING_BR:
        return brotli_new(level, size);
    case CODING_ZSTD:
        return zstd_new(level);
    case CODING_IDENTITY:
    case CODING_COUNT:
        break;
    }
    return NULL;
}

void codec_free(codec *c)
{
    if (c) {
        c->ops->close(c);
    }
}

int codec_run(codec *c, struct codec_io *io, enum codec_op op)
{
    return c->ops->run(c, io, op);
}
