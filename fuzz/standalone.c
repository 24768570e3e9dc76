/* standalone.c — runs a fuzz target over files, without libFuzzer: `make fuzz-replay` links it with the
 * sanitizer build, so corpora and old crashes are tests wherever there is a C compiler.
 *
 * Arguments are files and folders; a folder's files are run in it and below it, in any order. A target
 * that finds something aborts, and the file's name is the last line printed. */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Optional in libFuzzer, so here too. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static size_t files_run;

static bool run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return false;
    }
    struct stat st;
    bool ok = fstat(fileno(file), &st) == 0;
    /* Of exactly the input's size, so that reading one byte too far is seen. */
    size_t size = ok ? (size_t)st.st_size : 0;
    uint8_t *data = malloc(size);
    ok = ok && (data || size == 0) && fread(data, 1, size, file) == size;
    fclose(file);
    if (!ok) {
        fprintf(stderr, "%s: cannot be read\n", path);
    } else {
        printf("%s\r", path);
        fflush(stdout);
        LLVMFuzzerTestOneInput(data, size);
        files_run++;
    }
    free(data);
    return ok;
}

static bool run_path(const char *path, int depth)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        perror(path);
        return false;
    }
    if (!S_ISDIR(st.st_mode)) {
        return run_file(path);
    }
    DIR *dir = depth < 4 ? opendir(path) : NULL;
    if (!dir) {
        return false;
    }
    bool ok = true;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        char name[4096];
        if (entry->d_name[0] == '.') {
            continue;
        }
        int n = snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (n < 0 || (size_t)n >= sizeof(name) || !run_path(name, depth + 1)) {
            ok = false;
        }
    }
    closedir(dir);
    return ok;
}

int main(int argc, char **argv)
{
    if (LLVMFuzzerInitialize) {
        LLVMFuzzerInitialize(&argc, &argv);
    }
    bool ok = true;
    for (int i = 1; i < argc; i++) {
        ok = run_path(argv[i], 0) && ok;
    }
    printf("\033[K%s: %zu inputs\n", argc > 0 ? argv[0] : "?", files_run);
    return ok && files_run > 0 ? 0 : 1;
}
