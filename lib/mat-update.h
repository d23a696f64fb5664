/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_UPDATE_H
#define MAT_UPDATE_H 1

/* The messages of the update socket, for both of its ends.
 *
 * A client sends a request and gets exactly one reply, in order, with the
 * request's id.  Each is one packet of a SOCK_SEQPACKET socket, of at most
 * MAT_UPDATE_MESSAGE_MAX bytes; numbers are in network byte order:
 *
 *   0                   4         5         6                   8
 *   +-------------------+---------+---------+-------------------+
 *   | magic "MATU"      | version | type    | kind              |
 *   +-------------------+---------+---------+-------------------+
 *   | id                          | count                       |
 *   +-----------------------------+-----------------------------+
 *   | cursor                                                    |
 *   +-----------------------------------------------------------+
 *   | 'count' operations ...
 *
 * and an operation, which in a reply is an item of what was asked for:
 *
 *   0         2         4
 *   +---------+---------+---------------------------------------+
 *   | type    | size    | what the type says, see below         |
 *   +---------+---------+---------------------------------------+
 *
 * 'size' counts these four bytes too.  "kind" and "cursor" are zero, and there
 * are no operations, except here:
 *
 *   request      kind   cursor   operations    reply
 *   ----------   ----   ------   -----------   -----------------------------
 *   hello                                      items: numbers by name
 *   batch                        to be done    ok: all done and seen by all
 *   flush                                      ok: no entries any more
 *   dump         what   where                  items, cursor to go on or 0
 *   stats                                      items: numbers by name
 *   stats-clear                                ok
 *   subscribe                                  ok with two file descriptors
 *                                              (memory of mat-event.h, read
 *                                              only, and a socket); cursor
 *                                              is the size of the memory
 *   barrier                                    ok
 *
 *   reply        kind   cursor   operations
 *   ----------   ------ -------- -----------------------------------------
 *   ok                  (above)
 *   items               go on    what was asked for
 *   error        reason index    one text; index of the operation to blame,
 *                                all ones if it is the message itself
 *
 * Operations (the text after each is its content, in bytes):
 *
 *   entry-put       zone 4, hoa 16, moa 16, plen 1, state 1, hold 1,
 *                   accessed 1, mac 6, nexthop 2, port name, and if it is
 *                   not zero: former moa 16
 *   entry-remove    zone 4, hoa 16, moa 16, plen 1    moa zero: the live one
 *   hold            zone 4, hoa 16, moa 16, hold 1    moa zero: the live one
 *   release         zone 4, addr 16                   what waits goes on
 *   discard         zone 4, addr 16                   what waits is dropped
 *   port-put        role 1, mac 6, mtu 2, odp port 4, name
 *   port-remove     name
 *   nexthop-put     id 2, src mac 6, dst mac 6, mtu 2, and if it is behind:
 *                   behind 1
 *   nexthop-remove  id 2
 *   zone-put        zone 4, outside 1, nexthop 2, n 1, then n times
 *                   prefix 16, plen 1, gateway 16
 *   zone-remove     zone 4
 *   pool-put        prefix 16, plen 1, own 1
 *   pool-remove     prefix 16, plen 1
 *   inject          port name, size 2, the frame
 *   number          value 8, name                     (items only)
 *   text            size 2, the bytes                 (items only)
 *
 * A name is one byte of length and that many bytes of printable ASCII without
 * spaces.  Addresses are as in mat-addr.h.
 *
 * There is one encoding of everything: a decoder that accepts a message and
 * encodes it again gets the same bytes.  It accepts nothing that is not drawn
 * here, so that what is reserved can get a meaning with a new version.
 *
 * Threads, ownership: none; everything works on the caller's memory. */

#include "mat-table.h"

enum {
    MAT_UPDATE_MAGIC = 0x4d415455,      /* "MATU". */
    MAT_UPDATE_VERSION = 1,
    MAT_UPDATE_HEADER_SIZE = 24,
    MAT_UPDATE_MESSAGE_MAX = 65536,     /* Below the default of SO_SNDBUF. */
    MAT_UPDATE_FRAME_MAX = 16384,       /* Jumbo frames and some. */
    MAT_UPDATE_TEXT_MAX = 1024
};

#define MAT_UPDATE_NO_INDEX UINT64_MAX  /* The message, not an operation. */

enum mat_update_type {
    MAT_UPDATE_HELLO = 1,
    MAT_UPDATE_BATCH,
    MAT_UPDATE_FLUSH,
    MAT_UPDATE_DUMP,
    MAT_UPDATE_STATS,
    MAT_UPDATE_STATS_CLEAR,
    MAT_UPDATE_SUBSCRIBE,
    MAT_UPDATE_BARRIER,

    MAT_UPDATE_OK = 0x81,
    MAT_UPDATE_ERROR,
    MAT_UPDATE_ITEMS
};

enum mat_update_dump {
    MAT_UPDATE_DUMP_ENTRIES = 1,
    MAT_UPDATE_DUMP_HARVEST,        /* Accessed entries; clears the marks. */
    MAT_UPDATE_DUMP_PORTS,
    MAT_UPDATE_DUMP_NEXTHOPS,
    MAT_UPDATE_DUMP_ZONES,
    MAT_UPDATE_DUMP_POOLS
};

