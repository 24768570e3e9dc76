/* files.c — see files.h. The path is normalised already (no "..", no NUL); what variables bring into a name is looked at again. Names are opened with
 * O_NONBLOCK so that a FIFO or a device holds nobody, and only regular files are served. */
#include "flow/files.h"

#include "base/err.h"
#include "conf/conf.h"
#include "flow/error.h"
#include "flow/links.h"
#include "flow/mime.h"
#include "flow/redirect.h"
#include "flow/reroute.h"
#include "flow/reply_file.h"
#include "flow/steps.h"
#include "flow/tmpl.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>


struct try_file {
    tmpl *name;
    bool dir;
};

struct route_files {
    tmpl *root;
    tmpl **index;
    int nindex;
    struct try_file *tries;
    int ntries;
    tmpl *try_path;
    tmpl *links_from;
};

/* -- compiling */

static int compile(const struct files_args *a, str text, const char *what, tmpl **out)
{
    char why[200];
    *out = text.p ? tmpl_compile_for(text, a->rt, a->pool, why, sizeof why) : NULL;
    if (text.p && !*out) {
        const struct conf_route *c = a->rt->c;
        snprintf(a->err, a->errcap, "%s: %s: %s", c->label.n ? c->label.p : "route", what, why);
        return ERR_CONF;
    }
    return 0;
}

static int compile_tries(const struct files_args *a, route_files *f)
{
    const struct conf_strs *c = &a->rt->c->try_files;
    f->tries = pool_zalloc(a->pool, sizeof *f->tries * (size_t)(c->n ? c->n : 1));
    f->ntries = c->n;
    for (int i = 0; i < c->n; i++) {
        str name = c->v[i];
        f->tries[i].dir = name.n > 0 && name.p[name.n - 1] == '/';
        name.n -= f->tries[i].dir;
        if (compile(a, name, "try", &f->tries[i].name) < 0) {
            return ERR_CONF;
        }
    }
    return 0;
}

static int compile_index(const struct files_args *a, route_files *f)
{
    const struct conf_strs *c = &a->rt->c->index;
    f->index = pool_zalloc(a->pool, sizeof *f->index * (size_t)(c->n ? c->n : 1));
    f->nindex = c->n;
    for (int i = 0; i < c->n; i++) {
        if (compile(a, c->v[i], "index", &f->index[i]) < 0) {
            return ERR_CONF;
        }
    }
    return 0;
}

int files_compile(const struct files_args *a, route_files **out)
{
    const struct conf_route *c = a->rt->c;
    *out = NULL;
    if (c->action != CONF_ACTION_FILE && !c->try_files.n && !c->root.p) {
        return 0;
    }
    route_files *f = pool_zalloc(a->pool, sizeof *f);
    int rc = compile(a, c->root, "root", &f->root);
    rc = rc ? rc : compile(a, c->try_path, "try", &f->try_path);
    rc = rc ? rc : compile(a, c->links_from, "links", &f->links_from);
    rc = rc ? rc : compile_index(a, f);
    rc = rc ? rc : compile_tries(a, f);
    *out = f;
    return rc;
}

/* -- paths */

str files_root(req *r)
{
    const route_files *f = r->route ? r->route->files : NULL;
    str root = f && f->root ? tmpl_eval(f->root, r) : STR_EMPTY;
    return memchr(root.p, 0, root.n) ? STR_EMPTY : root;
}

/* Does a part of the name lead upwards? */
static bool climbs(str name)
{
    str rest = name, segment;
    while (str_split(&rest, '/', &segment)) {
        if (str_eq(segment, STR(".."))) {
            return true;
        }
    }
    return false;
}

/* `name` below the root. Empty: there is no such path. */
static str below_root(req *r, str name)
{
    str root = files_root(r);
    if (root.n == 0 || (name.n && (memchr(name.p, 0, name.n) || climbs(name)))) {
        return STR_EMPTY;
    }
    str parts[2] = {root, name};
    return pool_join(&r->pool, parts, 2); /* NUL-terminated */
}

/* The part of a path that is looked for below the root. */
static str below_cut(const req *r, str path)
{
    return r->route->c->root_whole ? STR_EMPTY : str_from(path, (size_t)r->route->c->root_cut);
}

