/* command.c — see command.h. Two styles meet: verbs (`moongate run gateway.lua`) and nginx's
 * options, which tools pass (`-p PREFIX -c FILE -s quit`). An option may stand anywhere; its value
 * may be glued (-cFILE). */
#include "proc/command.h"

#include "base/check.h"
#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char command_help[] =
    "moongate: a programmable gateway\n"
    "\n"
    "  moongate run FILE                 serve the configuration FILE (gateway.lua)\n"
    "  moongate run HOST=URL...          serve without a file: app.example.com=127.0.0.1:3000, "
    ":8080=127.0.0.1:3000\n"
    "  moongate check [--json] FILE      all errors and warnings of a configuration\n"
    "  moongate schema [--stubs]         the schema of the configuration (JSON Schema, editor "
    "stubs)\n"
    "  moongate export [--json] FILE     the configuration with all defaults and inheritance "
    "applied\n"
    "  moongate import FILE.conf         the native form of a configuration in nginx syntax\n"
    "  moongate explain [METHOD] URL -c FILE  what happens to a request: site, route, settings, "
    "upstream\n"
    "  moongate test [FILE...]           run the specs of policies in the real engine\n"
    "  moongate reload [--rollback]      new generation from the files, or back to the previous "
    "one\n"
    "  moongate status [--json|--metrics]  what a running gateway does; --metrics: Prometheus "
    "text\n"
    "  moongate upstream list [--json] [NAME]\n"
    "  moongate upstream add NAME SERVER [weight=N] [max_conns=N] [backup] [drain|down]\n"
    "  moongate upstream drain|down|up|remove NAME SERVER\n"
    "  moongate upstream weight NAME SERVER N\n"
    "                                    servers of a running gateway; kept over reloads and "
    "restarts\n"
    "  moongate stop [--now]             end a running gateway, gracefully unless --now\n"
    "  moongate help\n"
    "\n"
    "  -c FILE          configuration; for reload, status, stop and -s: of the gateway meant\n"
    "  -p PREFIX        folder that relative names start from\n"
    "  -d               in the background, once everything is up\n"
    "  --watch          reload when a file of the configuration changes\n"
    "  -t, -T           check and leave; -T prints the compiled configuration\n"
    "  -q               -t without words when all is well\n"
    "  -e FILE          error log where the configuration names none\n"
    "  -g DIRECTIVES    daemon on|off; pid FILE; error_log FILE;\n"
    "  -s SIGNAL        stop, quit, reload or reopen, sent to the running gateway\n"
    "  --socket PATH    the admin socket, instead of the one that belongs to the configuration\n"
    "  -v, -V           version\n"
    "\n"
    "Exit status: 0 fine, 1 the configuration or the system said no, 2 wrong usage.\n";

static int command_fail(command *c, const char *what, const char *value)
{
    snprintf(c->err, sizeof c->err, "%s%s%s", what, value ? ": " : "", value ? value : "");
    return 2;
}

struct command_args {
    char **v;
    int n, at;
};

static int command_override(command *c, const char *text)
{
    if (c->recipe.noverrides == COMMAND_OVERRIDES_MAX) {
        return command_fail(c, "too many -g options", NULL);
    }
    c->overrides[c->recipe.noverrides++] = text;
    return 0;
}

/* "pid /run/x.pid; daemon off;" with a native configuration: the few of nginx's directives that
 * scripts pass on the command line. In nginx syntax the loader reads them. */
static int command_directives(command *c, const char *text)
{
    str rest = str_c(text), one;
    while (str_split(&rest, ';', &one)) {
        size_t gap = str_find(one, ' ', 0);
        str name = str_of(one.p, gap), value = str_trim(str_from(one, gap));
        if (name.n == 0) {
            continue;
        }
        char *z = strndup(value.p, value.n);
        REQUIRE(z);
        if (str_eq(name, STR("pid"))) {
            c->pid = z;
        } else if (str_eq(name, STR("error_log"))) {
            c->error_log = z;
        } else if (str_eq(name, STR("daemon"))) {
            c->daemonize = str_eq(value, STR("on"));
        } else {
            free(z);
            z = strndup(name.p, name.n);
            return command_fail(c, "-g: this directive cannot be set on the command line", z);
        }
    }
    return 0;
}

static int command_valued(command *c, char letter, const char *value)
{
    switch (letter) {
    case 'c':
        c->shown = value;
        return 0;
    case 'p':
        c->recipe.prefix = value;
        return 0;
    case 'e':
        c->error_log = value;
        return 0;
    case 'g':
        return command_override(c, value);
    default:
        c->signal = value;
        c->verb = COMMAND_SIGNAL;
        return 0;
    }
}

