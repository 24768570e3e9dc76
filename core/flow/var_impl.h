/* var_impl.h — the getters of var.def and what they share; for var*.c and the access log. */
#ifndef FLOW_VAR_IMPL_H
#define FLOW_VAR_IMPL_H

#include "base/fmt.h"
#include "flow/req.h"

#define V(name, getter) str var_get_##getter(req *r, str arg);
#define P(prefix, getter) V(prefix, getter)
#define W(name, getter)                                                                            \
    V(name, getter)                                                                                \
    void var_set_##getter(req *r, str value);
#include "flow/var.def"

#define VAR_ABSENT ((str){NULL, 0})

/* A number's text in the request's pool. */
str var_number(req *r, uint64_t v);
/* A field by the rest of a variable's name: "x_request_id" finds X-Request-Id. */
str var_field(req *r, const headers *h, str arg);

#endif
