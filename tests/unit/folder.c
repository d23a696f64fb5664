/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
die(const char *what)
{
    perror(what);
    abort();
}

int
folder_setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    char *path = malloc(FOLDER_PATH_MAX);

    if (!path) {
        return -1;
    }
    snprintf(path, FOLDER_PATH_MAX, "%s/mat-test-XXXXXX", tmp ? tmp : "/tmp");
    *state = mkdtemp(path);
    return *state ? 0 : -1;
}

static int
remove_one(const char *path, const struct stat *s, int type, struct FTW *ftw)
{
    (void) s;
    (void) type;
    (void) ftw;
    return remove(path);
}

int
folder_teardown(void **state)
{
    int error = nftw(*state, remove_one, 16, FTW_DEPTH | FTW_PHYS);

    free(*state);
    return error;
}

const char *
folder_path(const char *dir, const char *name)
{
    static char paths[4][FOLDER_PATH_MAX];
    static unsigned int turn;
    char *path = paths[turn++ % 4];

    snprintf(path, FOLDER_PATH_MAX, "%s/%s", dir, name);
    return path;
}

size_t
folder_read(const char *dir, const char *name,
            uint8_t bytes[FOLDER_FILE_MAX])
{
    FILE *file = fopen(folder_path(dir, name), "rbe");
    size_t n;

    if (!file) {
        die(name);
    }
    n = fread(bytes, 1, FOLDER_FILE_MAX, file);
    fclose(file);
    return n;
}

void
folder_write(const char *dir, const char *name, const void *bytes,
             size_t size, mode_t mode)
{
    const char *path = folder_path(dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

    if (fd < 0 || fchmod(fd, mode)
        || write(fd, bytes, size) != (ssize_t) size) {
        die(path);
    }
    close(fd);
}

int
folder_count(const char *dir, const char *prefix)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    int n = 0;

    if (!d) {
        die(dir);
    }
    while ((entry = readdir(d))) {
        n += !strncmp(entry->d_name, prefix, strlen(prefix));
    }
    closedir(d);
    return n;
}