static str path_of(req *r, str path)
{
    return below_root(r, r->tried_below ? path : below_cut(r, path));
}

str files_path(req *r)
{
    return r->route && r->route->files && r->route->files->root ? path_of(r, r->path) : STR_EMPTY;
}

static void set_path(req *r, str path)
{
    r->path = path;
    r->path_changed = true;
}

/* The bytes at the beginning of the path whose own links are nobody's business. */
static size_t base_length(req *r, str path)
{
    const route_files *f = r->route->files;
    if (r->route->c->links == CONF_LINKS_FOLLOW) {
        return 0;
    }
    str base = f->links_from ? tmpl_eval(f->links_from, r) : r->route->c->root_whole ? STR_EMPTY : files_root(r);
    return str_has_prefix(path, base) ? base.n : 1;
}

static int stat_file(req *r, str path, struct stat *st)
{
    return links_stat(r, path, base_length(r, path), st);
}

/* -- going on elsewhere */

static int go_to_path(req *r, str path)
{
    return reroute_uri(r, path, r->query);
}

/* -- try_files */

/* A name with variables may begin with the part of the path that the root stands for. */
static str try_name(req *r, const struct try_file *t)
{
    str name = tmpl_eval(t->name, r);
    const struct conf_route *c = r->route->c;
    size_t cut = (size_t)c->root_cut;
    bool stands_for = !c->root_whole && cut && name.n >= cut && r->path.n >= cut && memcmp(name.p, r->path.p, cut) == 0;
    return stands_for && !tmpl_is_constant(t->name) ? str_from(name, cut) : name;
}

static void take_found(req *r, str name, bool dir)
{
    const struct conf_route *c = r->route->c;
    if (c->root_whole) {
        if (!dir) {
            set_path(r, pool_dup(&r->pool, name));
            r->tried_below = true;
        }
        return;
    }
    str parts[2] = {str_of(r->path.p, (size_t)c->root_cut < r->path.n ? (size_t)c->root_cut : r->path.n), name};
    str path = pool_join(&r->pool, parts, 2);
    if (!str_eq(path, r->path)) {
        set_path(r, path);
    }
}

static bool is_there(req *r, str path, bool dir)
{
    struct stat st;
    if (path.n == 0) {
        return false;
    }
    if (stat_file(r, path, &st) < 0) {
        if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG) {
            req_log(r, LOG_CRIT_, "stat() \"%s\" failed (%d: %s)", path.p, errno, strerror(errno));
        }
        return false;
    }
    return S_ISDIR(st.st_mode) == dir;
}

static int fall_back(req *r)
{
    const route_files *f = r->route->files;
    if (r->route->c->try_status) {
        return error_status(r, (int)r->route->c->try_status);
    }
    if (!f->try_path) {
        return ERR_NOT_FOUND;
    }
    str to = tmpl_eval(f->try_path, r);
    if (to.n == 0 || memchr(to.p, 0, to.n)) {
        return ERR_NOT_FOUND;
    }
    return to.p[0] == '@' ? reroute_named(r, to) : reroute_text(r, to);
}

int files_try(req *r)
{
    const route_files *f = r->route->files;
    for (int i = 0; i < f->ntries; i++) {
        str name = try_name(r, &f->tries[i]);
        if (is_there(r, below_root(r, name), f->tries[i].dir)) {
            take_found(r, name, f->tries[i].dir);
            return STEP_NEXT;
        }
    }
    return fall_back(r);
}

/* -- answers */

/* "/dir" → "/dir/" (query kept). */
static int redirect_to_dir(req *r)
{
    const str parts[4] = {uri_encode_path(r->path, &r->pool), STR("/"), r->query.n ? STR("?") : STR_EMPTY, r->query};
    str to = pool_join(&r->pool, parts, r->query.n ? 4 : 2);
    int rc = redirect_reply(r, 301, to);
    return rc < 0 ? rc : STEP_JUMP | STEP_REPLY;
}

