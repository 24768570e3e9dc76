/* reply_file.h — an answer made here whose body is a file: validators, and the body as a slice of an open descriptor. The bytes leave by sendfile on a
 * plain connection; elsewhere they are read in pieces as the client takes them. Reads of regular files block, see docs/decisions. */
#ifndef FLOW_REPLY_FILE_H
#define FLOW_REPLY_FILE_H

#include "flow/req.h"

/* Answers with the file at `path` (NUL-terminated; links in its first `base_n` bytes do not matter), or one beside it in a coding that the client takes. ETag and
 * Last-Modified as the route has it; ranges and conditions are allowed; the media type is the caller's. The jump, REPLY_FILE_FOLDER: it is a folder, or < 0. */
enum { REPLY_FILE_FOLDER = 1 };
MUST_USE int reply_file_answer(req *r, str path, size_t base_n);
/* 405 with Allow. */
MUST_USE int reply_file_not_allowed(req *r);

#endif
