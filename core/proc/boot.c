/* boot.c — see boot.h. */
#include "proc/boot.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/hash.h"
#include "base/rand.h"
#include "proc/client.h"
#include "proc/command.h"
#include "proc/daemon.h"
#include "proc/manners.h"
#include "proc/master.h"
#include "proc/upgrade.h"
#include "proc/validate.h"
#include "script/script.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* stdin, stdout and stderr exist, so that no descriptor of ours takes their number. */
static void boot_descriptors(void)
{
    struct rlimit files;
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= 2);
    if (fd > 2) {
        close(fd);
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void boot_seed(void)
{
    uint64_t k[2];
    rand_seed();
    rand_secure(k, sizeof k);
    hash_seed(k[0], k[1]); /* inherited: master and workers agree */
}

struct boot_loaded {
    bundle *b;
    bool nginx;
};

static void boot_on_validated(void *arg, bundle *b, str text)
{
    struct boot_loaded *out = arg;
    out->b = b;
    if (text.n > 0 && out->nginx) {
        manners_diagnostics(text);
    } else if (text.n > 0) {
        fprintf(stderr, "%.*s\n", STR_ARG(text));
    }
}

/* The configuration's bundle, or NULL with everything said on stderr. */
static bundle *boot_load(const command *c)
{
    struct boot_loaded out = {NULL, c->nginx};
    validate_now(&c->recipe, c->dump && !c->nginx, boot_on_validated, &out);
    if (!out.b && !c->nginx) {
        fprintf(stderr, "moongate: %s: configuration rejected\n", c->shown);
    }
    return out.b;
}

static int boot_test(const command *c)
{
    bundle *b = boot_load(c);
    if (c->nginx) {
        int rc = manners_test(c, b);
        bundle_unref(b);
        return rc;
    }
    if (!b) {
        return 1;
    }
    if (!c->quiet) {
        fprintf(stderr, "moongate: %s: configuration is fine\n", c->shown);
    }
    bundle_unref(b);
    return 0;
}

static bool boot_daemonize(bool wanted)
{
    if (wanted && daemon_start() < 0) {
        fprintf(stderr, "moongate: cannot go to the background: %s\n", strerror(errno));
        return false;
    }
    return true;
}

/* Only the configuration says whether nginx would be a daemon. A binary that takes over from a running one is one already. */
static bool boot_wants_daemon(const command *c, const bundle *b)
{
    summary sum = {.workers = 0};
    bool wants = c->daemonize || (summary_read(b, &sum) == 0 && sum.daemon && !upgrade_is_heir());
    summary_fini(&sum);
    return wants;
}

static int boot_run(const command *c)
{
    if (!c->nginx && !boot_daemonize(c->daemonize)) {
        return 1;
    }
    bundle *b = boot_load(c);
    if (b && c->nginx && !boot_daemonize(boot_wants_daemon(c, b))) {
        bundle_unref(b);
        return 1;
    }
    if (!b) {
        daemon_ready(1, true);
        return 1;
    }
    static recipe kept; /* workers and reloads refer to it */
    kept = c->recipe;
    struct master_options o = {c->error_log, c->pid, c->shown ? c->shown : "command line",
                               c->watch};
    return master_run(&kept, &o, b);
}

static int boot_version(const command *c)
{
    manners_version(c->verbose, c->recipe.share);
    return 0;
}

/* nginx reads the configuration to find its pid file. */
static int boot_signal(const command *c)
{
    bundle *b = boot_load(c);
    int rc = manners_signal(c, b);
    bundle_unref(b);
    return rc;
}

static int boot_dispatch(command *c)
{
    switch (c->verb) {
    case COMMAND_HELP:
        fputs(command_help, stdout);
        return 0;
    case COMMAND_VERSION:
        return boot_version(c);
    case COMMAND_SIGNAL:
        if (c->nginx) {
            break;
        }
        return client_run(c);
    case COMMAND_RELOAD:
    case COMMAND_STATUS:
    case COMMAND_STOP:
    case COMMAND_UPSTREAM:
        return client_run(c);
    case COMMAND_LUA:
    case COMMAND_RUN:
    case COMMAND_TEST:
        break;
    }
    if (!c->recipe.share) {
        fputs("moongate: lua/ and scripts/ are not found beside the binary nor below its prefix; "
              "set MOONGATE_SHARE\n",
              stderr);
        return 1;
    }
    if (c->verb == COMMAND_LUA) {
        return script_cli(c->recipe.share, c->lua_argc, c->lua_argv);
    }
    if (!c->recipe.path && !c->recipe.npairs) {
        fputs("moongate: which configuration? moongate run FILE, or moongate run HOST=URL\n",
              stderr);
        return 2;
    }
    if (c->nginx) {
        manners_open_log(c);
    }
    if (c->verb == COMMAND_SIGNAL) {
        return boot_signal(c);
    }
    return c->verb == COMMAND_TEST ? boot_test(c) : boot_run(c);
}

int boot_main(int argc, char **argv)
{
    static command c;
    boot_descriptors();
    clock_update();
    boot_seed();
    upgrade_remember(argv);
    if (command_parse(&c, argc, argv) != 0) {
        fprintf(stderr, "moongate: %s\n", c.err);
        return 2;
    }
    c.recipe.share = script_find_share();
    c.shown = c.shown ? c.shown : "command line";
    return boot_dispatch(&c);
}
