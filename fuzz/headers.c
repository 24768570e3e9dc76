/* headers.c — the field list driven by a little program: each step takes an operation, a name and a
 * value from the input, and the list is compared with a plain array that does the same. */
#include "support.h"

enum { MODEL_MAX = 256 };

typedef struct model {
    str name[MODEL_MAX], value[MODEL_MAX];
    size_t n;
} model;

static const char *const known[] = {"Host",   "cookie",     "Content-Length", "X-A",
                                    "x-long", "Connection", "accept",         "x-b_c"};

static str take(str *rest, size_t n)
{
    str s = str_of(rest->p, n < rest->n ? n : rest->n);
    *rest = str_from(*rest, n);
    return s;
}

static str take_name(str *rest)
{
    str byte = take(rest, 1);
    unsigned c = byte.n ? (unsigned char)byte.p[0] : 0;
    if (c & 0x80) {
        str name = take(rest, 1 + (c & 15));
        return name.n ? name : STR("x");
    }
    return str_c(known[c % ARRAY_LEN(known)]);
}

static void model_remove(model *m, str name, size_t from)
{
    size_t k = from;
    for (size_t i = from; i < m->n; i++) {
        if (!str_ieq(m->name[i], name)) {
            m->name[k] = m->name[i];
            m->value[k++] = m->value[i];
        }
    }
    m->n = k;
}

static void model_set(model *m, str name, str value)
{
    for (size_t i = 0; i < m->n; i++) {
        if (str_ieq(m->name[i], name)) {
            m->value[i] = value;
            model_remove(m, name, i + 1);
            return;
        }
    }
    m->name[m->n] = name;
    m->value[m->n++] = value;
}

static void compare(const headers *h, const model *m)
{
    uint32_t at = 0;
    for (size_t i = 0; i < m->n; i++) {
        const field *f = headers_each(h, &at);
        REQUIRE(f && str_eq(f->name, m->name[i]) && str_eq(f->value, m->value[i]));
        const field *first = headers_get(h, m->name[i]);
        REQUIRE(first && str_ieq(first->name, m->name[i]));
        REQUIRE(f->token == token_find(f->name));
        REQUIRE(headers_may_have(h, (enum token)f->token));
    }
    REQUIRE(headers_each(h, &at) == NULL && h->live == m->n);
}

static void check_joined(const headers *h, const model *m, str name)
{
    str joined = headers_joined(h, name);
    size_t size = 0, count = 0;
    for (size_t i = 0; i < m->n; i++) {
        if (str_ieq(m->name[i], name)) {
            size += m->value[i].n;
            count++;
        }
    }
    REQUIRE((joined.p == NULL) == (count == 0));
    REQUIRE(count == 0 || joined.n == size + 2 * (count - 1));
    (void)headers_lists(h, TOKEN_CONNECTION, STR("close"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str rest = str_of((const char *)data, size);
    pool p;
    pool_init(&p, 1024);
    headers h;
    headers_init(&h, &p);
    model *m = calloc(1, sizeof *m);
    while (rest.n > 0 && m->n < MODEL_MAX - 1) {
        unsigned op = (unsigned char)take(&rest, 1).p[0];
        str name = take_name(&rest);
        if (op % 4 == 0) {
            headers_remove(&h, name);
            model_remove(m, name, 0);
        } else if (op % 4 == 1) {
            str value = take(&rest, op >> 3);
            REQUIRE(headers_set(&h, name, value) == 0);
            model_set(m, name, value);
        } else if (op % 4 == 2) {
            check_joined(&h, m, name);
        } else {
            str value = take(&rest, op >> 3);
            REQUIRE(headers_add(&h, name, value) == 0);
            m->name[m->n] = name;
            m->value[m->n++] = value;
        }
        compare(&h, m);
    }
    free(m);
    pool_fini(&p);
    return 0;
}
