/* tunnel.h — a connection after 101: bytes both ways, untouched, until either side ends or nothing moves for tunnel_idle. */
#ifndef FLOW_TUNNEL_H
#define FLOW_TUNNEL_H

#include <stdint.h>

typedef struct req req;

/* The stream step of an upgraded request: STEP_WAIT_HERE or STEP_NEXT when it is over. */
int tunnel_step(req *r);
/* Tunnels open in this worker. */
uint32_t tunnel_count(void);

#endif
