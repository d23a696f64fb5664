/* SPDX-License-Identifier: Apache-2.0 */

/* Packets lie in an array of slots, and each used slot is in two lists: that
 * of its key, first in first out, and that of all packets by age.  All wait
 * equally long, so the oldest of all is also the oldest of its key, and
 * expiry takes the head of both.
 *
 * Keys lie in another array, are found by a hash with chains, and those that
 * have released packets are in a third list.  Lists are linked by index. */

#include "mat-hold.h"

#include <stdlib.h>

#define NONE UINT32_MAX

struct slot {
    void *packet;
    size_t size;
    int64_t deadline_ms;
    uint32_t key;
    uint32_t next;                  /* Of the same key; or next free one. */
    uint32_t newer, older;          /* Of all. */
};

struct queue {
    struct mat_hold_key key;
    uint32_t head, tail;
    unsigned int n_packets;
    unsigned int n_released;        /* From the head. */
    size_t n_bytes;
    uint32_t next;                  /* In its hash chain; or next free one. */
    uint32_t next_ready;            /* In the list of released ones. */
    bool is_ready;
};

/* How much there is of what the limits for all queues are about. */
struct usage {
    unsigned int n_keys;
    unsigned int n_packets;
    size_t n_bytes;
};

struct mat_hold {
    struct mat_hold_limits limits;
    uint64_t seed;
    struct slot *slots;
    struct queue *queues;
    uint32_t *chains;
    uint32_t n_chains;              /* A power of two. */
    uint32_t free_slot, free_queue;
    uint32_t oldest, newest;
    uint32_t first_ready, last_ready;
    struct usage all;
    struct usage guesses;           /* What does not wait for a VMN. */
    uint64_t counters[MAT_HOLD_N_COUNTERS];
};

static bool init_arrays(struct mat_hold *);
static uint32_t *chain_of(struct mat_hold *, const struct mat_hold_key *);
static struct queue *find(const struct mat_hold *,
                          const struct mat_hold_key *);
static struct queue *get(struct mat_hold *, const struct mat_hold_key *);
static void put_if_empty(struct mat_hold *, struct queue *);
static void *take_head(struct mat_hold *, struct queue *,
                       enum mat_hold_counter);
static void discard_from(struct mat_hold *, struct queue *,
                         bool (*takes)(void *packet, void *aux), void *aux);
static void free_slot(struct mat_hold *, struct queue *, uint32_t index,
                      enum mat_hold_counter);

const char *
mat_hold_counter_name(enum mat_hold_counter counter)
{
    static const char *const names[] = {
#define MAT_HOLD_COUNTER(ENUM, NAME, TEXT) NAME,
        MAT_HOLD_COUNTERS
#undef MAT_HOLD_COUNTER
    };

    return counter < MAT_HOLD_N_COUNTERS ? names[counter] : "?";
}

const char *
mat_hold_kind_name(enum mat_hold_kind kind)
{
    switch (kind) {
    case MAT_HOLD_VMN:
        return "vmn";
    case MAT_HOLD_SOURCE:
        return "source";
    case MAT_HOLD_HOA:
        return "hoa";
    case MAT_HOLD_MOA:
        return "moa";
    }
    return "?";
}

struct mat_hold *
mat_hold_create(const struct mat_hold_limits *limits, uint64_t seed)
{
    struct mat_hold *hold = calloc(1, sizeof *hold);

    if (hold) {
        hold->limits = *limits;
        hold->seed = seed;
        if (!init_arrays(hold)) {
            mat_hold_destroy(hold);
            hold = NULL;
        }
    }
    return hold;
}

void
mat_hold_destroy(struct mat_hold *hold)
{
    if (hold) {
        free(hold->slots);
        free(hold->queues);
        free(hold->chains);
        free(hold);
    }
}

