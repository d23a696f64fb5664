/* SPDX-License-Identifier: Apache-2.0 */

/* The slots are copied word by word with atomic accesses instead of fences.
 * The producer marks the slot as being written and then stores each word with
 * release semantics; a consumer that loads such a word with acquire semantics
 * therefore also sees the mark, or what came after it, when it looks at the
 * sequence again.  On x86 these are plain moves. */

#include "mat-event.h"

struct mat_event_header {
    uint32_t magic;
    uint32_t version;
    uint32_t n_rings;
    uint32_t n_slots;
    uint32_t slot_size;
    uint32_t ring_size;
    uint32_t zeros[10];
};

struct mat_event_ring {
    uint64_t head;
    uint64_t zeros[7];
};

enum {
    EVENT_WORDS = sizeof(struct mat_event) / sizeof(uint64_t)
};

_Static_assert(sizeof(struct mat_event) == 128, "two cache lines");
_Static_assert(sizeof(struct mat_event_header) == 64, "one cache line");
_Static_assert(sizeof(struct mat_event_ring) == 64, "one cache line");

static size_t ring_size(unsigned int n_slots);
static const struct mat_event_ring *ring_at(const void *region,
                                            unsigned int n_slots,
                                            unsigned int index);
static const uint64_t *slot_at(const struct mat_event_ring *,
                               unsigned int n_slots, uint64_t number);
static bool take(struct mat_event_reader *, unsigned int index,
                 struct mat_event *);
static void skip_lost(struct mat_event_reader *, unsigned int index,
                      uint64_t head);

static const char *const event_names[] = {
#define MAT_EVENT(ENUM, NAME, TEXT) NAME,
    MAT_EVENTS
#undef MAT_EVENT
};

static const char *const event_texts[] = {
#define MAT_EVENT(ENUM, NAME, TEXT) TEXT,
    MAT_EVENTS
#undef MAT_EVENT
};

const char *
mat_event_name(unsigned int type)
{
    return type < MAT_N_EVENTS ? event_names[type] : "?";
}

const char *
mat_event_text(unsigned int type)
{
    return type < MAT_N_EVENTS ? event_texts[type] : "?";
}

void
mat_event_set_frame(struct mat_event *event, const void *frame, size_t size)
{
    size_t n = size < sizeof event->head ? size : sizeof event->head;

    memcpy(event->head, frame, n);
    event->head_size = (uint16_t) n;
    event->frame_size = (uint16_t) (size < UINT16_MAX ? size : UINT16_MAX);
}

size_t
mat_event_region_size(unsigned int n_rings, unsigned int n_slots)
{
    return sizeof(struct mat_event_header) + n_rings * ring_size(n_slots);
}

void
mat_event_region_init(void *region, unsigned int n_rings,
                      unsigned int n_slots)
{
    struct mat_event_header *header = region;

    memset(region, 0, mat_event_region_size(n_rings, n_slots));
    header->version = MAT_EVENT_VERSION;
    header->n_rings = n_rings;
    header->n_slots = n_slots;
    header->slot_size = sizeof(struct mat_event);
    header->ring_size = (uint32_t) ring_size(n_slots);
    header->magic = MAT_EVENT_MAGIC;
}

void
mat_event_put(void *region, unsigned int n_slots, unsigned int index,
              const struct mat_event *event)
{
    void *ring_start = (char *) region + sizeof(struct mat_event_header)
                       + index * ring_size(n_slots);
    struct mat_event_ring *ring = ring_start;
    uint64_t number = ring->head;
    uint64_t *slot = (uint64_t *) (ring + 1)
                     + (number & (n_slots - 1)) * EVENT_WORDS;
    uint64_t words[EVENT_WORDS];

    memcpy(words, event, sizeof words);
    __atomic_store_n(&slot[0], 0, __ATOMIC_RELAXED);
    for (size_t i = 1; i < EVENT_WORDS; i++) {
        __atomic_store_n(&slot[i], words[i], __ATOMIC_RELEASE);
    }
    __atomic_store_n(&slot[0], number + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&ring->head, number + 1, __ATOMIC_RELEASE);
}

