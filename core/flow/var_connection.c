/* var_connection.c — variables of the connection itself and of what the client asked it for. */
#include "base/clock.h"
#include "base/log.h"
#include "flow/filter_rate.h"
#include "flow/req_log.h"
#include "flow/var_impl.h"
#include "net/stream.h"

#include <netinet/tcp.h>

/* The port that the client named: in the target, else in Host. */
str var_get_request_port(req *r, str arg)
{
    (void)arg;
    return r->port ? var_number(r, r->port) : STR_EMPTY;
}

str var_get_is_request_port(req *r, str arg)
{
    (void)arg;
    return r->port ? STR(":") : STR_EMPTY;
}

str var_get_connection_time(req *r, str arg)
{
    (void)arg;
    char *buf = pool_alloc(&r->pool, 24);
    fmt f = fmt_of(buf, 24);
    fmt_milli(&f, clock_ms() - r->client.opened_ms);
    return fmt_str(&f);
}

/* ---- what the kernel knows of it */

static bool tcp_facts(const req *r, struct tcp_info *ti)
{
    socklen_t n = sizeof *ti;
    const stream *s = r->proto ? r->client.stream : NULL;
    return s && stream_is_open(s) && getsockopt(s->fd, IPPROTO_TCP, TCP_INFO, ti, &n) == 0;
}

str var_get_tcpinfo_rtt(req *r, str arg)
{
    (void)arg;
    struct tcp_info ti;
    return tcp_facts(r, &ti) ? var_number(r, ti.tcpi_rtt) : VAR_ABSENT;
}

str var_get_tcpinfo_rttvar(req *r, str arg)
{
    (void)arg;
    struct tcp_info ti;
    return tcp_facts(r, &ti) ? var_number(r, ti.tcpi_rttvar) : VAR_ABSENT;
}

str var_get_tcpinfo_snd_cwnd(req *r, str arg)
{
    (void)arg;
    struct tcp_info ti;
    return tcp_facts(r, &ti) ? var_number(r, ti.tcpi_snd_cwnd) : VAR_ABSENT;
}

str var_get_tcpinfo_rcv_space(req *r, str arg)
{
    (void)arg;
    struct tcp_info ti;
    return tcp_facts(r, &ti) ? var_number(r, ti.tcpi_rcv_space) : VAR_ABSENT;
}

/* ---- the rate of the answer */

str var_get_limit_rate(req *r, str arg)
{
    (void)arg;
    return var_number(r, (uint64_t)rate_now(r));
}

void var_set_limit_rate(req *r, str value)
{
    int64_t rate = rate_parse(value);
    if (rate < 0) {
        req_log(r, LOG_ERROR_, "invalid $limit_rate \"%.*s\"", STR_ARG(value));
        return;
    }
    rate_say(r, rate);
}
