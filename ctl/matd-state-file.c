/* SPDX-License-Identifier: Apache-2.0 */
#include "matd-state-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mat-mem.h"
#include "mat-wire.h"

enum {
    VERSION = 1,
    SUM_SIZE = 16,
    ASIDE_MAX = 1000,           /* Files set aside, until a person comes. */
    NAME_SIZE = 64
};

static const uint8_t magic[8] = { 'm', 'a', 't', 's', 't', 'a', 't', '\n' };

/* The format. */

static void
make_sum(uint8_t sum[SUM_SIZE], const uint8_t *bytes, size_t size)
{
    crypto_generichash(sum, SUM_SIZE, bytes, size, NULL, 0);
}

size_t
matd_state_encode(uint16_t kind, uint32_t generation,
                  const struct matd_state_section *sections, size_t n,
                  uint8_t *bytes, size_t max)
{
    struct mat_writer w = { .bytes = bytes, .max = max };
    uint8_t sum[SUM_SIZE];

    mat_put_bytes(&w, magic, sizeof magic);
    mat_put_u16(&w, VERSION);
    mat_put_u16(&w, kind);
    mat_put_u32(&w, generation);
    mat_put_u32(&w, (uint32_t) n);
    for (size_t i = 0; i < n; i++) {
        mat_put_u32(&w, sections[i].type);
        mat_put_u32(&w, (uint32_t) sections[i].size);
        mat_put_bytes(&w, sections[i].data, sections[i].size);
    }
    if (!w.overflow) {
        make_sum(sum, bytes, w.n);
        mat_put_bytes(&w, sum, sizeof sum);
    }
    return w.overflow ? 0 : w.n;
}

static bool
fail(char error[MATD_STATE_ERROR_MAX], const char *why)
{
    snprintf(error, MATD_STATE_ERROR_MAX, "%s", why);
    return false;
}

/* Whether it is a file of ours at all; whether it is whole is another
 * question. */
static bool
is_ours(const uint8_t *bytes, size_t size, uint16_t kind,
        char error[MATD_STATE_ERROR_MAX])
{
    struct mat_reader r = { .bytes = bytes, .left = size };
    const uint8_t *start = mat_get_bytes(&r, sizeof magic);
    uint16_t version = mat_get_u16(&r), its_kind = mat_get_u16(&r);

    if (r.bad) {
        return true;
    } else if (memcmp(start, magic, sizeof magic)) {
        return fail(error, "not a file of matd");
    } else if (version != VERSION) {
        snprintf(error, MATD_STATE_ERROR_MAX, "of version %u, which this "
                 "matd does not know", version);
        return false;
    }
    return its_kind == kind || fail(error, "another file of matd");
}

static bool
decode(struct mat_reader *r, struct matd_state_contents *contents)
{
    uint32_t n;

    mat_get_bytes(r, sizeof magic + 4);
    contents->generation = mat_get_u32(r);
    n = mat_get_u32(r);
    if (n > MATD_STATE_SECTIONS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct matd_state_section *section = &contents->sections[i];

        section->type = mat_get_u32(r);
        section->size = mat_get_u32(r);
        section->data = mat_get_bytes(r, section->size);
    }
    contents->n_sections = n;
    return !r->bad && !r->left;
}

bool
matd_state_decode(const uint8_t *bytes, size_t size, uint16_t kind,
                  struct matd_state_contents *contents,
                  char error[MATD_STATE_ERROR_MAX])
{
    struct mat_reader r = { .bytes = bytes, .left = size - SUM_SIZE };
    uint8_t sum[SUM_SIZE];

    *contents = (struct matd_state_contents) { .n_sections = 0 };
    if (!is_ours(bytes, size, kind, error)) {
        return false;
    } else if (size < MATD_STATE_EMPTY_SIZE) {
        return fail(error, "ends too early");
    }
    make_sum(sum, bytes, size - SUM_SIZE);
    if (memcmp(sum, bytes + size - SUM_SIZE, SUM_SIZE)
        || !decode(&r, contents)) {
        *contents = (struct matd_state_contents) { .n_sections = 0 };
        return fail(error, "torn: its sum does not fit");
    }
    return true;
}

/* Reading. */

static const char *
name_of(uint16_t kind)
{
    return (kind == MATD_STATE_GENERATION ? "generation"
            : kind == MATD_STATE_SPARE ? "generation.spare" : "state");
}

