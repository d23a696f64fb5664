/* SPDX-License-Identifier: Apache-2.0 */

/* Stands in for libFuzzer's main(): feeds a fuzz target every file of
 * tests/fuzz/corpus/NAME/ and tests/fuzz/regress/NAME/, where the program is
 * called fuzz-NAME, and reports in TAP.  Arguments, if any, are files to feed
 * instead.  A crash is the failure; the last line printed names the file. */

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_SIZE_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay_directory(const char *kind, const char *name);
static void replay_file(const char *path);

static unsigned int n_run;

int
main(int argc, char *argv[])
{
    if (argc > 1) {
        for (int i = 1; i < argc; i++) {
            replay_file(argv[i]);
        }
    } else {
        const char *slash = strrchr(argv[0], '/');
        const char *base = slash ? slash + 1 : argv[0];
        const char *name = !strncmp(base, "fuzz-", 5) ? base + 5 : base;

        replay_directory("corpus", name);
        replay_directory("regress", name);
    }

    static const uint8_t nothing[1];
    LLVMFuzzerTestOneInput(nothing, 0);
    printf("ok %u - empty input\n", ++n_run);
    printf("1..%u\n", n_run);
    return 0;
}

static void
replay_directory(const char *kind, const char *name)
{
    const char *top = getenv("top_srcdir");
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s/tests/fuzz/%s/%s", top ? top : ".", kind,
             name);

    struct dirent **entries;
    int n = scandir(dir, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') {
            char path[PATH_MAX + 256];
            snprintf(path, sizeof path, "%s/%s", dir, entries[i]->d_name);
            replay_file(path);
        }
        free(entries[i]);
    }
    if (n >= 0) {
        free(entries);
    }
}

/* The input is copied to memory of exactly its size, so that a sanitizer sees
 * a read past its end. */
static void
replay_file(const char *path)
{
    static uint8_t buffer[INPUT_SIZE_MAX];
    FILE *file = fopen(path, "rb");
    if (!file) {
        printf("not ok %u - %s: %s\n", ++n_run, path, strerror(errno));
        return;
    }
    size_t size = fread(buffer, 1, sizeof buffer, file);
    fclose(file);

    uint8_t *input = malloc(size ? size : 1);
    if (!input) {
        abort();
    }
    memcpy(input, buffer, size);
    printf("# %s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(input, size);
    free(input);
    printf("ok %u - %s\n", ++n_run, strrchr(path, '/'));
}
