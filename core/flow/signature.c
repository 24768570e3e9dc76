/* signature.c — see signature.h. */
#include "flow/signature.h"

#include "base/version.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/req.h"
#include "http/date.h"
#include "http/status.h"

#include <stdio.h>

enum { PAGE_MAX = 512, SIGNATURES = 4 };

static const str names[SIGNATURES] = {
    [CONF_SIGNATURE_MOONGATE] = {"moongate", sizeof "moongate" - 1},
    [CONF_SIGNATURE_NGINX] = {"nginx", sizeof "nginx" - 1},
    [CONF_SIGNATURE_NGINX_VERSION] = {"nginx/" MG_NGINX_VERSION, sizeof("nginx/" MG_NGINX_VERSION) - 1},
    [CONF_SIGNATURE_NGINX_BUILD] = {"nginx/" MG_NGINX_VERSION " (moongate/" MG_VERSION ")",
                                    sizeof("nginx/" MG_NGINX_VERSION " (moongate/" MG_VERSION ")") - 1},
};

/* Filled on first use per status; a page is static from then on. */
static struct {
    char text[PAGE_MAX];
    uint16_t n, status;
} pages[SIGNATURES][128];

static unsigned signature_of(const req *r)
{
    return r->route ? (unsigned)r->route->c->signature : CONF_SIGNATURE_MOONGATE;
}

/* Where nginx's words are not the registered ones. */
static str nginx_reason(int status)
{
    switch (status) {
    case 302:
        return STR("Moved Temporarily");
    case 405:
        return STR("Not Allowed");
    case 408:
        return STR("Request Time-out");
    case 413:
        return STR("Request Entity Too Large");
    case 414:
        return STR("Request-URI Too Large");
    case 416:
        return STR("Requested Range Not Satisfiable");
    case 503:
        return STR("Service Temporarily Unavailable");
    case 504:
        return STR("Gateway Time-out");
    default:
        return STR_EMPTY;
    }
}

int signature_put(req *r)
{
    headers *h = &r->res.h;
    unsigned signature = signature_of(r);
    if (r->has_reply && !r->res.reason.n && signature != CONF_SIGNATURE_MOONGATE) {
        r->res.reason = nginx_reason(r->res.status);
    }
    int rc = 0;
    if (r->plan->conf->g.server_header && !(headers_may_have(h, TOKEN_SERVER) && headers_find(h, TOKEN_SERVER))) {
        rc = headers_put_token(h, TOKEN_SERVER, names[signature]);
    }
    if (rc == 0 && !(UNLIKELY(headers_may_have(h, TOKEN_DATE)) && headers_find(h, TOKEN_DATE))) {
        rc = headers_put_token(h, TOKEN_DATE, date_now());
    }
    return rc;
}

static str native_title(int status)
{
    return status == 495 ? STR("Client Certificate Not Accepted") : status == 496 ? STR("Client Certificate Required") : status_reason(status);
}

/* The title of an error page, which is not always the status line. */
static str title_of(unsigned signature, int *status)
{
    int asked = *status;
    *status = asked >= 494 && asked <= 497 ? 400 : asked;
    if (signature == CONF_SIGNATURE_MOONGATE) {
        return native_title(asked);
    }
    switch (asked) {
    case 302:
        return STR("Found");
    case 401:
        return STR("Authorization Required");
    case 494:
        return STR("Request Header Or Cookie Too Large");
    case 495:
        return STR("The SSL certificate error");
    case 496:
        return STR("No required SSL certificate was sent");
    case 497:
        return STR("The plain HTTP request was sent to HTTPS port");
    default:
        return nginx_reason(asked).n ? nginx_reason(asked) : status_reason(asked);
    }
}

str signature_page(const req *r, int status)
{
    unsigned signature = signature_of(r);
    size_t i = (size_t)status % ARRAY_LEN(pages[0]);
    if (pages[signature][i].status != status) {
        int shown = status;
        str title = title_of(signature, &shown);
        int n = snprintf(pages[signature][i].text, PAGE_MAX,
                         "<html>\r\n<head><title>%d %.*s</title></head>\r\n<body>\r\n<center><h1>%d %.*s</h1></center>\r\n"
                         "<hr><center>%.*s</center>\r\n</body>\r\n</html>\r\n",
                         shown, STR_ARG(title), shown, STR_ARG(title), STR_ARG(names[signature]));
        pages[signature][i].n = (uint16_t)(n < PAGE_MAX ? n : PAGE_MAX - 1);
        pages[signature][i].status = (uint16_t)status;
    }
    return str_of(pages[signature][i].text, pages[signature][i].n);
}
