/* boot.h — from the command line to a running master, or to the answer of a command. */
#ifndef PROC_BOOT_H
#define PROC_BOOT_H

/* The exit status: 0 fine, 1 the configuration or the system said no, 2 wrong usage. */
int boot_main(int argc, char **argv);

#endif
