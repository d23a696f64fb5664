/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_GOSSIP_H
#define MATD_GOSSIP_H 1

/* The gossip engine's life in matd: one UDP socket, the flight recorder, and
 * the pump between socket, engine and agent.
 *
 *     socket ──recvmmsg──> recorder ──> engine ──┬─> send queues ──> socket
 *     clock  ────tick────>                       └─> 'output' callback
 *
 * The engine exists while there are keys.  The agent makes its own calls to
 * it, by mat_call_make() with matd_gossip_engine() and matd_gossip_recorder();
 * what they bring about is drained by the next matd_gossip_run() or, where it
 * is urgent, matd_gossip_flush().
 *
 * The socket is of IPv6 and takes IPv4 too, if it is bound to an unspecified
 * address; it never blocks.  What waits in it is fed to the engine together
 * before draining, for half a millisecond at most, then others get a turn.
 * Moves and acknowledgements are sent before anything else; what the kernel
 * cannot take now waits in two bounded queues, the urgent first.  What an
 * error loses is counted; the engine sends again.  If the address is not there
 * (yet), the bind is tried again once a second and the engine goes on.
 *
 * A datagram whose first byte is MAT_PATH_MAGIC is not of the engine and goes
 * to the 'path' callback (see matd-path.h).
 *
 * Keys: new join keys and a renewed certificate of the same identity are
 * taken over by the running engine; another identity or cluster means another
 * engine, for which matd_gossip_set_keys() asks by false.
 *
 * A recording that still has its beginning can be replayed by who has the keys
 * of the host: matd-recording.h.
 *
 * Needs no Open vSwitch but for matd_gossip_wait(), in matd-wait.c.
 * Threads: one caller at a time. */

#include "mat-call.h"
#include "mat-gossip.h"
#include "matd-keys.h"

enum {
    MATD_GOSSIP_PORT = 19777,
    MATD_GOSSIP_RECORDER_BYTES = 16 << 20,
    MATD_GOSSIP_ERROR_MAX = 512
};

/* May change while the engine runs. */
struct matd_gossip_config {
    struct mat_endpoint bind;   /* Address zero: all. */
    struct mat_endpoint advertised;     /* Where peers find this host. */
    uint16_t mtu;               /* Of the underlay.  Of the next engine. */
    struct mat_endpoint seeds[MAT_GOSSIP_SEEDS_MAX];
    size_t n_seeds;
    bool all_zones;             /* Of the next engine. */
};

/* MATD_GOSSIP_COUNTER(ENUM, "text") */
#define MATD_GOSSIP_COUNTERS                                                \
    MATD_GOSSIP_COUNTER(RX, "datagrams received")                           \
    MATD_GOSSIP_COUNTER(RX_BYTES, "bytes received")                         \
    MATD_GOSSIP_COUNTER(RX_BATCHES, "recvmmsg() calls that gave any")       \
    MATD_GOSSIP_COUNTER(RX_TRUNCATED, "datagrams too long, dropped")        \
    MATD_GOSSIP_COUNTER(RX_OVERFLOW, "datagrams lost in a full socket")     \
    MATD_GOSSIP_COUNTER(RX_ERRORS, "errors of recvmmsg()")                  \
    MATD_GOSSIP_COUNTER(RX_PATH, "path probes and answers received")        \
    MATD_GOSSIP_COUNTER(TX, "datagrams sent")                               \
    MATD_GOSSIP_COUNTER(TX_BYTES, "bytes sent")                             \
    MATD_GOSSIP_COUNTER(TX_BATCHES, "sendmmsg() calls that took any")       \
    MATD_GOSSIP_COUNTER(TX_URGENT, "of these, moves and acknowledgements")  \
    MATD_GOSSIP_COUNTER(TX_WAITED, "datagrams that waited for the socket")  \
    MATD_GOSSIP_COUNTER(TX_DROPPED, "datagrams dropped, queue full")        \
    MATD_GOSSIP_COUNTER(TX_ERRORS, "datagrams lost to an error")            \
    MATD_GOSSIP_COUNTER(BINDS, "times the socket was bound")                \
    MATD_GOSSIP_COUNTER(BIND_ERRORS, "times it could not be bound")

