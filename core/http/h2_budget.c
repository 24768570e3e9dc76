/* h2_budget.c — see h2_budget.h. */
#include "http/h2_budget.h"

#include "base/clock.h"

enum { WINDOW_MS = 10000, OVERHEAD_SHARE = 8, OVERHEAD_FREE = 1024 * 1024 };

/* What one window allows: a base, and so many more for each stream opened and each DATA frame sent. */
static const struct allowance {
    const char *name;
    uint32_t base, per_stream, per_data;
} allowances[H2_COSTS] = {
    [H2_COST_RESET] = {"resets", 200, 0, 0},
    [H2_COST_SETTINGS] = {"SETTINGS", 50, 0, 0},
    [H2_COST_PING] = {"PING", 200, 0, 0},
    [H2_COST_PRIORITY] = {"PRIORITY", 1000, 3, 0},
    [H2_COST_EMPTY] = {"empty DATA", 100, 2, 0},
    [H2_COST_WINDOW] = {"WINDOW_UPDATE", 1000, 4, 4},
    [H2_COST_CONTINUED] = {"CONTINUATION", 50, 4, 0},
    [H2_COST_UNKNOWN] = {"unknown frames", 500, 2, 0},
};

void h2_budget_init(h2_budget *b, uint32_t max_streams)
{
    *b = (h2_budget){.window_ms = clock_ms(), .max_streams = (uint16_t)(max_streams < UINT16_MAX ? max_streams : UINT16_MAX)};
}

static void roll(h2_budget *b)
{
    int64_t now = clock_ms();
    if (now - b->window_ms < WINDOW_MS) {
        return;
    }
    b->window_ms = now;
    b->streams = b->data = 0;
    for (int i = 0; i < H2_COSTS; i++) {
        b->count[i] = 0;
    }
}

bool h2_budget_spend(h2_budget *b, enum h2_cost what)
{
    const struct allowance *a = &allowances[what];
    roll(b);
    uint64_t most = a->base + (uint64_t)a->per_stream * b->streams + (uint64_t)a->per_data * b->data;
    if (what == H2_COST_RESET && most < 2u * b->max_streams) {
        most = 2u * b->max_streams; /* whoever leaves a page takes all its streams along */
    }
    return ++b->count[what] <= most;
}

void h2_budget_stream(h2_budget *b)
{
    b->streams++;
}

void h2_budget_data(h2_budget *b)
{
    b->data++;
}

bool h2_budget_bytes(h2_budget *b, uint64_t total, uint64_t payload)
{
    b->total += total;
    b->payload += payload;
    return b->total / OVERHEAD_SHARE <= b->payload + OVERHEAD_FREE;
}

const char *h2_budget_name(enum h2_cost what)
{
    return allowances[what].name;
}
