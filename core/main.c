/* main.c — the program: everything is in proc/boot.c. */
#include "proc/boot.h"

int main(int argc, char **argv)
{
    return boot_main(argc, argv);
}