enum mat_update_op_type {
    MAT_OP_ENTRY_PUT = 1,
    MAT_OP_ENTRY_REMOVE,
    MAT_OP_HOLD,
    MAT_OP_RELEASE,
    MAT_OP_DISCARD,
    MAT_OP_PORT_PUT,
    MAT_OP_PORT_REMOVE,
    MAT_OP_NEXTHOP_PUT,
    MAT_OP_NEXTHOP_REMOVE,
    MAT_OP_ZONE_PUT,
    MAT_OP_ZONE_REMOVE,
    MAT_OP_POOL_PUT,
    MAT_OP_POOL_REMOVE,
    MAT_OP_INJECT,
    MAT_OP_NUMBER,
    MAT_OP_TEXT,
    MAT_OP_END                      /* No type; one past the last. */
};

/* Why a message is refused.  Reasons of the table (enum mat_table_error) are
 * sent as MAT_UPDATE_TABLE_ERRORS plus their number.
 *
 * MAT_UPDATE_REASON(ENUM, "text") */
#define MAT_UPDATE_REASONS                                                  \
    MAT_UPDATE_REASON(GOOD, "no error")                                     \
    MAT_UPDATE_REASON(SHORT, "message ends too early")                      \
    MAT_UPDATE_REASON(LONG, "message is longer than what it contains")      \
    MAT_UPDATE_REASON(BAD_MAGIC, "message is not of this protocol")         \
    MAT_UPDATE_REASON(BAD_VERSION, "protocol version is not supported")     \
    MAT_UPDATE_REASON(BAD_TYPE, "message type is not known")                \
    MAT_UPDATE_REASON(BAD_KIND, "message kind is not known")                \
    MAT_UPDATE_REASON(BAD_CURSOR, "cursor is not zero")                     \
    MAT_UPDATE_REASON(BAD_COUNT, "this message has no operations")          \
    MAT_UPDATE_REASON(BAD_OP, "operation is not known, or not here")        \
    MAT_UPDATE_REASON(BAD_OP_SIZE, "operation's size is wrong")             \
    MAT_UPDATE_REASON(BAD_NAME, "name is empty, too long or not printable") \
    MAT_UPDATE_REASON(BAD_VALUE, "value is out of its range")               \
    MAT_UPDATE_REASON(NOT_ALLOWED, "not allowed")                           \
    MAT_UPDATE_REASON(TOO_MANY, "too many of them already")                 \
    MAT_UPDATE_REASON(NO_PORT, "port does not exist")                       \
    MAT_UPDATE_REASON(NO_EVENTS, "no memory for events")

enum mat_update_reason {
#define MAT_UPDATE_REASON(ENUM, TEXT) MAT_UPDATE_##ENUM,
    MAT_UPDATE_REASONS
#undef MAT_UPDATE_REASON
    MAT_UPDATE_N_REASONS,
    MAT_UPDATE_TABLE_ERRORS = 0x100
};

/* The text of a reason, of either kind. */
const char *mat_update_strerror(unsigned int reason);

struct mat_op {
    enum mat_update_op_type type;
    union {
        struct mat_entry entry;     /* entry-*, hold. */
        struct {
            uint32_t zone;
            struct mat_addr addr;
        } held;                     /* release, discard. */
        struct mat_port port;       /* port-*. */
        struct mat_nexthop nexthop; /* nexthop-*. */
        struct mat_zone zone;       /* zone-*. */
        struct mat_pool pool;       /* pool-*. */
        struct {
            char port[MAT_PORT_NAME_SIZE];
            const uint8_t *frame;   /* Of the caller, or in the message. */
            uint16_t size;
        } inject;
        struct {
            char name[MAT_PORT_NAME_SIZE];
            uint64_t value;
        } number;
        struct {
            const char *s;          /* Of the caller, or in the message. */
            uint16_t size;          /* There is no NUL. */
        } text;
    };
};

struct mat_update_header {
    enum mat_update_type type;
    uint16_t kind;
    uint32_t id;
    uint32_t count;
    uint64_t cursor;
};

/* Encoding: begin, add until one does not fit or there are no more, end. */
struct mat_update_writer {
    uint8_t *data;                  /* The caller's buffer. */
    size_t size;                    /* Used. */
    size_t capacity;
    uint32_t count;
};

/* 'buffer' has room for at least MAT_UPDATE_HEADER_SIZE bytes. */
void mat_update_begin(struct mat_update_writer *, void *buffer,
                      size_t capacity);

/* False, and nothing changed, if there is no room.  'op' must be valid. */
bool mat_update_add(struct mat_update_writer *, const struct mat_op *op);

/* Writes the header ('count' is the writer's own) and returns the size of the
 * message. */
size_t mat_update_end(struct mat_update_writer *,
                      const struct mat_update_header *);

/* Decoding. */
struct mat_update_reader {
    const uint8_t *data;
    size_t size;
    size_t offset;                  /* Of the next operation. */
    uint32_t left;                  /* Operations still to come. */
};

/* Checks a whole message, with all its operations.  On success fills
 * '*header' and prepares '*reader' to walk the operations.  Otherwise sets
 * '*bad' to the operation to blame, or to MAT_UPDATE_NO_INDEX; 'header->id' is
 * set if the message is long enough to have one, else zero. */
enum mat_update_reason mat_update_open(struct mat_update_reader *,
                                       struct mat_update_header *,
                                       const void *message, size_t size,
                                       uint64_t *bad);

/* The next operation of a message that mat_update_open() has accepted; false
 * after the last.  Frames and texts point into the message. */
bool mat_update_next(struct mat_update_reader *, struct mat_op *);

#endif /* mat-update.h */
