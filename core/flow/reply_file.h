/* reply_file.h — an answer made here whose body is a file: validators, media type, and the body as a slice of an open descriptor. The bytes leave by sendfile on a
 * plain connection; elsewhere they are read in pieces as the client takes them. Reads of regular files block, see docs/decisions. */
#ifndef FLOW_REPLY_FILE_H
#define FLOW_REPLY_FILE_H

#include "flow/req.h"

#include <sys/stat.h>

/* Answers 200 with the file; takes `fd`. ETag and Last-Modified as the route has it; ranges and conditions are allowed. 0 or < 0. */
MUST_USE int reply_file_set(req *r, int fd, const struct stat *st);

#endif
