/* command.h — the command line as data. */
#ifndef PROC_COMMAND_H
#define PROC_COMMAND_H

#include "proc/recipe.h"

#include <stdbool.h>
#include <stddef.h>

enum command_verb {
    COMMAND_RUN,    /* run FILE | run HOST=URL… | -c FILE */
    COMMAND_TEST,   /* -t, -T */
    COMMAND_SIGNAL, /* -s */
    COMMAND_RELOAD,
    COMMAND_STATUS,
    COMMAND_STOP,
    COMMAND_UPSTREAM,
    COMMAND_HELP,
    COMMAND_VERSION, /* -v, -V */
    COMMAND_LUA,     /* check, schema, export, import, test: lua/cli */
};

enum { COMMAND_ERR_MAX = 256, COMMAND_OVERRIDES_MAX = 16, COMMAND_KEPT_MAX = 2, COMMAND_WORDS_MAX = 8 };

typedef struct command {
    enum command_verb verb;
    recipe recipe;         /* share is not filled in here */
    const char *shown;     /* the configuration as named by the user */
    char *kept[COMMAND_KEPT_MAX]; /* names made here, for the life of the process */
    int nkept;
    const char *error_log; /* -e */
    bool log_is_default;   /* not said: nginx's default */
    const char *pid;       /* -g "pid …;"; nginx syntax: where the pid goes when the configuration does not say */
    const char *signal;    /* -s */
    const char *socket;    /* --socket: admin socket of another place */
    bool nginx; /* the file is in nginx syntax: answers and signals are nginx's too */
    bool daemonize, watch, json, metrics, rollback, now, dump, quiet, verbose;
    const char *overrides[COMMAND_OVERRIDES_MAX];
    const char *words[COMMAND_WORDS_MAX]; /* COMMAND_UPSTREAM: what follows the verb */
    int nwords;
    int lua_argc; /* COMMAND_LUA: what goes to it, from the verb on */
    char **lua_argv;
    char err[COMMAND_ERR_MAX];
} command;

/* 0; 2: wrong usage, with a text in c->err. Strings are borrowed from argv or leaked (the process
 * is a short-lived client, or keeps them for good). */
MUST_USE int command_parse(command *c, int argc, char **argv);
extern const char command_help[];

#endif
