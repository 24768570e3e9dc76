/* client_cert.c — see client_cert.h. */
#include "flow/client_cert.h"

#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/req_log.h"
#include "tls/facts.h"

static int refuse(const req *r, int status)
{
    tls_forget_session(r->client.stream);
    return status;
}

int client_cert_judge(req *r)
{
    if (!r->client.stream) {
        return 0;
    }
    str name = tls_server_name(r->client.stream);
    if (name.n && !str_eq(name, r->host)) {
        req_log(r, LOG_INFO_, "client attempted to request the server name different from the one that was negotiated");
        return 421;
    }
    int verify = r->site->c->tls_policy.v[0].verify;
    bool has, no_ca;
    const char *text;
    long why = tls_client_verdict(r->client.stream, &has, &no_ca, &text);
    if (why != 0 && (verify != CONF_TLS_VERIFY_OPTIONAL_NO_CA || !no_ca)) {
        req_log(r, LOG_INFO_, "client SSL certificate verify error: (%ld:%s) while reading client request headers", why, text);
        return refuse(r, 495);
    }
    if (verify == CONF_TLS_VERIFY_ON && !has) {
        req_log(r, LOG_INFO_, "client sent no required SSL certificate while reading client request headers");
        return refuse(r, 496);
    }
    return 0;
}