/* The media type, in front of the coding of a file that lies there packed: so readers expect it. */
static int name_type(req *r, str type)
{
    headers *h = &r->res.h;
    const field *packed = headers_may_have(h, TOKEN_CONTENT_ENCODING) ? headers_find(h, TOKEN_CONTENT_ENCODING) : NULL;
    str coding = packed ? packed->value : STR_EMPTY;
    int rc = headers_set(h, STR("Content-Type"), type);
    if (rc == 0 && packed) {
        headers_remove_token(h, TOKEN_CONTENT_ENCODING);
        rc = headers_add_token(h, TOKEN_CONTENT_ENCODING, coding);
    }
    return rc;
}

static int answer_file(req *r, str path)
{
    int rc = reply_file_answer(r, path, base_length(r, path));
    if (rc == REPLY_FILE_FOLDER) {
        return redirect_to_dir(r);
    }
    str type = r->reply_file ? mime_of_path(r->route, r->path) : STR_EMPTY;
    int failed = type.n ? name_type(r, type) : 0;
    return failed < 0 ? failed : rc;
}

static int not_there(const req *r, const char *path, int errnum)
{
    if (r->route->c->log_missing) {
        req_log(r, LOG_ERROR_, "\"%s\" is not found (%d: %s)", path, errnum, strerror(errnum));
    }
    return ERR_NOT_FOUND;
}

/* No index file: is there a directory at all? */
static int without_index(req *r, str dir)
{
    struct stat st;
    if (stat_file(r, dir, &st) < 0) {
        return errno == EACCES ? ERR_FORBIDDEN : not_there(r, dir.p, errno);
    }
    req_log(r, LOG_ERROR_, "directory index of \"%s\" is forbidden", dir.p);
    return ERR_FORBIDDEN;
}

static int index_failed(const req *r, const char *path, int errnum)
{
    if (errnum == EACCES) {
        req_log(r, LOG_ERROR_, "\"%s\" is forbidden (%d: %s)", path, errnum, strerror(errnum));
        return ERR_FORBIDDEN;
    }
    if (errnum == ELOOP || errnum == EXDEV) {
        return ERR_FORBIDDEN;
    }
    if (errnum == ENOTDIR || errnum == ENAMETOOLONG) {
        return not_there(r, path, errnum);
    }
    req_log(r, LOG_CRIT_, "stat() \"%s\" failed (%d: %s)", path, errnum, strerror(errnum));
    return ERR_IO;
}

static int take_index(req *r, str name)
{
    const str parts[2] = {r->path, name};
    str path = pool_join(&r->pool, parts, 2);
    if (r->route->c->index_reroutes) {
        return go_to_path(r, path);
    }
    set_path(r, path);
    return answer_file(r, path_of(r, path));
}

static int answer_index(req *r)
{
    const route_files *f = r->route->files;
    str dir = path_of(r, r->path);
    if (dir.n == 0) {
        return ERR_NOT_FOUND;
    }
    for (int i = 0; i < f->nindex; i++) {
        str name = tmpl_eval(f->index[i], r);
        if (name.n && name.p[0] == '/') {
            return memchr(name.p, 0, name.n) ? ERR_NOT_FOUND : go_to_path(r, name);
        }
        if (name.n == 0 || climbs(name) || memchr(name.p, 0, name.n)) {
            continue;
        }
        const str parts[2] = {dir, name};
        str path = pool_join(&r->pool, parts, 2);
        struct stat st;
        if (stat_file(r, path, &st) == 0) {
            return take_index(r, name);
        }
        if (errno != ENOENT) {
            return index_failed(r, path.p, errno);
        }
        if (i == 0 && stat_file(r, dir, &st) < 0 && errno == ENOENT) {
            return not_there(r, path.p, ENOENT);
        }
    }
    return without_index(r, dir);
}

int files_answer(req *r)
{
    unsigned method = r->in.method;
    if (method != METHOD_GET && method != METHOD_HEAD && method != METHOD_POST) {
        return reply_file_not_allowed(r);
    }
    if (!r->route->files->root || r->path.n == 0) {
        return ERR_NOT_FOUND;
    }
    if (r->path.p[r->path.n - 1] == '/') {
        return answer_index(r);
    }
    str path = path_of(r, r->path);
    return path.n ? answer_file(r, path) : ERR_NOT_FOUND;
}
