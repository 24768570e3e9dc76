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
#include "proc/master.h"
#include "proc/validate.h"
#include "proc/version.h"
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

static void boot_on_validated(void *arg, bundle *b, str text)
{
    bundle **out = arg;
    *out = b;
    if (text.n > 0) {
        fprintf(stderr, "%.*s\n", STR_ARG(text));
    }
}

/* The configuration's bundle, or NULL with everything said on stderr. */
static bundle *boot_load(const command *c)
{
    bundle *b = NULL;
    validate_now(&c->recipe, c->dump, boot_on_validated, &b);
    if (!b) {
        fprintf(stderr, "moongate: %s: configuration rejected\n", c->shown);
    }
    return b;
}

static int boot_test(const command *c)
{
    bundle *b = boot_load(c);
    if (!b) {
        return 1;
    }
    if (!c->quiet) {
        fprintf(stderr, "moongate: %s: configuration is fine\n", c->shown);
    }
    bundle_unref(b);
    return 0;
}

static int boot_run(const command *c)
{
    if (c->daemonize && daemon_start() < 0) {
        fprintf(stderr, "moongate: cannot go to the background: %s\n", strerror(errno));
        return 1;
    }
    bundle *b = boot_load(c);
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
    printf("moongate/%s\n", MG_VERSION);
    if (c->verbose) {
        printf("built with gcc %s\nlibraries: %s\n", __VERSION__,
               c->recipe.share ? c->recipe.share : "not found");
    }
    return 0;
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
    case COMMAND_RELOAD:
    case COMMAND_STATUS:
    case COMMAND_STOP:
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
    return c->verb == COMMAND_TEST ? boot_test(c) : boot_run(c);
}

int boot_main(int argc, char **argv)
{
    static command c;
    boot_descriptors();
    clock_update();
    boot_seed();
    if (command_parse(&c, argc, argv) != 0) {
        fprintf(stderr, "moongate: %s\n", c.err);
        return 2;
    }
    c.recipe.share = script_find_share();
    c.shown = c.shown ? c.shown : "command line";
    return boot_dispatch(&c);
}
