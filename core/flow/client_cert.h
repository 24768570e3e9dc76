/* client_cert.h — what a site that asks for client certificates says to a request: the handshake let everybody in. */
#ifndef FLOW_CLIENT_CERT_H
#define FLOW_CLIENT_CERT_H

#include "flow/req.h"

/* For a request to such a site over TLS. 0; or the status that answers it: 421 another host was negotiated, so that the site's demands
 * were not heard; 495 the certificate does not verify; 496 there is none. */
MUST_USE int client_cert_judge(req *r);

#endif
