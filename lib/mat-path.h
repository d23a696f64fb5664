/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_PATH_H
#define MAT_PATH_H 1

/* What a path between two hosts does to packets, found out by probes.
 *
 *     plain    from the host's own address, by its socket: is there a path,
 *              and how long is it
 *     own      from a MoA of this host, as the packets of its VMNs are: does
 *              the network carry them
 *     foreign  from a MoA of the other host, as redirected packets are: does
 *              the network check sources
 *     mtu      the greatest packet that arrives whole, by halving the range
 *
 * A probe is a UDP datagram to the other host's gossip port; its answer, from
 * and to the hosts' own addresses, says from where the probe seemed to come
 * and how long it was, so a translated address shows.  Big-endian:
 *
 *     | magic (1) | kind (1) | label (2) | sender (8) | session (8) |
 *     | number (4) | port (2) | size (2) | address (16) | tag (16) | zeros
 *
 * where port and address are the probe's source, as sent or as seen, and size
 * is that of the IP packet.  The tag is a hash with a key of the pair, so
 * that nobody else gets or gives an answer; zeros fill a probe up.
 *
 * struct mat_path is one measurement, a pure state machine: the caller sends
 * what mat_path_next() says, feeds what is answered, and looks again at
 * mat_path_deadline_us().  It takes some seconds at most and some 60 probes.
 * A lost probe is repeated, so loss does not look like a check of sources. */

#include "mat-crypto.h"
#include "mat-host.h"

enum {
    MAT_PATH_MAGIC = 0x50,      /* Not MAT_WIRE_MAGIC: the port is shared. */
    MAT_PATH_MESSAGE_SIZE = 60,
    MAT_PATH_MTU_MIN_V4 = 576,
    MAT_PATH_MTU_MIN_V6 = 1280,
    MAT_PATH_FRAME_MAX = 14 + 9216,
    MAT_PATH_RTTS = 5,          /* Plain probes, all sent. */
    MAT_PATH_TRIES = 4,         /* Until a probe counts as dropped. */
    MAT_PATH_SIZE_TRIES = 3     /* The same for each size. */
};

/* WHERE asks what the other host knows of a HoA: 'number' is the zone,
 * 'source' has the HoA.  KNOWS answers: 'source' has the live MoA in its table
 * (zero: none), 'number' and 'source.port' epoch and the last bits of seq of
 * the record, 'size' MAT_PATH_KNOWS_* flags. */
enum mat_path_kind {
    MAT_PATH_PROBE = 1,
    MAT_PATH_ANSWER,
    MAT_PATH_WHERE,
    MAT_PATH_KNOWS
};

enum {
    MAT_PATH_KNOWS_HERE = 1,    /* The VMN is at the host that says so. */
    MAT_PATH_KNOWS_IN_SYNC = 2, /* Its switch has what its agent knows. */
    MAT_PATH_KNOWS_FROZEN = 4
};

struct mat_path_message {
    enum mat_path_kind kind;
    uint16_t label;
    uint64_t sender, session;
    uint32_t number;
    struct mat_endpoint source;
    uint16_t size;
};

/* The key of the pair, from the other's public key. */
bool mat_path_key(const struct mat_crypto *,
                  const uint8_t public_key[MAT_PUBLIC_KEY_SIZE],
                  uint16_t label, uint64_t a, uint64_t b,
                  uint8_t key[MAT_SECRET_SIZE]);

/* Writes a message of MAT_PATH_MESSAGE_SIZE bytes. */
void mat_path_encode(const struct mat_path_message *,
                     const struct mat_crypto *,
                     const uint8_t key[MAT_SECRET_SIZE],
                     uint8_t bytes[MAT_PATH_MESSAGE_SIZE]);

/* Reads a message, whose tag is yet to be checked: for that its sender must be
 * known.  False if it is not well formed. */
