/* SPDX-License-Identifier: Apache-2.0 */
/* Armour: small binary things as text with a checksum. */
#include "matd-keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mat-mem.h"

enum {
    LINE_BYTES = 48,            /* 64 characters of base64. */
    CHECK_BYTES = 8
};

static const char head[] = "ovs-mat ";

static const struct {
    const char *name;
    bool is_secret;
} kinds[] = {
#define MATD_ARMOUR(ENUM, NAME, SECRET) { NAME, SECRET },
    MATD_ARMOURS
#undef MATD_ARMOUR
};

const char *
matd_armour_name(enum matd_armour kind)
{
    return kind < MATD_N_ARMOURS ? kinds[kind].name : "?";
}

bool
matd_armour_is_secret(enum matd_armour kind)
{
    return kind < MATD_N_ARMOURS && kinds[kind].is_secret;
}

/* The kind is part of what is checked, so that no file is taken for another
 * one by an edit of its first line. */
static void
make_check(enum matd_armour kind, const void *data, size_t size,
           char text[2 * CHECK_BYTES + 1])
{
    uint8_t digest[crypto_generichash_BYTES];
    crypto_generichash_state state;
    const char *name = matd_armour_name(kind);

    crypto_generichash_init(&state, NULL, 0, sizeof digest);
    crypto_generichash_update(&state, (const void *) name, strlen(name) + 1);
    crypto_generichash_update(&state, data, size);
    crypto_generichash_final(&state, digest, sizeof digest);
    sodium_bin2hex(text, 2 * CHECK_BYTES + 1, digest, CHECK_BYTES);
}

/* Encoding. */

struct text {
    char *s;
    size_t n;
};

static void
append(struct text *t, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->s + t->n, MATD_ARMOUR_TEXT_MAX - t->n, format, args);
    va_end(args);
    MAT_ASSERT(n >= 0 && (size_t) n < MATD_ARMOUR_TEXT_MAX - t->n);
    t->n += (size_t) n;
}

static void
append_comment(struct text *t, const char *comment)
{
    while (*comment) {
        size_t n = strcspn(comment, "\n");

        append(t, "# %.*s\n", (int) n, comment);
        comment += n + (comment[n] == '\n');
    }
}

size_t
matd_armour_encode(enum matd_armour kind, const char *comment,
                   const void *data_, size_t size,
                   char text[MATD_ARMOUR_TEXT_MAX])
{
    const uint8_t *data = data_;
    struct text t = { .s = text };
    char line[sodium_base64_ENCODED_LEN(LINE_BYTES,
                                        sodium_base64_VARIANT_ORIGINAL)];
    char check[2 * CHECK_BYTES + 1];

    MAT_ASSERT(kind < MATD_N_ARMOURS && size <= MATD_ARMOUR_DATA_MAX);
    append(&t, "%s%s\n", head, matd_armour_name(kind));
    append_comment(&t, comment ? comment : "");
    for (size_t i = 0; i < size; i += LINE_BYTES) {
        size_t n = size - i < LINE_BYTES ? size - i : LINE_BYTES;

        sodium_bin2base64(line, sizeof line, data + i, n,
                          sodium_base64_VARIANT_ORIGINAL);
        append(&t, "data: %s\n", line);
    }
    make_check(kind, data, size, check);
    append(&t, "check: %s\n", check);
    sodium_memzero(line, sizeof line);
    return t.n;
}

/* Decoding. */

struct decoding {
    enum matd_armour kind;
    uint8_t *data;
    size_t n;
    char *error;
    bool has_kind, has_check;
};

static bool
fail(struct decoding *d, const char *why)
{
    snprintf(d->error, MATD_ERROR_MAX, "%s", why);
    return false;
}

static bool
starts_with(const char *line, size_t n, const char *prefix)
{
    return n >= strlen(prefix) && !memcmp(line, prefix, strlen(prefix));
}

static bool
decode_kind(struct decoding *d, const char *line, size_t n)
{
    if (!starts_with(line, n, head)) {
        return fail(d, "not a file of ovs-mat keys: its first line should "
                    "begin with 'ovs-mat'");
    }
    line += strlen(head);
    n -= strlen(head);
    for (d->kind = 0; d->kind < MATD_N_ARMOURS; d->kind++) {
        const char *name = matd_armour_name(d->kind);

        if (n == strlen(name) && !memcmp(line, name, n)) {
            d->has_kind = true;
            return true;
        }
    }
    return fail(d, "a kind of file that this version does not know");
}

static bool
decode_data(struct decoding *d, const char *line, size_t n)
{
    size_t size;

    if (sodium_base642bin(d->data + d->n, MATD_ARMOUR_DATA_MAX - d->n,
                          line, n, NULL, &size, NULL,
                          sodium_base64_VARIANT_ORIGINAL)) {
        return fail(d, "not base64, or too much of it: copy the file again");
    }
    d->n += size;
    return true;
}