/* Reads all of a file.  ENOENT is the caller's to judge. */
static int
read_whole(int dir, const char *name, uint8_t **bytes, size_t *size)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat s;
    ssize_t n = 0;

    *size = 0;
    if (fd < 0 || fstat(fd, &s)) {
        int error = errno;

        if (fd >= 0) {
            close(fd);
        }
        return error;
    }
    if (!S_ISREG(s.st_mode) || s.st_size > MATD_STATE_SIZE_MAX) {
        close(fd);
        return EFBIG;
    }
    *bytes = mat_xmalloc((size_t) s.st_size);
    do {
        *size += (size_t) n;
        n = read(fd, *bytes + *size, (size_t) s.st_size - *size);
    } while (n > 0);
    close(fd);
    return n < 0 ? EIO : 0;
}

static bool
set_aside(int dir, const char *name, const char *suffix, const char *why,
          char error[MATD_STATE_ERROR_MAX],
          char warning[MATD_STATE_ERROR_MAX])
{
    char aside[NAME_SIZE];
    size_t used = strlen(warning);
    struct stat s;
    int i = 1;

    do {
        snprintf(aside, sizeof aside, "%s.%s-%d", name, suffix, i);
    } while (!fstatat(dir, aside, &s, AT_SYMLINK_NOFOLLOW)
             && ++i <= ASIDE_MAX);
    if (i > ASIDE_MAX || renameat(dir, name, dir, aside)) {
        snprintf(error, MATD_STATE_ERROR_MAX, "%s: %.200s; it cannot be set "
                 "aside as %s: %s", name, why, aside,
                 i > ASIDE_MAX ? "too many already" : strerror(errno));
        return false;
    }
    snprintf(warning + used, MATD_STATE_ERROR_MAX - used, "%s%s: %.100s; set "
             "aside as %s", used ? "; " : "", name, why, aside);
    return true;
}

bool
matd_state_read(int dir, uint16_t kind, uint8_t **bytes,
                struct matd_state_contents *contents, uint64_t *n_damaged,
                char error[MATD_STATE_ERROR_MAX],
                char warning[MATD_STATE_ERROR_MAX])
{
    const char *name = name_of(kind);
    char why[MATD_STATE_ERROR_MAX] = "too large";
    size_t size;
    int problem;

    *bytes = NULL;
    *contents = (struct matd_state_contents) { .n_sections = 0 };
    problem = read_whole(dir, name, bytes, &size);
    if (problem == ENOENT) {
        return true;
    } else if (problem && problem != EFBIG) {
        snprintf(error, MATD_STATE_ERROR_MAX, "%s: %s", name,
                 strerror(problem));
        free(*bytes);
        *bytes = NULL;
        return false;
    }
    if (!problem && matd_state_decode(*bytes, size, kind, contents, why)) {
        return true;
    }
    ++*n_damaged;
    return set_aside(dir, name,
                     problem || !is_ours(*bytes, size, kind, why)
                     ? "foreign" : "damaged", why, error, warning);
}

/* Writing. */

static int
write_and_sync(int fd, const uint8_t *bytes, size_t size)
{
    while (size) {
        ssize_t n = write(fd, bytes, size);

        if (n < 0 && errno != EINTR) {
            return errno;
        } else if (n > 0) {
            bytes += n;
            size -= (size_t) n;
        }
    }
    return fsync(fd) ? errno : 0;
}

int
matd_state_write(int dir, uint16_t kind, const void *bytes, size_t size)
{
    const char *name = name_of(kind);
    char temporary[NAME_SIZE];
    int error, fd;

    snprintf(temporary, sizeof temporary, "%s.new", name);
    fd = openat(dir, temporary,
                O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno;
    }
    error = write_and_sync(fd, bytes, size);
    if (close(fd) && !error) {
        error = errno;
    }
    if (!error && renameat(dir, temporary, dir, name)) {
        error = errno;
    }
    if (error) {
        unlinkat(dir, temporary, 0);
    } else if (fsync(dir)) {
        error = errno;
    }
    return error;
}

int
matd_state_overwrite(int dir, uint16_t kind, const void *bytes, size_t size)
{
    int fd = openat(dir, name_of(kind), O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0);
    struct stat s;
    int error;

    if (fd < 0) {
        return errno;
    }
    error = fstat(fd, &s) ? errno
            : (size_t) s.st_size != size ? EINVAL
            : write_and_sync(fd, bytes, size);
    if (close(fd) && !error) {
        error = errno;
    }
    return error;
}
