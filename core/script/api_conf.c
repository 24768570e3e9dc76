/* api_conf.c — walks the model's tables with the fields' metadata: nothing about single fields is
 * known here. */
#include "script/api_conf.h"

#include "base/err.h"
#include "conf/build.h"
#include "script/vm.h"

#include <stdio.h>

enum { DEPTH_MAX = 12, PATH_MAX_BYTES = 400 };

struct walk {
    lua_State *L;
    conf *c;
    char *err;
    size_t errcap;
    char path[PATH_MAX_BYTES];
    size_t path_n;
    int depth;
};

static int wrong(struct walk *w, const char *expected)
{
    snprintf(w->err, w->errcap, "%.*s: must be %s, got %s", (int)w->path_n, w->path, expected,
             luaL_typename(w->L, -1));
    return ERR_CONF;
}

static size_t enter(struct walk *w, const char *name, int index)
{
    size_t before = w->path_n;
    size_t room = sizeof w->path - before;
    int n = index >= 0 ? snprintf(w->path + before, room, "[%d]", index)
                       : snprintf(w->path + before, room, "%s%s", before ? "." : "", name);
    w->path_n += n < (int)room ? (size_t)n : room - 1;
    return before;
}

static int set_object(struct walk *w, enum conf_kind kind, void *obj);

static int set_strs(struct walk *w, const struct conf_field *f, void *obj)
{
    int n = (int)lua_objlen(w->L, -1);
    str *v = conf_set_array(w->c, f, obj, n);
    for (int i = 0; i < n; i++) {
        lua_rawgeti(w->L, -1, i + 1);
        if (lua_type(w->L, -1) != LUA_TSTRING) {
            return wrong(w, "a list of strings");
        }
        v[i] = pool_dup(&w->c->pool, vm_str(w->L, -1));
        lua_pop(w->L, 1);
    }
    return 0;
}

static int set_refs(struct walk *w, const struct conf_field *f, void *obj)
{
    int n = (int)lua_objlen(w->L, -1);
    int *v = conf_set_array(w->c, f, obj, n);
    for (int i = 0; i < n; i++) {
        lua_rawgeti(w->L, -1, i + 1);
        if (lua_type(w->L, -1) != LUA_TNUMBER) {
            return wrong(w, "a list of indexes");
        }
        v[i] = (int)lua_tointeger(w->L, -1);
        lua_pop(w->L, 1);
    }
    return 0;
}

static int set_objects(struct walk *w, const struct conf_field *f, void *obj)
{
    int n = (int)lua_objlen(w->L, -1);
    char *v = conf_set_array(w->c, f, obj, n);
    for (int i = 0; i < n; i++) {
        size_t before = enter(w, NULL, i);
        lua_rawgeti(w->L, -1, i + 1);
        int rc = set_object(w, f->kind, v + conf_kind_size(f->kind) * (size_t)i);
        if (rc < 0) {
            return rc;
        }
        lua_pop(w->L, 1);
        w->path_n = before;
    }
    return 0;
}

static int set_scalar(struct walk *w, const struct conf_field *f, void *obj)
{
    lua_State *L = w->L;
    int rc = ERR_INVALID;
    switch (lua_type(L, -1)) {
    case LUA_TBOOLEAN:
        rc = conf_set_bool(f, obj, lua_toboolean(L, -1));
        break;
    case LUA_TNUMBER:
        rc = conf_set_number(f, obj, lua_tonumber(L, -1));
        break;
    case LUA_TSTRING:
        rc = conf_set_str(w->c, f, obj, vm_str(L, -1));
        break;
    default:
        break;
    }
    return rc < 0 ? wrong(w, f->words ? f->words : "a value of the field's type") : 0;
}

static int set_field(struct walk *w, const struct conf_field *f, void *obj)
{
    switch (f->type) {
    case CONF_STRS:
    case CONF_REFS:
    case CONF_OBJS:
        if (!lua_istable(w->L, -1)) {
            return wrong(w, "a list");
        }
        return f->type == CONF_STRS   ? set_strs(w, f, obj)
               : f->type == CONF_REFS ? set_refs(w, f, obj)
                                      : set_objects(w, f, obj);
    case CONF_BOOL:
    case CONF_INT:
    case CONF_MS:
    case CONF_SIZE:
    case CONF_STR:
    case CONF_TMPL:
    case CONF_ENUM:
    case CONF_REF:
        break;
    }
    return set_scalar(w, f, obj);
}

/* A key of the model that no field has: a mistake of a dialect, found early. Keys with "_" in front
 * are notes. */
static int check_names(struct walk *w, enum conf_kind kind)
{
    lua_pushnil(w->L);
    while (lua_next(w->L, -2)) {
        lua_pop(w->L, 1);
        if (lua_type(w->L, -1) != LUA_TSTRING) {
            lua_pop(w->L, 1);
            return wrong(w, "a table of fields");
        }
        str name = vm_str(w->L, -1);
        if (name.p[0] != '_' && !conf_field_find(kind, name)) {
            snprintf(w->err, w->errcap, "%.*s: %s has no field '%s'", (int)w->path_n, w->path,
                     conf_kind_name(kind), name.p);
            return ERR_CONF;
        }
    }
    return 0;
}

static int set_object(struct walk *w, enum conf_kind kind, void *obj)
{
    lua_State *L = w->L;
    if (!lua_istable(L, -1) || ++w->depth > DEPTH_MAX || !lua_checkstack(L, 8)) {
        return wrong(w, "a table");
    }
    int n, rc = check_names(w, kind);
    const struct conf_field *f = conf_fields(kind, &n);
    for (int i = 0; i < n && rc == 0; i++) {
        lua_getfield(L, -1, f[i].name);
        if (!lua_isnil(L, -1)) {
            size_t before = enter(w, f[i].name, -1);
            rc = set_field(w, &f[i], obj);
            if (rc == 0) {
                w->path_n = before;
            }
        }
        if (rc == 0) {
            lua_pop(L, 1);
        }
    }
    w->depth--;
    return rc;
}

conf *api_conf_build(lua_State *L, int idx, char *err, size_t errcap)
{
    conf *c = conf_new();
    int top = lua_gettop(L);
    struct walk w = {.L = L, .c = c, .err = err, .errcap = errcap};
    lua_pushvalue(L, idx);
    conf_defaults(CONF_KIND_gateway, &c->g);
    int rc = set_object(&w, CONF_KIND_gateway, &c->g);
    if (rc == 0) {
        rc = conf_freeze(c, err, errcap);
    }
    lua_settop(L, top);
    if (rc < 0) {
        conf_free(c);
        return NULL;
    }
    return c;
}
