/* var.h — $variables of a request by table: found by name when a template is compiled or a script asks, evaluated lazily. */
#ifndef FLOW_VAR_H
#define FLOW_VAR_H

#include "base/str.h"

struct req;
struct route;
struct conf_site;
typedef struct var var;

struct var {
    str name;
    /* The value (borrowed, valid as long as the request); .p == NULL: absent. `arg`: what follows a family prefix ("http_", "arg_", "cookie_", "sent_http_",
     * "upstream_http_"), else empty. */
    str (*get)(struct req *r, str arg);
    /* Takes another value for the rest of the request; NULL: cannot be set. */
    void (*set)(struct req *r, str value);
    bool family;     /* name is a prefix */
    bool connection; /* the connection is asked */
};

/* *arg gets the rest of a family's name. NULL: unknown. Capture groups "1".."9" are variables too. */
const var *var_find(str name, str *arg);

bool var_known(const struct req *r, str name);
/* The value of any variable, named captures and ":name" parameters of the request's route too; .p == NULL: absent or unknown. */
str var_get(struct req *r, str name);
/* Takes what variables tell about the connection itself (local address, TLS facts) from it, once; getters do so by themselves.
 * var_leave_connection: the connection is about to go; does it if the route's log will ask. */
void var_know_connection(struct req *r);
/* The same for what var_tls.c shows. */
void var_know_facts(struct req *r);
void var_leave_connection(struct req *r);
/* Group `number` of the last regex that matched. */
str var_capture(struct req *r, int number);
/* What a named group of the site's name captured; can the names of a site capture that? */
str var_host_capture(const struct req *r, str name);
bool var_is_host_capture(const struct conf_site *s, str name);
/* The value of the route's ":name" segment with this number; and the number of a name, or -1. */
str var_param(const struct req *r, int number);
int var_param_number(const struct route *rt, str name);

#endif
