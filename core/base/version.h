/* version.h — the version of the program. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define MG_VERSION "0.1.0"

/* The nginx whose behaviour the nginx dialect has. */
#define MG_NGINX_VERSION "1.31.5"

#endif
