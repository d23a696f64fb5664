/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WORLD_H
#define WORLD_H 1

/* The switch: one host with VMNs on ports 1 and 2 of zone 7, one on port 3 of
 * zone 8, and an uplink on port 9; others elsewhere.
 *
 *   zone  HoA                    MoA           where
 *   7     10.0.0.1, 2001:db8::1  172.16.1.1    port 1 (vm1)
 *   7     10.0.0.2, 2001:db8::2  172.16.1.2    port 2 (vm2)
 *   8     10.0.0.1               172.16.1.3    port 3 (vm3)
 *   7     10.0.0.5, 2001:db8::5  172.16.2.5    remote
 *   7     10.0.1.6               172.16.2.6    remote, another HoA subnet
 *   8     10.0.0.5               172.16.2.7    remote
 *   7     10.0.0.8               172.16.1.8    departed, now 172.16.2.8
 */

#include "frames.h"
#include "mat-switch.h"

enum { VM1 = 1, VM2, VM3, UPLINK = 9, OUT7 = 7, OUT8 = 8 };

enum { EMITTED_MAX = 4 };

struct world {
    struct mat_table *table;
    struct mat_switch_thread *thread;
    bool can_hold;
    bool dry_run;

    /* What the last call did besides. */
    unsigned int n_emitted, n_held, n_events;
    uint32_t emitted_port;
    uint8_t emitted[EMITTED_MAX][FRAME_SIZE_MAX];
    size_t emitted_size[EMITTED_MAX];
    struct mat_hold_key key;
    struct mat_event event;
};

/* MACs of the underlay and of the virtual gateway, and of whoever ends with
 * 'n' in zone 'zone'. */
extern const struct mat_mac router_mac;
extern const struct mat_mac uplink_mac;
extern const struct mat_mac gateway_mac;
struct mat_mac world_mac(uint32_t zone, uint8_t n);

/* For cmocka: '*state' is the world. */
int world_setup(void **state);
int world_teardown(void **state);

/* Puts a mapping, or gives a port to the datapath. */
void world_put(struct world *w, enum mat_state state, uint32_t zone,
               const char *hoa, const char *moa, uint8_t n, const char *port);
void world_attach(struct world *w, const char *name, uint32_t odp_port,
                  uint16_t mtu);

/* Frames between addresses. */
void set_addrs(struct frame_spec *spec, const char *src, const char *dst);
struct frame_spec udp(const char *src, const char *dst);
void world_compose(const struct frame_spec *spec, struct mat_mac src,
                   struct mat_mac dst, struct frame *frame);

/* Runs one frame; only with 'fast' may the fast path have it. */
struct mat_frame world_run(struct world *w, uint8_t *data, size_t size,
                           uint16_t l3_ofs, uint32_t word, uint32_t in_port,
                           bool fast);

/* Sends 'spec' by the fast path if it can, and by the slow one, and checks
 * that both say 'verdict' and leave the same bytes. */
struct mat_frame world_check(struct world *w, const struct frame_spec *spec,
                             struct mat_mac eth_src, struct mat_mac eth_dst,
                             uint32_t word, uint32_t in_port,
                             enum mat_verdict verdict);

/* Checks that 'f' is what 'spec' looks like between these MACs. */
void assert_frame(const struct mat_frame *f, const struct frame_spec *spec,
                  struct mat_mac eth_src, struct mat_mac eth_dst);

#endif /* world.h */