static bool command_flag(command *c, char letter)
{
    switch (letter) {
    case 'd':
        c->daemonize = true;
        return true;
    case 'q':
        c->quiet = true;
        return true;
    case 't':
    case 'T':
        c->verb = COMMAND_TEST;
        c->dump = c->dump || letter == 'T';
        return true;
    case 'V':
    case 'v':
        c->verbose = letter == 'V';
        c->verb = COMMAND_VERSION;
        return true;
    case 'h':
    case '?':
        c->verb = COMMAND_HELP;
        return true;
    default:
        return false;
    }
}

/* Letters may be joined ("-tqc FILE"); a value is the rest of the word or the next word. */
static int command_short(command *c, struct command_args *a)
{
    const char *word = a->v[a->at];
    for (const char *p = word + 1; *p; p++) {
        if (strchr("cpegs", *p)) {
            const char *value = p[1] ? p + 1 : a->at + 1 < a->n ? a->v[++a->at] : NULL;
            return value ? command_valued(c, *p, value)
                         : command_fail(c, "this option needs a value", word);
        }
        if (!command_flag(c, *p)) {
            return command_fail(c, "unknown option", word);
        }
    }
    return 0;
}

static int command_long(command *c, struct command_args *a)
{
    const char *name = a->v[a->at] + 2;
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {{"watch", &c->watch},       {"json", &c->json}, {"metrics", &c->metrics},
                 {"rollback", &c->rollback}, {"now", &c->now},   {"daemon", &c->daemonize}};
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (strcmp(name, flags[i].name) == 0) {
            *flags[i].flag = true;
            return 0;
        }
    }
    if (strcmp(name, "socket") == 0) {
        if (++a->at == a->n) {
            return command_fail(c, "this option needs a value", "--socket");
        }
        c->socket = a->v[a->at];
        return 0;
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "version") == 0) {
        c->verb = *name == 'h' ? COMMAND_HELP : COMMAND_VERSION;
        return 0;
    }
    return command_fail(c, "unknown option", a->v[a->at]);
}

/* The verb; true when the rest belongs to Lua. */
static int command_verb_of(command *c, const char *word, bool *lua)
{
    static const struct {
        const char *name;
        enum command_verb verb;
    } verbs[] = {{"run", COMMAND_RUN},    {"reload", COMMAND_RELOAD},  {"status", COMMAND_STATUS},
                 {"stop", COMMAND_STOP},  {"help", COMMAND_HELP},      {"check", COMMAND_LUA},
                 {"upstream", COMMAND_UPSTREAM},
                 {"schema", COMMAND_LUA}, {"export", COMMAND_LUA},     {"import", COMMAND_LUA},
                 {"explain", COMMAND_LUA},
                 {"test", COMMAND_LUA},   {"version", COMMAND_VERSION}};
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (strcmp(word, verbs[i].name) == 0) {
            c->verb = verbs[i].verb;
            *lua = c->verb == COMMAND_LUA;
            return 0;
        }
    }
    return command_fail(c, "unknown command (see moongate help)", word);
}

static int command_operand(command *c, char **argv, int at)
{
    const char *word = argv[at];
    if (c->verb == COMMAND_UPSTREAM) {
        if (c->nwords == COMMAND_WORDS_MAX) {
            return command_fail(c, "one argument too many", word);
        }
        c->words[c->nwords++] = word;
        return 0;
    }
    if (c->verb != COMMAND_RUN && c->verb != COMMAND_TEST && c->verb != COMMAND_RELOAD &&
        c->verb != COMMAND_STATUS && c->verb != COMMAND_STOP) {
        return command_fail(c, "one argument too many", word);
    }
    if (c->verb == COMMAND_RUN && strchr(word, '=') && access(word, F_OK) != 0) {
        const char **pairs = realloc((void *)(uintptr_t)c->recipe.pairs,
                                     sizeof *pairs * ((size_t)c->recipe.npairs + 1));
        REQUIRE(pairs);
        pairs[c->recipe.npairs++] = word;
        c->recipe.pairs = pairs;
        return 0;
    }
    if (c->shown) {
        return command_fail(c, "one argument too many", word);
    }
    c->shown = word;
    return 0;
}