enum matd_gossip_counter {
#define MATD_GOSSIP_COUNTER(ENUM, TEXT) MATD_GOSSIP_##ENUM,
    MATD_GOSSIP_COUNTERS
#undef MATD_GOSSIP_COUNTER
    MATD_GOSSIP_N_COUNTERS
};

/* What the pump calls.  None of them may destroy it. */
struct matd_gossip_hooks {
    void *aux;

    /* What the engine says, but for SEND and GENERATION. */
    void (*output)(void *aux, int64_t now_us, const struct mat_output *);

    /* Puts 'generation' on disk, before anything more is sent. */
    void (*keep_generation)(void *aux, uint32_t generation);

    /* A datagram of matd-path.h, of which less than 'size' may be there, but
     * enough for its message.  May be null. */
    void (*path)(void *aux, int64_t now_us, const struct mat_endpoint *from,
                 const uint8_t *data, size_t size);

    /* One line for the log, when something changes. */
    void (*log)(void *aux, bool is_error, const char *line);
};

struct matd_gossip;

struct matd_gossip *matd_gossip_create(const struct matd_gossip_hooks *);
void matd_gossip_destroy(struct matd_gossip *);

/* Takes effect at once: binds again if the address has changed, and tells the
 * engine and so the peers. */
void matd_gossip_configure(struct matd_gossip *, int64_t now_us,
                           const struct matd_gossip_config *);

/* Starts an engine with a generation that was never used.  False, with 'error'
 * filled in, if there is one already or the keys are not good. */
bool matd_gossip_start(struct matd_gossip *, int64_t now_us,
                       const struct matd_keys *, uint32_t generation,
                       char error[MATD_GOSSIP_ERROR_MAX]);

/* Ends the engine, telling the peers first if 'leave'. */
void matd_gossip_stop(struct matd_gossip *, int64_t now_us, bool leave);

/* Gives the running engine other keys.  False if that needs another engine. */
bool matd_gossip_set_keys(struct matd_gossip *, int64_t now_us,
                          const struct matd_keys *);

/* A revocation as it is in its file (matd-keys.h).  It spreads to all. */
bool matd_gossip_revoke(struct matd_gossip *, int64_t now_us,
                        const char *armour, size_t size,
                        char error[MATD_GOSSIP_ERROR_MAX]);

/* Null while there is no engine. */
struct mat_gossip *matd_gossip_engine(struct matd_gossip *);

/* The recording of this engine and those before; secret, since join keys may
 * be in it. */
struct mat_recorder *matd_gossip_recorder(struct matd_gossip *);

/* Receives, ticks, drains and sends.  flush: only drains and sends. */
void matd_gossip_run(struct matd_gossip *, int64_t now_us);
void matd_gossip_flush(struct matd_gossip *, int64_t now_us);
void matd_gossip_wait(struct matd_gossip *, int64_t now_us);

/* For the poll loop: -1 if there is no socket now; events of poll(2); when to
 * run at the latest. */
int matd_gossip_fd(const struct matd_gossip *);
short int matd_gossip_events(const struct matd_gossip *);
int64_t matd_gossip_deadline_us(const struct matd_gossip *);

/* What was last given to matd_gossip_configure(). */
const struct matd_gossip_config *
matd_gossip_get_config(const struct matd_gossip *);

/* Sends a datagram that is not of the engine. */
void matd_gossip_send(struct matd_gossip *, const struct mat_endpoint *to,
                      const void *data, size_t size);

uint64_t matd_gossip_counter(const struct matd_gossip *,
                             enum matd_gossip_counter);
const char *matd_gossip_counter_text(enum matd_gossip_counter);

/* Where the socket is bound to; false, with why in '*error', if it is not. */
bool matd_gossip_bound(const struct matd_gossip *, struct mat_endpoint *,
                       const char **error);

#endif /* matd-gossip.h */