bool mat_path_decode(const uint8_t *bytes, size_t size,
                     struct mat_path_message *);
bool mat_path_verify(const uint8_t *bytes, size_t size,
                     const struct mat_crypto *,
                     const uint8_t key[MAT_SECRET_SIZE]);

/* The size of the IP packet that carries 'size' bytes of UDP payload to or
 * from 'addr'. */
size_t mat_path_ip_size(const struct mat_addr *addr, size_t size);

/* Writes the frame of a probe from 'from' to 'to', an IP packet of 'ip_size'
 * bytes that must not be fragmented.  Returns its size, or 0 if it does not
 * fit in 'cap', or the message not in 'ip_size'. */
size_t mat_path_frame(const struct mat_mac *src, const struct mat_mac *dst,
                      const struct mat_endpoint *from,
                      const struct mat_endpoint *to, uint16_t ip_size,
                      const uint8_t message[MAT_PATH_MESSAGE_SIZE],
                      uint8_t *frame, size_t cap);

/* A measurement. */
enum mat_path_test {
    MAT_PATH_PLAIN,
    MAT_PATH_OWN,
    MAT_PATH_FOREIGN,
    MAT_PATH_MTU,
    MAT_PATH_N_TESTS
};

enum mat_path_state {
    MAT_PATH_UNTESTED,          /* No address to test it with, or no path. */
    MAT_PATH_TESTING,
    MAT_PATH_CARRIED,
    MAT_PATH_DROPPED
};

struct mat_path_config {
    struct mat_endpoint here, there;    /* Of one family. */
    struct mat_addr own_moa, foreign_moa;       /* Zero: none to test. */
    uint16_t mtu;               /* Of this host's uplink; 0: not tested. */
};

struct mat_path_send {
    uint32_t number;
    enum mat_path_test test;
    bool by_socket;             /* Else as a frame of 'size'. */
    struct mat_endpoint from, to;
    uint16_t size;              /* Of the IP packet. */
};

struct mat_path_result {
    enum mat_path_state tests[MAT_PATH_N_TESTS];
    int64_t rtt_min_us, rtt_avg_us, rtt_max_us; /* -1: not known. */
    uint32_t n_sent, n_answered;
    uint16_t mtu;               /* Greatest that arrived, 0: none. */
    bool is_translated;
    struct mat_endpoint sent_as, seen_as;       /* If translated. */
};

enum { MAT_PATH_PROBES_MAX = 128 };

struct mat_path {
    struct mat_path_config config;
    struct mat_path_result result;
    struct {
        int64_t sent_us;
        enum mat_path_test test;
        struct mat_endpoint from;
        uint16_t size;
        bool is_answered;
    } probes[MAT_PATH_PROBES_MAX];
    uint32_t n_probes;          /* Numbers are indexes. */

    /* The step under way: a test, or one size of the last test. */
    enum mat_path_test test;
    uint32_t n_tries;
    uint32_t n_answers;
    int64_t next_us;            /* When to send again or to give up. */
    int64_t timeout_us;
    int64_t rtt_sum_us;

    /* The size that is tried, and between which it lies. */
    uint16_t size, good_size, bad_size;
    bool is_done;
};

void mat_path_start(struct mat_path *, const struct mat_path_config *,
                    int64_t now_us);

/* The next probe to be sent now; false if there is none before the deadline,
 * or no more at all. */
bool mat_path_next(struct mat_path *, int64_t now_us, struct mat_path_send *);

/* An answer with a good tag has arrived. */
void mat_path_answered(struct mat_path *, int64_t now_us,
                       const struct mat_path_message *);

bool mat_path_is_done(const struct mat_path *);
int64_t mat_path_deadline_us(const struct mat_path *);
const struct mat_path_result *mat_path_result(const struct mat_path *);

const char *mat_path_test_name(enum mat_path_test);
const char *mat_path_state_name(enum mat_path_state);

#endif /* mat-path.h */
