/* SPDX-License-Identifier: Apache-2.0 */

/* Loaded into ovs-vswitchd by DPDK ("-d"): makes a packet generator of the
 * port net_null_gen and a sink of net_null_sink.
 *
 * Both run as callbacks of these ports, within the PMD thread that receives
 * from the one and sends to the other.  So the PMD is always at full load,
 * needs no other core to keep it there, and a packet is stamped in the very
 * moment it comes in, and seen in the moment it leaves. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "bench-update.h"

struct frame {
    uint8_t eth_dst[6], eth_src[6];
    uint16_t eth_type;
    uint8_t version, tos;
    uint16_t total_size, id, fragment;
    uint8_t ttl, protocol;
    uint16_t ip_csum;
    uint32_t src, dst;
    uint16_t src_port, dst_port, udp_size, udp_csum;
    struct bench_payload payload;
} __attribute__((packed));

static struct bench_shared *shared;
static uint64_t sequence;
static uint32_t random_state = 1;
static uint32_t last_value;
static uint64_t last_sequence;
static uint32_t csum_base;          /* Of the IP header without 'dst'. */

static struct frame template = {
    .eth_dst = { 0x02, 0x4d, 0x41, 0x54, 0x00, 0x01 },
    .eth_src = { 0x02, 0, 0, 0, 0, 1 },
    .version = 0x45,
    .ttl = 64,
    .protocol = 17,
    .payload = { .magic = BENCH_MAGIC },
};

static void
init_template(void)
{
    const uint16_t *words = (const uint16_t *) &template.version;
    uint16_t buf[10];

    template.eth_type = htons(0x0800);
    template.total_size = htons(sizeof template - 14);
    template.src = htonl(0x0a000001);
    template.src_port = template.dst_port = htons(7);
    template.udp_size = htons(sizeof template - 34);
    memcpy(buf, words, sizeof buf);
    for (int i = 0; i < 8; i++) {
        csum_base += ntohs(buf[i]);
    }
}

static uint32_t
other_address(void)
{
    random_state = random_state * 1664525 + 1013904223;
    return BENCH_OTHER_HOA
           + (uint32_t) ((uint64_t) random_state * shared->n_others >> 32);
}

static void
make_packet(struct rte_mbuf *mbuf, uint64_t now)
{
    struct frame *f = rte_pktmbuf_mtod(mbuf, struct frame *);
    bool probe = sequence & 1 || !shared->n_others;
    uint32_t dst = probe ? BENCH_PROBE_HOA : other_address();
    uint32_t sum = csum_base + (dst >> 16) + (dst & 0xffff);

    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    *f = template;
    f->dst = htonl(dst);
    f->ip_csum = htons((uint16_t) ~sum);
    f->payload.is_probe = probe;
    f->payload.sequence = ++sequence;
    f->payload.time_in = now;
    mbuf->data_len = sizeof *f;
    mbuf->pkt_len = sizeof *f;
}

/* The generator: the port has given buffers with nothing in them. */
static uint16_t
on_receive(uint16_t port, uint16_t queue, struct rte_mbuf *mbufs[],
           uint16_t n, uint16_t max, void *aux)
{
    uint64_t now = bench_now();

    (void) port;
    (void) queue;
    (void) max;
    (void) aux;
    for (uint16_t i = 0; i < n; i++) {
        make_packet(mbufs[i], now);
    }
    __atomic_store_n(&shared->n_in, shared->n_in + n, __ATOMIC_RELAXED);
    return n;
}

static void
see_probe(const struct frame *f)
{
    uint32_t value = ntohl(f->dst) & BENCH_VALUE_MASK;
    struct bench_value *v = &shared->values[value];

    if (value != last_value && !v->first_out) {
        v->first_in = f->payload.time_in;
        v->first_sequence = f->payload.sequence;
        __atomic_store_n(&v->first_out, bench_now(), __ATOMIC_RELEASE);
    }
    __atomic_store_n(&v->last_in, f->payload.time_in, __ATOMIC_RELAXED);
    shared->n_reordered += f->payload.sequence < last_sequence;
    last_sequence = f->payload.sequence;
    last_value = value;
}

/* The sink. */
static uint16_t
on_send(uint16_t port, uint16_t queue, struct rte_mbuf *mbufs[], uint16_t n,
        void *aux)
{
    (void) port;
    (void) queue;
    (void) aux;
    for (uint16_t i = 0; i < n; i++) {
        const struct frame *f = rte_pktmbuf_mtod(mbufs[i],
                                                 const struct frame *);

        if (f->payload.magic == BENCH_MAGIC && f->payload.is_probe) {
            see_probe(f);
        }
    }
    __atomic_store_n(&shared->n_out, shared->n_out + n, __ATOMIC_RELAXED);
    return n;
}

/* Installs the callbacks of both ports where they are not yet: ports appear,
 * and get more transmit queues when there are more threads. */
static void
install(bool *gen, bool sinks[RTE_MAX_QUEUES_PER_PORT])
{
    struct rte_eth_dev_info info;
    uint16_t port;

    if (!*gen && !rte_eth_dev_get_port_by_name("net_null_gen", &port)) {
        *gen = rte_eth_add_rx_callback(port, 0, on_receive, NULL) != NULL;
    }
    if (!rte_eth_dev_get_port_by_name("net_null_sink", &port)
        && !rte_eth_dev_info_get(port, &info)) {
        for (uint16_t i = 0; i < info.nb_tx_queues; i++) {
            sinks[i] = sinks[i] || rte_eth_add_tx_callback(port, i, on_send,
                                                           NULL);
        }
    }
}

static void *
watch_ports(void *aux)
{
    static bool gen, sinks[RTE_MAX_QUEUES_PER_PORT];

    for (;;) {
        install(&gen, sinks);
        usleep(10000);
    }
    return aux;
}

__attribute__((constructor))
static void
load(void)
{
    const char *path = getenv("BENCH_UPDATE_SHARED");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    pthread_t thread;

    if (fd >= 0) {
        shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_POPULATE, fd, 0);
        close(fd);
        if (shared != MAP_FAILED) {
            init_template();
            pthread_create(&thread, NULL, watch_ports, NULL);
        }
    }
}