static bool
decode_check(struct decoding *d, const char *line, size_t n)
{
    char check[2 * CHECK_BYTES + 1];

    make_check(d->kind, d->data, d->n, check);
    if (n != sizeof check - 1 || memcmp(line, check, n)) {
        return fail(d, "the check does not fit the data: the file is damaged "
                    "or incomplete, copy it again");
    }
    d->has_check = true;
    return true;
}

static bool
decode_line(struct decoding *d, const char *line, size_t n)
{
    if (!n || line[0] == '#') {
        return true;
    } else if (!d->has_kind) {
        return decode_kind(d, line, n);
    } else if (d->has_check) {
        return fail(d, "text after the check: two files in one?");
    } else if (starts_with(line, n, "data: ")) {
        return decode_data(d, line + 6, n - 6);
    } else if (starts_with(line, n, "check: ")) {
        return decode_check(d, line + 7, n - 7);
    }
    return fail(d, "neither a comment nor 'data:' nor 'check:'");
}

bool
matd_armour_decode(const char *text, size_t size, enum matd_armour *kind,
                   uint8_t data[MATD_ARMOUR_DATA_MAX], size_t *n,
                   unsigned int *line, char error[MATD_ERROR_MAX])
{
    struct decoding d = { .data = data, .error = error };

    *line = 0;
    for (size_t at = 0; at < size; ) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t length = end ? (size_t) (end - text) - at : size - at;
        size_t next = at + length + 1;

        ++*line;
        while (length && (text[at + length - 1] == '\r'
                          || text[at + length - 1] == ' ')) {
            length--;
        }
        if (!decode_line(&d, text + at, length)) {
            return false;
        }
        at = next;
    }
    if (!d.has_check) {
        return fail(&d, d.has_kind ? "ends without a check: the file is "
                    "incomplete, copy it again" : "empty");
    }
    *kind = d.kind;
    *n = d.n;
    return true;
}

/* Files. */

/* A secret is ours or root's, and nobody else can read it. */
static bool
is_private(const char *path, const struct stat *s, char error[MATD_ERROR_MAX])
{
    if (s->st_uid != geteuid() && s->st_uid != 0) {
        snprintf(error, MATD_ERROR_MAX, "%s: belongs to user %u, who could "
                 "change it: chown it to the user of matd", path,
                 (unsigned int) s->st_uid);
        return false;
    } else if (s->st_mode & 077) {
        snprintf(error, MATD_ERROR_MAX, "%s: is secret, but others may use "
                 "it (mode %04o): chmod 600, and think of a new one", path,
                 (unsigned int) s->st_mode & 07777);
        return false;
    }
    return true;
}

/* Reads the text of a file.  O_NONBLOCK is for what is not a file. */
static bool
read_text(const char *path, struct stat *s, char text[MATD_ARMOUR_TEXT_MAX],
          size_t *size, char error[MATD_ERROR_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = -1;

    if (fd >= 0 && !fstat(fd, s)) {
        if (!S_ISREG(s->st_mode)) {
            snprintf(error, MATD_ERROR_MAX, "%s: not a regular file", path);
            close(fd);
            return false;
        }
        n = read(fd, text, MATD_ARMOUR_TEXT_MAX);
    }
    if (n < 0) {
        snprintf(error, MATD_ERROR_MAX, "%s: %s", path, strerror(errno));
    } else if (n == MATD_ARMOUR_TEXT_MAX) {
        snprintf(error, MATD_ERROR_MAX, "%s: too long for a file of keys",
                 path);
        n = -1;
    }
    if (fd >= 0) {
        close(fd);
    }
    *size = n < 0 ? 0 : (size_t) n;
    return n >= 0;
}

static bool
decode_file(const char *path, const struct stat *s, const char *text,
            size_t size, enum matd_armour *kind,
            uint8_t data[MATD_ARMOUR_DATA_MAX], size_t *n,
            char error[MATD_ERROR_MAX])
{
    enum matd_armour wanted = *kind;
    char why[MATD_ERROR_MAX];
    unsigned int line;

    if (!matd_armour_decode(text, size, kind, data, n, &line, why)) {
        snprintf(error, MATD_ERROR_MAX, "%s:%u: %.300s", path, line, why);
        return false;
    } else if (wanted != MATD_N_ARMOURS && *kind != wanted) {
        snprintf(error, MATD_ERROR_MAX, "%s: is a %s, not a %s", path,
                 matd_armour_name(*kind), matd_armour_name(wanted));
        return false;
    }
    return !matd_armour_is_secret(*kind) || is_private(path, s, error);
}

bool
matd_armour_read(const char *path, enum matd_armour *kind,
                 uint8_t data[MATD_ARMOUR_DATA_MAX], size_t *n,
                 char error[MATD_ERROR_MAX])
{
    char text[MATD_ARMOUR_TEXT_MAX];
    struct stat s;
    size_t size;
    bool is_good = (read_text(path, &s, text, &size, error)
                    && decode_file(path, &s, text, size, kind, data, n,
                                   error));

    sodium_memzero(text, sizeof text);
    if (!is_good) {
        sodium_memzero(data, MATD_ARMOUR_DATA_MAX);
        *n = 0;
    }
    return is_good;
}
