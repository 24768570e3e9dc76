/* vault.h — certificates and keys by name, for handshakes that choose theirs: read from disk when they are needed, kept for a while if the configuration says so.
 * A name is a file's, below `folder` unless it is absolute, or "data:" and PEM. */
#ifndef TLS_VAULT_H
#define TLS_VAULT_H

#include "base/str.h"

typedef struct stream stream;
typedef struct tls_vault tls_vault;

struct tls_vault_args {
    str folder;
    int64_t max;         /* files that are kept, chains and keys counted alike; 0: none */
    int64_t inactive_ms; /* forgotten when nobody asked for so long */
    int64_t valid_ms;    /* taken as it is; after that the file is looked at */
    const str *passwords; /* of encrypted keys, which are never kept; borrowed */
    int npasswords;
};

tls_vault *tls_vault_new(const struct tls_vault_args *a);
void tls_vault_free(tls_vault *v);
/* The PEM bytes of a name: a copy for the caller to free. 0, or ERR_NOT_FOUND, ERR_IO with a text in err. */
MUST_USE int tls_vault_bytes(tls_vault *v, str name, bool is_key, str *out, char *err, size_t errcap);
/* The pair is read anew the next time. */
void tls_vault_forget(tls_vault *v, str cert, str key);
/* Loads the pair into the handshake that is under way, beside pairs of other key types. 0, or < 0 with a text in err. */
MUST_USE int tls_vault_present(tls_vault *v, stream *s, str cert, str key, char *err, size_t errcap);

#endif
