/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "matd-udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mat-mem.h"

enum {
    TOS = 0xc0,                 /* CS6, network control: a move is one. */
    N_QUEUES = 2                /* Urgent, others. */
};

struct item {
    struct item *next;
    struct mat_endpoint to;
    size_t size;
    uint8_t data[];
};

struct queue {
    struct item *first, *last;
    size_t n;
    size_t n_waited;            /* Of these, from the first on. */
};

union address {
    struct sockaddr sa;
    struct sockaddr_in sin;
    struct sockaddr_in6 sin6;
};

union control {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))
                  + CMSG_SPACE(sizeof(uint32_t))];
};

/* What a system call for many datagrams wants. */
struct batch {
    struct mmsghdr messages[MATD_UDP_BATCH];
    struct iovec vectors[MATD_UDP_BATCH];
    union address addresses[MATD_UDP_BATCH];
    union control controls[MATD_UDP_BATCH];
};

struct matd_udp {
    int fd;
    bool is_v6;                 /* Family of the socket. */
    bool has_source;            /* Bound to no address, but speaks as: */
    struct mat_addr source;
    struct mat_endpoint bound;
    uint64_t *counters;
    uint32_t overflow;          /* The kernel's count, for this socket. */
    struct queue queues[N_QUEUES];
    int error;
    struct mat_endpoint error_to;

    struct batch rx, tx;
    int rx_next, rx_n;          /* Of 'rx', what is not taken yet. */
    uint8_t data[MATD_UDP_BATCH][MATD_UDP_DATAGRAM_MAX];        /* Of 'rx'. */
};

struct matd_udp *
matd_udp_create(uint64_t *counters)
{
    struct matd_udp *u = mat_xcalloc(1, sizeof *u);

    u->fd = -1;
    u->counters = counters;
    return u;
}

static struct item *
pop(struct queue *queue)
{
    struct item *item = queue->first;

    queue->first = item->next;
    queue->n--;
    queue->n_waited -= queue->n_waited > 0;
    return item;
}

void
matd_udp_destroy(struct matd_udp *u)
{
    if (u) {
        matd_udp_close(u);
        for (int i = 0; i < N_QUEUES; i++) {
            while (u->queues[i].n) {
                free(pop(&u->queues[i]));
            }
        }
        free(u);
    }
}

/* Addresses. */

static socklen_t
to_sockaddr(const struct matd_udp *u, const struct mat_endpoint *e,
            union address *a)
{
    memset(a, 0, sizeof *a);
    if (u->is_v6) {
        a->sin6.sin6_family = AF_INET6;
        a->sin6.sin6_port = htons(e->port);
        memcpy(&a->sin6.sin6_addr, e->addr.b, sizeof e->addr.b);
        return sizeof a->sin6;
    }
    a->sin.sin_family = AF_INET;
    a->sin.sin_port = htons(e->port);
    memcpy(&a->sin.sin_addr, &e->addr.b[12], 4);
    return sizeof a->sin;
}

static struct mat_endpoint
from_sockaddr(const union address *a)
{
    if (a->sa.sa_family == AF_INET6) {
        return (struct mat_endpoint) {
            mat_addr_from_v6(&a->sin6.sin6_addr), ntohs(a->sin6.sin6_port)
        };
    }
    return (struct mat_endpoint) {
        mat_addr_from_v4(&a->sin.sin_addr), ntohs(a->sin.sin_port)
    };
}

/* Binding. */

/* What can fail without harm: an old kernel, or rights that are not there. */
static void
try_option(int fd, int level, int option, int value)
{
    if (setsockopt(fd, level, option, &value, sizeof value)) {
        errno = 0;
    }
}

static void
set_options(const struct matd_udp *u)
{
    int fd = u->fd;

    try_option(fd, SOL_SOCKET, SO_RCVBUF, MATD_UDP_BUFFER);
    try_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, MATD_UDP_BUFFER);
    try_option(fd, SOL_SOCKET, SO_SNDBUF, MATD_UDP_BUFFER);
    try_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, MATD_UDP_BUFFER);
    try_option(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
    try_option(fd, IPPROTO_IP, IP_TOS, TOS);
    try_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
    if (u->is_v6) {
        try_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
        try_option(fd, IPPROTO_IPV6, IPV6_TCLASS, TOS);
        try_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
                   IPV6_PMTUDISC_DONT);
    }
}

/* An IPv6 socket serves both families; where the kernel has no IPv6 there is
 * nothing that an IPv4 socket cannot do. */
static int
open_socket(struct matd_udp *u, const struct mat_addr *addr)
{
    u->is_v6 = true;
    u->fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (u->fd < 0 && errno == EAFNOSUPPORT
        && (mat_addr_is_v4(addr) || mat_addr_is_zero(addr))) {
        u->is_v6 = false;
        u->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                       0);
    }
    return u->fd < 0 ? errno : 0;
}