static bool
init_arrays(struct mat_hold *hold)
{
    const struct mat_hold_limits *l = &hold->limits;

    hold->n_chains = 1;
    while (hold->n_chains < l->n_keys) {
        hold->n_chains *= 2;
    }
    hold->slots = calloc(l->n_packets, sizeof *hold->slots);
    hold->queues = calloc(l->n_keys, sizeof *hold->queues);
    hold->chains = calloc(hold->n_chains, sizeof *hold->chains);
    if (!hold->slots || !hold->queues || !hold->chains) {
        return false;
    }
    for (uint32_t i = 0; i < l->n_packets; i++) {
        hold->slots[i].next = i + 1 < l->n_packets ? i + 1 : NONE;
    }
    for (uint32_t i = 0; i < l->n_keys; i++) {
        hold->queues[i].next = i + 1 < l->n_keys ? i + 1 : NONE;
    }
    memset(hold->chains, 0xff, hold->n_chains * sizeof *hold->chains);
    hold->oldest = hold->newest = NONE;
    hold->first_ready = hold->last_ready = NONE;
    return true;
}

/* Which limit for all queues, divided by 'share', refuses another packet of
 * 'size' bytes; MAT_HOLD_HELD if none. */
static enum mat_hold_counter
check_usage(const struct mat_hold *hold, const struct usage *usage,
            unsigned int share, bool new_key, size_t size)
{
    const struct mat_hold_limits *l = &hold->limits;

    return (usage->n_packets >= l->n_packets / share ? MAT_HOLD_PACKETS
            : usage->n_bytes + size > l->n_bytes / share ? MAT_HOLD_BYTES
            : new_key && usage->n_keys >= l->n_keys / share ? MAT_HOLD_NO_KEY
            : MAT_HOLD_HELD);
}

/* The same for all limits.  'queue' is null for a key that has none. */
static enum mat_hold_counter
check_limits(const struct mat_hold *hold, const struct mat_hold_key *key,
             const struct queue *queue, size_t size)
{
    const struct mat_hold_limits *l = &hold->limits;
    enum mat_hold_counter result;

    if ((queue ? queue->n_bytes : 0) + size > l->n_key_bytes) {
        return MAT_HOLD_KEY_BYTES;
    } else if (queue && queue->n_packets >= l->n_key_packets) {
        return MAT_HOLD_KEY_PACKETS;
    }
    result = check_usage(hold, &hold->all, 1, !queue, size);
    return (result == MAT_HOLD_HELD && key->kind != MAT_HOLD_VMN
            ? check_usage(hold, &hold->guesses, 2, !queue, size) : result);
}

/* Adds to what is used by queues of the kind of 'key', or takes off. */
static void
use(struct mat_hold *hold, const struct mat_hold_key *key, unsigned int n_keys,
    unsigned int n_packets, size_t n_bytes)
{
    struct usage *usages[] = { &hold->all, &hold->guesses };
    size_t n = key->kind == MAT_HOLD_VMN ? 1 : 2;

    for (size_t i = 0; i < n; i++) {
        usages[i]->n_keys += n_keys;
        usages[i]->n_packets += n_packets;
        usages[i]->n_bytes += n_bytes;
    }
}

static void
unuse(struct mat_hold *hold, const struct mat_hold_key *key,
      unsigned int n_keys, unsigned int n_packets, size_t n_bytes)
{
    use(hold, key, 0 - n_keys, 0 - n_packets, 0 - n_bytes);
}

enum mat_hold_counter
mat_hold_check(struct mat_hold *hold, const struct mat_hold_key *key,
               size_t size)
{
    enum mat_hold_counter result = check_limits(hold, key, find(hold, key),
                                                size);

    if (result != MAT_HOLD_HELD) {
        hold->counters[result]++;
    }
    return result;
}

enum mat_hold_counter
mat_hold_add(struct mat_hold *hold, const struct mat_hold_key *key,
             void *packet, size_t size, int64_t now_ms, bool *first)
{
    struct queue *queue = find(hold, key);
    enum mat_hold_counter result = check_limits(hold, key, queue, size);
    uint32_t index = hold->free_slot;
    struct slot *slot;

    hold->counters[result]++;
    *first = result == MAT_HOLD_HELD && (!queue || !queue->n_packets);
    if (result != MAT_HOLD_HELD) {
        return result;
    }
    queue = queue ? queue : get(hold, key);
    slot = &hold->slots[index];
    hold->free_slot = slot->next;
    *slot = (struct slot) {
        .packet = packet,
        .size = size,
        .deadline_ms = now_ms + hold->limits.timeout_ms,
        .key = (uint32_t) (queue - hold->queues),
        .next = NONE,
        .newer = NONE,
        .older = hold->newest,
    };
    *(queue->n_packets ? &hold->slots[queue->tail].next
      : &queue->head) = index;
    queue->tail = index;
    *(hold->newest != NONE ? &hold->slots[hold->newest].newer
      : &hold->oldest) = index;
    hold->newest = index;
    queue->n_packets++;
    queue->n_bytes += size;
    use(hold, key, 0, 1, size);
    return result;
}

