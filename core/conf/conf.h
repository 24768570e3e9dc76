/* conf.h — the native configuration model: plain data, frozen after build, owned by a generation's pool. No behaviour.
 *
 * Bodies come from fields.def. Sizes are bytes, times milliseconds. Strings live in the conf's pool (NUL-terminated). References between objects are
 * indexes into the gateway's arrays (route.upstream, listen.sites) or, for site.fallback, the site's own. */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "base/pool.h"
#include "base/str.h"

struct conf_strs {
    str *v;
    int n;
};

struct conf_ints {
    int *v;
    int n;
};

/* table: the object kinds */
#define CONF_OBJECTS(X) X(errorpage) X(rewriteop) X(uservar) X(varentry) X(matcher) X(headerop) X(cert) X(tlspolicy) X(route) X(site) X(peer) X(upstream) X(listen) X(dict) X(log) X(zone) X(limit) X(rule) X(assign) X(guard) X(errlog) X(resolver) X(mime) X(charmap) X(charset) X(secure) X(addition) X(replacepair) X(replace) X(text) X(redirect) X(cookieop) X(tlsclient) X(exchange) X(gateway)

enum conf_kind {
#define X(kind) CONF_KIND_##kind,
    CONF_OBJECTS(X)
#undef X
    CONF_KIND_COUNT
};

#define X(kind)                                                                                    \
    struct conf_##kind;                                                                            \
    struct conf_##kind##s {                                                                        \
        struct conf_##kind *v;                                                                     \
        int n;                                                                                     \
    };
CONF_OBJECTS(X)
#undef X

#define CONF_C_BOOL(name, arg) bool name;
#define CONF_C_INT(name, arg) int64_t name;
#define CONF_C_MS(name, arg) int64_t name;
#define CONF_C_SIZE(name, arg) int64_t name;
#define CONF_C_STR(name, arg) str name;
#define CONF_C_TMPL(name, arg) str name;
#define CONF_C_ENUM(name, arg) int name;
#define CONF_C_STRS(name, arg) struct conf_strs name;
#define CONF_C_REF(name, arg) int name;
#define CONF_C_REFS(name, arg) struct conf_ints name;
#define CONF_C_OBJS(name, arg) struct conf_##arg##s name;

#include "conf/fields_gen.h"

enum conf_match { CONF_MATCH_EXACT, CONF_MATCH_PREFIX, CONF_MATCH_SEGMENTS, CONF_MATCH_REGEX, CONF_MATCH_NAMED, CONF_MATCH_INNER };
enum conf_signature { CONF_SIGNATURE_MOONGATE, CONF_SIGNATURE_NGINX, CONF_SIGNATURE_NGINX_VERSION, CONF_SIGNATURE_NGINX_BUILD };
enum conf_lingering { CONF_LINGERING_ON, CONF_LINGERING_ALWAYS, CONF_LINGERING_OFF };
enum conf_site_match { CONF_SITE_MATCH_SPECIFIC, CONF_SITE_MATCH_NGINX };
enum conf_log_escape { CONF_LOG_ESCAPE_DEFAULT, CONF_LOG_ESCAPE_JSON, CONF_LOG_ESCAPE_NONE };
enum conf_tls_cache { CONF_TLS_CACHE_OFF, CONF_TLS_CACHE_NONE, CONF_TLS_CACHE_BUILTIN, CONF_TLS_CACHE_SHARED };
enum conf_tls_verify { CONF_TLS_VERIFY_OFF, CONF_TLS_VERIFY_OPTIONAL, CONF_TLS_VERIFY_ON, CONF_TLS_VERIFY_OPTIONAL_NO_CA };
enum conf_manners { CONF_MANNERS_NATIVE, CONF_MANNERS_NGINX };
enum conf_action { CONF_ACTION_NONE, CONF_ACTION_PROXY, CONF_ACTION_REPLY, CONF_ACTION_FILE };
enum conf_http2_excess { CONF_HTTP2_EXCESS_ANSWER, CONF_HTTP2_EXCESS_GOAWAY };
enum conf_upstream_http { CONF_HTTP_1_0, CONF_HTTP_1_1, CONF_HTTP_2 };
enum conf_balance { CONF_BALANCE_RR, CONF_BALANCE_LEAST, CONF_BALANCE_P2C, CONF_BALANCE_HASH, CONF_BALANCE_TIME, CONF_BALANCE_RANDOM, CONF_BALANCE_IP_HASH, CONF_BALANCE_HASH_MOD, CONF_BALANCE_HASH_RING };
enum conf_balance_by { CONF_BY_CONNS, CONF_BY_HEADER, CONF_BY_LAST_BYTE };
enum conf_check { CONF_CHECK_OFF, CONF_CHECK_HTTP, CONF_CHECK_TCP, CONF_CHECK_GRPC };
enum conf_passive { CONF_PASSIVE_WINDOWS, CONF_PASSIVE_NGINX };
enum conf_zone_kind { CONF_ZONE_RATE, CONF_ZONE_CONN, CONF_ZONE_PEERS };
enum conf_satisfy { CONF_SATISFY_ALL, CONF_SATISFY_ANY };
enum conf_headerop_op { CONF_HEADER_SET, CONF_HEADER_ADD, CONF_HEADER_REMOVE, CONF_HEADER_DEFAULT, CONF_HEADER_REPLACE };
enum conf_compress { CONF_COMPRESS_OFF, CONF_COMPRESS_ON, CONF_COMPRESS_CLASSIC };
enum conf_precompressed { CONF_PRECOMPRESSED_OFF, CONF_PRECOMPRESSED_ON, CONF_PRECOMPRESSED_ALWAYS };
enum conf_links { CONF_LINKS_FOLLOW, CONF_LINKS_INSIDE, CONF_LINKS_NONE, CONF_LINKS_OWNER };
enum conf_cookieop_part { CONF_COOKIE_DOMAIN, CONF_COOKIE_PATH, CONF_COOKIE_FLAGS };
enum conf_body_in_file { CONF_BODY_FILE_OFF, CONF_BODY_FILE_CLEAN, CONF_BODY_FILE_ON };
enum conf_var_kind { CONF_VAR_SET, CONF_VAR_CAPTURE, CONF_VAR_MAP, CONF_VAR_GEO, CONF_VAR_SPLIT };
enum conf_rewrite { CONF_REWRITE_SET, CONF_REWRITE_IF, CONF_REWRITE_REWRITE, CONF_REWRITE_RETURN, CONF_REWRITE_BREAK };
enum conf_test { CONF_TEST_TRUE, CONF_TEST_EQUAL, CONF_TEST_MATCH, CONF_TEST_FILE, CONF_TEST_DIR, CONF_TEST_EXISTS, CONF_TEST_EXEC };
enum conf_rewrite_flag { CONF_FLAG_NONE, CONF_FLAG_LAST, CONF_FLAG_BREAK, CONF_FLAG_REDIRECT };
enum conf_phase { PHASE_REWRITE, PHASE_ACCESS, PHASE_BALANCE, PHASE_HEADER, PHASE_BODY, PHASE_LOG, PHASE_COUNT };

typedef struct conf {
    pool pool; /* owns every byte below */
    struct conf_gateway g;
} conf;

conf *conf_new(void);
void conf_free(conf *c);

#endif
