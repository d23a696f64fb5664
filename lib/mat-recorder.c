/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-recorder.h"

#include <string.h>

#include "mat-mem.h"
#include "mat-wire.h"

enum { MAGIC_SIZE = 8, FILE_HEAD_SIZE = 16, ENTRY_HEAD_SIZE = 13 };
static const char magic[MAGIC_SIZE] = "matrec1\n";

struct mat_recorder {
    uint8_t *ring;
    size_t max, head, n;        /* 'n' bytes from 'head' on, in a circle. */
    uint64_t n_lost, n_noted;
};

struct mat_recorder *
mat_recorder_create(size_t bytes_max)
{
    struct mat_recorder *rec = mat_xcalloc(1, sizeof *rec);

    rec->ring = mat_xmalloc(bytes_max);
    /* Takes the memory now, so that what the program needs does not seem to
     * grow as the ring fills. */
    memset(rec->ring, 0xff, bytes_max);
    rec->max = bytes_max;
    return rec;
}

void
mat_recorder_destroy(struct mat_recorder *rec)
{
    if (rec) {
        free(rec->ring);
        free(rec);
    }
}

static void
copy_out(const struct mat_recorder *rec, size_t at, uint8_t *bytes, size_t n)
{
    size_t first = rec->max - at < n ? rec->max - at : n;

    memcpy(bytes, rec->ring + at, first);
    memcpy(bytes + first, rec->ring, n - first);
}

static void
copy_in(struct mat_recorder *rec, const uint8_t *bytes, size_t n)
{
    size_t at = (rec->head + rec->n) % rec->max;
    size_t first = rec->max - at < n ? rec->max - at : n;

    if (n) {
        memcpy(rec->ring + at, bytes, first);
        memcpy(rec->ring, bytes + first, n - first);
        rec->n += n;
    }
}

static void
drop_oldest(struct mat_recorder *rec)
{
    uint8_t head[4];
    struct mat_reader r = { .bytes = head, .left = sizeof head };
    size_t size;

    copy_out(rec, rec->head, head, sizeof head);
    size = ENTRY_HEAD_SIZE + mat_get_u32(&r);
    MAT_ASSERT(size <= rec->n);
    rec->head = (rec->head + size) % rec->max;
    rec->n -= size;
    rec->n_lost++;
}

void
mat_recorder_note(struct mat_recorder *rec, int64_t now_us,
                  enum mat_recorder_kind kind, const void *data, size_t size)
{
    uint8_t head[ENTRY_HEAD_SIZE];
    struct mat_writer w = { .bytes = head, .max = sizeof head };

    rec->n_noted++;
    if (size + sizeof head > rec->max) {
        rec->n_lost++;
        return;
    }
    while (rec->max - rec->n < size + sizeof head) {
        drop_oldest(rec);
    }
    mat_put_u32(&w, (uint32_t) size);
    mat_put_u64(&w, (uint64_t) now_us);
    mat_put_u8(&w, (uint8_t) kind);
    copy_in(rec, head, sizeof head);
    copy_in(rec, data, size);
}

uint64_t
mat_recorder_n_noted(const struct mat_recorder *rec)
{
    return rec->n_noted;
}

size_t
mat_recorder_size(const struct mat_recorder *rec)
{
    return FILE_HEAD_SIZE + rec->n;
}

void
mat_recorder_write(const struct mat_recorder *rec, uint8_t *bytes)
{
    struct mat_writer w = { .bytes = bytes, .max = FILE_HEAD_SIZE };

    mat_put_bytes(&w, magic, sizeof magic);
    mat_put_u64(&w, rec->n_lost);
    copy_out(rec, rec->head, bytes + w.n, rec->n);
}

bool
mat_recorder_next(const uint8_t *recording, size_t size, size_t *cursor,
                  uint64_t *n_lost, struct mat_recorder_entry *entry)
{
    struct mat_reader r = { .bytes = recording, .left = size };

    if (!*cursor) {
        const uint8_t *start = mat_get_bytes(&r, MAGIC_SIZE);

        *n_lost = mat_get_u64(&r);
        if (r.bad || memcmp(start, magic, MAGIC_SIZE)) {
            return false;
        }
        *cursor = FILE_HEAD_SIZE;
    }
    r.bytes = recording + *cursor;
    r.left = size - *cursor;
    entry->size = mat_get_u32(&r);
    entry->now_us = (int64_t) mat_get_u64(&r);
    entry->kind = mat_get_u8(&r);
    entry->data = mat_get_bytes(&r, entry->size);
    *cursor = size - r.left;
    return !r.bad;
}