size_t
mat_hold_release(struct mat_hold *hold, const struct mat_hold_key *key)
{
    struct queue *queue = find(hold, key);
    uint32_t index;

    if (!queue) {
        return 0;
    }
    queue->n_released = queue->n_packets;
    if (!queue->is_ready) {
        index = (uint32_t) (queue - hold->queues);
        queue->is_ready = true;
        queue->next_ready = NONE;
        *(hold->last_ready != NONE ? &hold->queues[hold->last_ready].next_ready
          : &hold->first_ready) = index;
        hold->last_ready = index;
    }
    return queue->n_packets;
}

void *
mat_hold_pop_released(struct mat_hold *hold)
{
    while (hold->first_ready != NONE) {
        struct queue *queue = &hold->queues[hold->first_ready];

        if (queue->n_released) {
            return take_head(hold, queue, MAT_HOLD_RELEASED);
        }
        hold->first_ready = queue->next_ready;
        if (hold->first_ready == NONE) {
            hold->last_ready = NONE;
        }
        queue->is_ready = false;
        put_if_empty(hold, queue);
    }
    return NULL;
}

unsigned int
mat_hold_n_waiting(const struct mat_hold *hold, const struct mat_hold_key *key)
{
    const struct queue *queue = find(hold, key);

    return queue ? queue->n_packets : 0;
}

void *
mat_hold_pop(struct mat_hold *hold, const struct mat_hold_key *key)
{
    struct queue *queue = find(hold, key);
    void *packet = NULL;

    if (queue && queue->n_packets) {
        packet = take_head(hold, queue, MAT_HOLD_DISCARDED);
        put_if_empty(hold, queue);
    }
    return packet;
}

void
mat_hold_discard_if(struct mat_hold *hold,
                    bool (*takes)(void *packet, void *aux), void *aux)
{
    for (unsigned int i = 0; i < hold->limits.n_keys; i++) {
        struct queue *queue = &hold->queues[i];

        if (queue->n_packets) {
            discard_from(hold, queue, takes, aux);
            put_if_empty(hold, queue);
        }
    }
}

void *
mat_hold_pop_expired(struct mat_hold *hold, int64_t now_ms,
                     struct mat_hold_key *key)
{
    struct queue *queue;
    void *packet;

    if (now_ms < mat_hold_deadline_ms(hold)) {
        return NULL;
    }
    queue = &hold->queues[hold->slots[hold->oldest].key];
    *key = queue->key;
    packet = take_head(hold, queue, MAT_HOLD_EXPIRED);
    put_if_empty(hold, queue);
    return packet;
}

int64_t
mat_hold_deadline_ms(const struct mat_hold *hold)
{
    return hold->oldest != NONE ? hold->slots[hold->oldest].deadline_ms
                                : INT64_MAX;
}

bool
mat_hold_next(const struct mat_hold *hold, unsigned int *cursor,
              struct mat_hold_queue *info)
{
    while (*cursor < hold->limits.n_keys) {
        const struct queue *queue = &hold->queues[(*cursor)++];

        if (queue->n_packets) {
            info->key = queue->key;
            info->n_packets = queue->n_packets;
            info->n_bytes = queue->n_bytes;
            info->deadline_ms = hold->slots[queue->head].deadline_ms;
            return true;
        }
    }
    return false;
}

unsigned int
mat_hold_n_packets(const struct mat_hold *hold)
{
    return hold->all.n_packets;
}

size_t
mat_hold_n_bytes(const struct mat_hold *hold)
{
    return hold->all.n_bytes;
}

uint64_t
mat_hold_count(const struct mat_hold *hold, enum mat_hold_counter counter)
{
    return hold->counters[counter];
}

