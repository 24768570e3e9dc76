/* h2_budget.h — what a peer may make us do besides its requests: frames that cost work and carry nothing (CVE-2019-9511…9518, CVE-2023-44487).
 *
 * Counts run over windows of ten seconds; a peer past a count is not wrong about the protocol but about its manners: GOAWAY ENHANCE_YOUR_CALM. Frames that
 * answer work we did (WINDOW_UPDATE for DATA, PRIORITY for streams) are allowed in proportion to it. */
#ifndef HTTP_H2_BUDGET_H
#define HTTP_H2_BUDGET_H

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>

enum h2_cost {
    H2_COST_RESET,     /* streams reset before they ended, by either side */
    H2_COST_SETTINGS,
    H2_COST_PING,
    H2_COST_PRIORITY,
    H2_COST_EMPTY,     /* DATA without bytes and without the end */
    H2_COST_WINDOW,
    H2_COST_CONTINUED, /* CONTINUATION */
    H2_COST_UNKNOWN,   /* frames of unknown types */
    H2_COSTS
};

typedef struct h2_budget {
    int64_t window_ms;       /* when the counts began */
    uint32_t count[H2_COSTS];
    uint32_t streams, data;  /* in this window: streams opened, DATA frames sent */
    uint64_t total, payload; /* bytes of frames in both directions; of those, DATA and decoded fields */
    uint16_t max_streams;
} h2_budget;

void h2_budget_init(h2_budget *b, uint32_t max_streams);
/* False: past the budget. */
MUST_USE bool h2_budget_spend(h2_budget *b, enum h2_cost what);
/* A stream opened; a DATA frame sent. */
void h2_budget_stream(h2_budget *b);
void h2_budget_data(h2_budget *b);
/* Bytes of a frame, and what of them is worth it. False: hardly anything of what moves here is. */
MUST_USE bool h2_budget_bytes(h2_budget *b, uint64_t total, uint64_t payload);
const char *h2_budget_name(enum h2_cost what);

#endif