/* Absolute, so that it means the same after a daemon's chdir and names the admin socket. */
static int command_resolve(command *c)
{
    char joined[4096];
    if (c->recipe.npairs && c->shown) {
        return command_fail(c, "either a file or HOST=URL, not both", c->shown);
    }
    if (!c->shown && c->recipe.prefix && (c->verb == COMMAND_RUN || c->verb == COMMAND_TEST || c->verb == COMMAND_SIGNAL)) {
        c->shown = "conf/nginx.conf"; /* where nginx looks */
    }
    if (!c->shown) {
        return 0;
    }
    if (c->recipe.prefix && c->shown[0] != '/') {
        snprintf(joined, sizeof joined, "%s/%s", c->recipe.prefix, c->shown);
    } else {
        snprintf(joined, sizeof joined, "%s", c->shown);
    }
    char *real = realpath(joined, NULL);
    if (!real && joined[0] != '/') {
        char cwd[4096], full[8200];
        snprintf(full, sizeof full, "%s/%s", getcwd(cwd, sizeof cwd) ? cwd : "", joined);
        real = strdup(full);
    }
    c->recipe.path = real ? real : strdup(joined);
    c->nginx = str_has_suffix(str_c(c->recipe.path), STR(".conf"));
    return 0;
}

/* A name below the prefix, else below the folder of the configuration. Owned by the process for good. */
static const char *command_below_prefix(command *c, const char *name)
{
    char full[8200];
    const char *slash = strrchr(c->recipe.path, '/');
    if (name[0] == '/' || strcmp(name, "stderr") == 0) {
        return name;
    }
    if (c->recipe.prefix) {
        size_t n = strlen(c->recipe.prefix);
        n -= n > 0 && c->recipe.prefix[n - 1] == '/';
        snprintf(full, sizeof full, "%.*s/%s", (int)n, c->recipe.prefix, name);
    } else {
        snprintf(full, sizeof full, "%.*s/%s", (int)(slash ? slash - c->recipe.path : 1), slash ? c->recipe.path : ".", name);
    }
    char *copy = strdup(full);
    REQUIRE(copy && c->nkept < COMMAND_KEPT_MAX);
    c->kept[c->nkept++] = copy;
    return copy;
}

/* What -e and -g mean depends on the dialect, which is known in the end. */
static int command_settle(command *c)
{
    int rc = command_resolve(c);
    if (rc == 0 && c->nginx) {
        c->log_is_default = !c->error_log;
        c->error_log = command_below_prefix(c, c->error_log ? c->error_log : "logs/error.log");
        c->pid = command_below_prefix(c, "logs/nginx.pid");
        return 0;
    }
    if (c->error_log && strcmp(c->error_log, "stderr") == 0) {
        c->error_log = NULL;
    }
    for (int i = 0; rc == 0 && i < c->recipe.noverrides; i++) {
        rc = command_directives(c, c->overrides[i]);
    }
    return rc;
}

/* As many words as the verb needs; what they mean is the gateway's to judge. */
static int command_check_upstream(command *c)
{
    static const struct {
        const char *name;
        int least, most;
    } verbs[] = {{"list", 1, 2}, {"add", 3, COMMAND_WORDS_MAX}, {"remove", 3, 3}, {"drain", 3, 3}, {"down", 3, 3}, {"up", 3, 3}, {"weight", 4, 4}};
    for (size_t i = 0; c->nwords > 0 && i < ARRAY_LEN(verbs); i++) {
        if (strcmp(c->words[0], verbs[i].name) == 0) {
            bool fits = c->nwords >= verbs[i].least && c->nwords <= verbs[i].most;
            return fits ? 0 : command_fail(c, "upstream: too few or too many words (see moongate help)", c->words[0]);
        }
    }
    return command_fail(c, "upstream: it is one of list, add, remove, drain, down, up, weight", c->nwords ? c->words[0] : NULL);
}

int command_parse(command *c, int argc, char **argv)
{
    *c = (command){.verb = COMMAND_HELP};
    struct command_args a = {argv, argc, 1};
    bool have_verb = false, lua = false;
    int rc = 0;
    for (; a.at < argc && rc == 0; a.at++) {
        const char *word = argv[a.at];
        if (word[0] == '-' && word[1] == '-' && word[2]) {
            rc = command_long(c, &a);
        } else if (word[0] == '-' && word[1]) {
            rc = command_short(c, &a);
        } else if (!have_verb && c->verb == COMMAND_HELP) {
            have_verb = true;
            rc = command_verb_of(c, word, &lua);
            if (rc == 0 && lua) {
                c->lua_argc = argc - a.at;
                c->lua_argv = argv + a.at;
                return 0;
            }
        } else {
            rc = command_operand(c, argv, a.at);
        }
    }
    if (rc) {
        return rc;
    }
    if (!have_verb && c->verb == COMMAND_HELP && (c->shown || c->recipe.prefix)) {
        c->verb = COMMAND_RUN;
    }
    c->recipe.overrides = c->overrides;
    if (c->verb == COMMAND_UPSTREAM && command_check_upstream(c)) {
        return 2;
    }
    return command_settle(c);
}