/* No address of either family is "::", which takes both. */
static int
bind_socket(struct matd_udp *u, const struct mat_endpoint *endpoint)
{
    struct mat_endpoint any = { .port = endpoint->port };
    bool is_any = mat_addr_is_zero(&endpoint->addr);
    union address address;
    socklen_t length = to_sockaddr(u, is_any ? &any : endpoint, &address);

    if (bind(u->fd, &address.sa, length)) {
        return errno;
    }
    length = sizeof address;
    if (getsockname(u->fd, &address.sa, &length)) {
        return errno;
    }
    u->bound = from_sockaddr(&address);
    return 0;
}

bool
matd_udp_bind(struct matd_udp *u, const struct mat_endpoint *endpoint,
              const struct mat_addr *source, char error[MATD_UDP_ERROR_MAX])
{
    int problem;

    matd_udp_close(u);
    problem = open_socket(u, &endpoint->addr);
    if (!problem) {
        set_options(u);
        problem = bind_socket(u, endpoint);
    }
    if (problem) {
        char buf[MAT_ADDR_STRLEN];

        snprintf(error, MATD_UDP_ERROR_MAX, "UDP socket at %s port %u: %s",
                 mat_addr_format(&endpoint->addr, buf), endpoint->port,
                 strerror(problem));
        matd_udp_close(u);
        u->counters[MATD_GOSSIP_BIND_ERRORS]++;
        return false;
    }
    u->has_source = mat_addr_is_zero(&endpoint->addr)
                    && !mat_addr_is_zero(source);
    u->source = *source;
    u->overflow = 0;
    u->counters[MATD_GOSSIP_BINDS]++;
    return true;
}

void
matd_udp_close(struct matd_udp *u)
{
    if (u->fd >= 0) {
        close(u->fd);
        u->fd = -1;
    }
}

bool
matd_udp_is_bound(const struct matd_udp *u, struct mat_endpoint *endpoint)
{
    *endpoint = u->bound;
    return u->fd >= 0;
}

int
matd_udp_fd(const struct matd_udp *u)
{
    return u->fd;
}

/* Receiving. */

static void
prepare_receive(struct matd_udp *u)
{
    struct batch *b = &u->rx;

    for (int i = 0; i < MATD_UDP_BATCH; i++) {
        b->vectors[i] = (struct iovec) { u->data[i], sizeof u->data[i] };
        b->messages[i].msg_hdr = (struct msghdr) {
            .msg_name = &b->addresses[i],
            .msg_namelen = sizeof b->addresses[i],
            .msg_iov = &b->vectors[i], .msg_iovlen = 1,
            .msg_control = &b->controls[i],
            .msg_controllen = sizeof b->controls[i]
        };
    }
}

/* The kernel says with a datagram how many it has lost so far. */
static void
count_overflow(struct matd_udp *u, struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
            uint32_t overflow;

            memcpy(&overflow, CMSG_DATA(c), sizeof overflow);
            u->counters[MATD_GOSSIP_RX_OVERFLOW] += overflow - u->overflow;
            u->overflow = overflow;
        }
    }
}

/* MSG_TRUNC gives the whole size of what was cut. */
static void
receive_batch(struct matd_udp *u)
{
    int n;

    prepare_receive(u);
    do {
        n = recvmmsg(u->fd, u->rx.messages, MATD_UDP_BATCH,
                     MSG_DONTWAIT | MSG_TRUNC, NULL);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        u->counters[MATD_GOSSIP_RX_BATCHES]++;
    } else if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        u->counters[MATD_GOSSIP_RX_ERRORS]++;
    }
    u->rx_next = 0;
    u->rx_n = n < 0 ? 0 : n;
    for (int i = 0; i < u->rx_n; i++) {
        count_overflow(u, &u->rx.messages[i].msg_hdr);
        u->counters[MATD_GOSSIP_RX]++;
        u->counters[MATD_GOSSIP_RX_BYTES] += u->rx.messages[i].msg_len;
    }
}

void
matd_udp_receive(struct matd_udp *u,
                 bool (*take)(void *aux, const struct mat_endpoint *from,
                              uint8_t *data, size_t size),
                 void *aux)
{
    bool is_last = false;

    for (;;) {
        while (u->rx_next < u->rx_n) {
            int i = u->rx_next++;
            struct mat_endpoint from = from_sockaddr(&u->rx.addresses[i]);

            if (!take(aux, &from, u->data[i], u->rx.messages[i].msg_len)) {
                return;
            }
        }
        if (u->fd < 0 || is_last) {
            return;
        }
        receive_batch(u);
        is_last = u->rx_n < MATD_UDP_BATCH;
    }
}

bool
matd_udp_has_received(const struct matd_udp *u)
{
    return u->rx_next < u->rx_n;
}

/* Sending. */

static bool
can_reach(const struct matd_udp *u, const struct mat_endpoint *to)
{
    return u->fd >= 0 && (u->is_v6 || mat_addr_is_v4(&to->addr));
}

static void
count_error(struct matd_udp *u, const struct mat_endpoint *to, int error)
{
    u->counters[MATD_GOSSIP_TX_ERRORS]++;
    u->error = error;
    u->error_to = *to;
}