bool
mat_event_reader_init(struct mat_event_reader *reader, const void *region,
                      size_t size, bool from_oldest)
{
    const struct mat_event_header *header = region;

    if (size < sizeof *header
        || header->magic != MAT_EVENT_MAGIC
        || header->version != MAT_EVENT_VERSION
        || header->slot_size != sizeof(struct mat_event)
        || !header->n_rings || header->n_rings > MAT_EVENT_RINGS_MAX
        || !header->n_slots || header->n_slots > MAT_EVENT_SLOTS_MAX
        || header->n_slots & (header->n_slots - 1)
        || header->ring_size != ring_size(header->n_slots)
        || size < mat_event_region_size(header->n_rings, header->n_slots)) {
        return false;
    }

    memset(reader, 0, sizeof *reader);
    reader->region = region;
    reader->n_rings = header->n_rings;
    reader->n_slots = header->n_slots;
    for (unsigned int i = 0; i < reader->n_rings; i++) {
        uint64_t head = __atomic_load_n(
            &ring_at(region, reader->n_slots, i)->head, __ATOMIC_ACQUIRE);
        uint64_t kept = head < reader->n_slots ? head : reader->n_slots;

        reader->cursors[i] = from_oldest ? head - kept : head;
    }
    return true;
}

bool
mat_event_reader_next(struct mat_event_reader *reader,
                      struct mat_event *event)
{
    for (unsigned int i = 0; i < reader->n_rings; i++) {
        unsigned int index = reader->turn;

        reader->turn = (index + 1) % reader->n_rings;
        if (take(reader, index, event)) {
            return true;
        }
    }
    return false;
}

/* Takes the next event of ring 'index'.  Ends although the producer goes on:
 * each failure to copy a slot moves the cursor half a ring ahead. */
static bool
take(struct mat_event_reader *reader, unsigned int index,
     struct mat_event *event)
{
    const struct mat_event_ring *ring
        = ring_at(reader->region, reader->n_slots, index);
    uint64_t words[EVENT_WORDS];

    for (int tries = 0; tries < 4; tries++) {
        uint64_t cursor = reader->cursors[index];
        uint64_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
        const uint64_t *slot = slot_at(ring, reader->n_slots, cursor);

        if (head == cursor) {
            return false;
        }
        words[0] = __atomic_load_n(&slot[0], __ATOMIC_ACQUIRE);
        for (size_t i = 1; i < EVENT_WORDS; i++) {
            words[i] = __atomic_load_n(&slot[i], __ATOMIC_ACQUIRE);
        }
        if (words[0] == cursor + 1
            && __atomic_load_n(&slot[0], __ATOMIC_RELAXED) == words[0]) {
            memcpy(event, words, sizeof *event);
            reader->cursors[index] = cursor + 1;
            return true;
        }
        skip_lost(reader, index, head);
    }
    return false;
}

/* The slot at the cursor was overwritten.  Goes on in the middle of what the
 * ring still has, to be out of the producer's way. */
static void
skip_lost(struct mat_event_reader *reader, unsigned int index, uint64_t head)
{
    uint64_t half = reader->n_slots / 2;
    uint64_t cursor = reader->cursors[index];
    uint64_t next = head - cursor > half ? head - half : cursor + 1;

    reader->n_lost += next - cursor;
    reader->cursors[index] = next;
}

static size_t
ring_size(unsigned int n_slots)
{
    return sizeof(struct mat_event_ring) + n_slots * sizeof(struct mat_event);
}

static const struct mat_event_ring *
ring_at(const void *region, unsigned int n_slots, unsigned int index)
{
    const void *ring = (const char *) region + sizeof(struct mat_event_header)
                       + index * ring_size(n_slots);

    return ring;
}

static const uint64_t *
slot_at(const struct mat_event_ring *ring, unsigned int n_slots,
        uint64_t number)
{
    return (const uint64_t *) (const void *) (ring + 1)
           + (number & (n_slots - 1)) * EVENT_WORDS;
}