void
mat_hold_clear_counters(struct mat_hold *hold)
{
    memset(hold->counters, 0, sizeof hold->counters);
}

/* Takes the oldest packet of 'queue', and counts how it leaves. */
static void *
take_head(struct mat_hold *hold, struct queue *queue,
          enum mat_hold_counter how)
{
    uint32_t index = queue->head;
    void *packet = hold->slots[index].packet;

    queue->head = hold->slots[index].next;
    queue->n_released -= queue->n_released > 0;
    free_slot(hold, queue, index, how);
    return packet;
}

/* Discards from 'queue', which is not empty, what 'takes' takes. */
static void
discard_from(struct mat_hold *hold, struct queue *queue,
             bool (*takes)(void *packet, void *aux), void *aux)
{
    unsigned int n = queue->n_packets, n_released = queue->n_released;
    uint32_t index = queue->head, *link = &queue->head;

    for (unsigned int i = 0; i < n; i++) {
        struct slot *slot = &hold->slots[index];
        uint32_t next = slot->next;

        if (takes(slot->packet, aux)) {
            *link = next;
            queue->n_released -= i < n_released;
            free_slot(hold, queue, index, MAT_HOLD_DISCARDED);
        } else {
            link = &slot->next;
            queue->tail = index;
        }
        index = next;
    }
}

/* Frees a slot that is in the list of 'queue' no more, and counts how its
 * packet leaves. */
static void
free_slot(struct mat_hold *hold, struct queue *queue, uint32_t index,
          enum mat_hold_counter how)
{
    struct slot *slot = &hold->slots[index];

    queue->n_packets--;
    queue->n_bytes -= slot->size;
    unuse(hold, &queue->key, 0, 1, slot->size);
    *(slot->older != NONE ? &hold->slots[slot->older].newer
      : &hold->oldest) = slot->newer;
    *(slot->newer != NONE ? &hold->slots[slot->newer].older
      : &hold->newest) = slot->older;
    slot->next = hold->free_slot;
    hold->free_slot = index;
    hold->counters[how]++;
}

/* Keys. */

/* Guests choose the addresses, so the order in the table must be a secret. */
static uint32_t *
chain_of(struct mat_hold *hold, const struct mat_hold_key *key)
{
    uint64_t words[2], h = hold->seed;

    memcpy(words, &key->addr, sizeof words);
    h = (h ^ words[0]) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 32 ^ words[1]) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ h >> 32 ^ key->zone ^ (uint64_t) key->kind << 32)
        * UINT64_C(0x94d049bb133111eb);
    return &hold->chains[(h >> 32) & (hold->n_chains - 1)];
}

static struct queue *
find(const struct mat_hold *hold, const struct mat_hold_key *key)
{
    uint32_t index = *chain_of((struct mat_hold *) hold, key);

    while (index != NONE) {
        struct queue *queue = &hold->queues[index];

        if (queue->key.kind == key->kind && queue->key.zone == key->zone
            && mat_addr_equal(&queue->key.addr, &key->addr)) {
            return queue;
        }
        index = queue->next;
    }
    return NULL;
}

/* A new queue for 'key', which has none.  There is a free one. */
static struct queue *
get(struct mat_hold *hold, const struct mat_hold_key *key)
{
    uint32_t *chain = chain_of(hold, key);
    uint32_t index = hold->free_queue;
    struct queue *queue = &hold->queues[index];

    hold->free_queue = queue->next;
    memset(queue, 0, sizeof *queue);
    queue->key = *key;
    queue->next = *chain;
    *chain = index;
    use(hold, key, 1, 0, 0);
    return queue;
}

static void
put_if_empty(struct mat_hold *hold, struct queue *queue)
{
    uint32_t index = (uint32_t) (queue - hold->queues);
    uint32_t *link = chain_of(hold, &queue->key);

    if (queue->n_packets || queue->is_ready) {
        return;
    }
    while (*link != index) {
        link = &hold->queues[*link].next;
    }
    *link = queue->next;
    queue->next = hold->free_queue;
    hold->free_queue = index;
    unuse(hold, &queue->key, 1, 0, 0);
}