void
matd_udp_queue(struct matd_udp *u, const struct mat_endpoint *to,
               const void *data, size_t size, bool is_urgent)
{
    struct queue *queue = &u->queues[!is_urgent];
    struct item *item;

    if (!can_reach(u, to)) {
        count_error(u, to, u->fd < 0 ? ENOTCONN : EAFNOSUPPORT);
        return;
    } else if (queue->n >= MATD_UDP_QUEUE_MAX) {
        u->counters[MATD_GOSSIP_TX_DROPPED]++;
        return;
    }
    item = mat_xmalloc(sizeof *item + size);
    *item = (struct item) { .to = *to, .size = size };
    memcpy(item->data, data, size);
    if (queue->n++) {
        queue->last->next = item;
    } else {
        queue->first = item;
    }
    queue->last = item;
}

static bool
same_family(const struct mat_addr *a, const struct mat_addr *b)
{
    return mat_addr_is_v4(a) == mat_addr_is_v4(b);
}

/* Says from which of the host's addresses to send: peers refuse datagrams that
 * do not come from where the host claims to be. */
static void
put_source(const struct matd_udp *u, struct msghdr *m)
{
    struct cmsghdr *c = m->msg_control;

    memset(c, 0, m->msg_controllen);
    if (u->is_v6) {
        struct in6_pktinfo info = { .ipi6_ifindex = 0 };

        memcpy(&info.ipi6_addr, u->source.b, sizeof info.ipi6_addr);
        c->cmsg_level = IPPROTO_IPV6;
        c->cmsg_type = IPV6_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(c), &info, sizeof info);
        m->msg_controllen = CMSG_SPACE(sizeof info);
    } else {
        struct in_pktinfo info = { .ipi_ifindex = 0 };

        memcpy(&info.ipi_spec_dst, &u->source.b[12], 4);
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(c), &info, sizeof info);
        m->msg_controllen = CMSG_SPACE(sizeof info);
    }
}

static void
prepare_item(struct matd_udp *u, int i, struct item *item)
{
    struct batch *b = &u->tx;
    struct msghdr *m = &b->messages[i].msg_hdr;

    b->vectors[i] = (struct iovec) { item->data, item->size };
    *m = (struct msghdr) {
        .msg_name = &b->addresses[i],
        .msg_namelen = to_sockaddr(u, &item->to, &b->addresses[i]),
        .msg_iov = &b->vectors[i], .msg_iovlen = 1
    };
    if (u->has_source && same_family(&u->source, &item->to.addr)) {
        m->msg_control = &b->controls[i];
        m->msg_controllen = sizeof b->controls[i];
        put_source(u, m);
    }
}

/* Fills a batch from the urgent queue first. */
static unsigned int
prepare_send(struct matd_udp *u)
{
    int n = 0;

    for (int q = 0; q < N_QUEUES; q++) {
        struct item *item = u->queues[q].first;

        for (size_t left = u->queues[q].n; left && n < MATD_UDP_BATCH;
             left--, item = item->next) {
            prepare_item(u, n++, item);
        }
    }
    return (unsigned int) n;
}

static void
drop_first(struct matd_udp *u, bool is_sent)
{
    bool is_urgent = u->queues[0].n;
    struct item *item = pop(&u->queues[!is_urgent]);

    if (is_sent) {
        u->counters[MATD_GOSSIP_TX]++;
        u->counters[MATD_GOSSIP_TX_BYTES] += item->size;
        u->counters[MATD_GOSSIP_TX_URGENT] += is_urgent;
    } else {
        count_error(u, &item->to, errno);
    }
    free(item);
}

static void
count_waiting(struct matd_udp *u)
{
    for (int i = 0; i < N_QUEUES; i++) {
        struct queue *queue = &u->queues[i];

        u->counters[MATD_GOSSIP_TX_WAITED] += queue->n - queue->n_waited;
        queue->n_waited = queue->n;
    }
}

/* An error is that of the first datagram, which is lost; the rest is tried
 * again. */
void
matd_udp_flush(struct matd_udp *u)
{
    while (matd_udp_has_queued(u)) {
        int n = u->fd < 0 ? -1 : sendmmsg(u->fd, u->tx.messages,
                                          prepare_send(u), MSG_DONTWAIT);

        if (n > 0) {
            u->counters[MATD_GOSSIP_TX_BATCHES]++;
            while (n--) {
                drop_first(u, true);
            }
        } else if (u->fd >= 0 && (errno == EAGAIN || errno == EWOULDBLOCK
                                  || errno == ENOBUFS)) {
            count_waiting(u);
            return;
        } else if (u->fd < 0 || errno != EINTR) {
            drop_first(u, false);
        }
    }
}

bool
matd_udp_has_queued(const struct matd_udp *u)
{
    return u->queues[0].n || u->queues[1].n;
}

int
matd_udp_take_error(struct matd_udp *u, struct mat_endpoint *to)
{
    int error = u->error;

    *to = u->error_to;
    u->error = 0;
    return error;
}
