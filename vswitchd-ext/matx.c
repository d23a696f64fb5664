/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matx.h"

#include "connectivity.h"
#include "entropy.h"
#include "mat-table.h"
#include "matx-events.h"
#include "matx-hold.h"
#include "matx-memory.h"
#include "matx-socket.h"
#include "matx-table.h"
#include "matx-thread.h"
#include "matx-unixctl.h"
#include "netdev-provider.h"
#include "openvswitch/vlog.h"
#include "seq.h"
#include "sset.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(mat);

struct ovs_mutex matx_mutex = OVS_MUTEX_INITIALIZER;
struct mat_table *matx_table;

/* Of connectivity_seq_get(), when the ports were last looked at. */
static uint64_t last_seq;

/* Is the update socket open? */
static bool listening;

/* Ports that can take packets, by name.  Of the main thread. */
static struct sset live_ports = SSET_INITIALIZER(&live_ports);

static uint64_t
random_seed(void)
{
    uint64_t seed;

    get_entropy_or_die(&seed, sizeof seed);
    return seed;
}

void
matx_init(void)
{
    const struct mat_table_config config = {
        .seed = { random_seed(), random_seed() },
        .alloc = matx_memory_alloc,
        .free = matx_memory_free,
        .synchronize = matx_threads_synchronize,
    };

    matx_table = mat_table_create(&config);
    if (!matx_table) {
        VLOG_FATAL("no memory for the table of the mat action");
    }
    matx_events_init();
    matx_hold_init();
    matx_unixctl_init();
    matx_socket_init();
}

/* Some ports have no MTU or MAC of their own. */
static void
get_device(const struct netdev *netdev, struct mat_mac *mac, uint16_t *mtu)
{
    struct eth_addr ea;
    int device_mtu;

    memset(mac, 0, sizeof *mac);
    if (!netdev_get_etheraddr(netdev, &ea)) {
        memcpy(mac->ea, ea.ea, sizeof mac->ea);
    }
    *mtu = 0;
    if (!netdev_get_mtu(netdev, &device_mtu) && device_mtu >= MAT_MTU_MIN
        && device_mtu <= UINT16_MAX) {
        *mtu = device_mtu;
    }
}

static void
attach(const char *name, uint32_t odp_port, const struct netdev *netdev)
{
    struct mat_mac mac;
    uint16_t mtu;

    get_device(netdev, &mac, &mtu);
    ovs_mutex_lock(&matx_mutex);
    mat_table_port_attached(matx_table, name, odp_port, &mac, mtu);
    mat_table_quiesce(matx_table);
    ovs_mutex_unlock(&matx_mutex);
}

/* Tells if a port can take packets now and could not before, or the other way
 * round.  A vhost port can when its guest's rings are live and the main thread
 * has set up its queues, so it is soon enough to look from there. */
static void
look_at_link(const char *name, uint32_t odp_port, const struct netdev *netdev)
{
    bool live = netdev_get_carrier(netdev);

    if (live == sset_contains(&live_ports, name)) {
        return;
    } else if (live) {
        sset_add(&live_ports, name);
    } else {
        sset_find_and_delete(&live_ports, name);
    }
    matx_events_port(live ? MAT_EVENT_PORT_LIVE : MAT_EVENT_PORT_DEAD, name,
                     odp_port);
}

void
matx_port_added(const char *name, odp_port_t odp_port, struct netdev *netdev)
{
    if (matx_table) {
        matx_hold_port_changed(odp_port);
        attach(name, odp_to_u32(odp_port), netdev);
        matx_events_port(MAT_EVENT_PORT_ATTACHED, name, odp_to_u32(odp_port));
        look_at_link(name, odp_to_u32(odp_port), netdev);
        if (!listening) {
            listening = true;
            matx_socket_listen();
        }
    }
}

void
matx_port_deleted(const char *name, odp_port_t odp_port)
{
    if (matx_table) {
        ovs_mutex_lock(&matx_mutex);
        mat_table_port_detached(matx_table, name, odp_to_u32(odp_port));
        mat_table_quiesce(matx_table);
        ovs_mutex_unlock(&matx_mutex);
        matx_hold_port_changed(odp_port);
        sset_find_and_delete(&live_ports, name);
        matx_events_port(MAT_EVENT_PORT_DETACHED, name, odp_to_u32(odp_port));
    }
}

/* MTUs, MACs and links of devices may change while they are ports. */
static void
refresh_ports(void)
{
    struct mat_port port;
    uint64_t cursor = 0;
    bool more;

    do {
        ovs_mutex_lock(&matx_mutex);
        more = mat_table_next_port(matx_table, &cursor, &port);
        ovs_mutex_unlock(&matx_mutex);
        if (more && port.odp_port != MAT_TABLE_NO_PORT) {
            struct netdev *netdev = netdev_from_name(port.name);

            if (netdev) {
                attach(port.name, port.odp_port, netdev);
                look_at_link(port.name, port.odp_port, netdev);
                netdev_close(netdev);
            }
        }
    } while (more);
}

void
matx_run(void)
{
    uint64_t seq = seq_read(connectivity_seq_get());

    if (seq != last_seq) {
        last_seq = seq;
        refresh_ports();
    }
}

void
matx_wait(void)
{
    seq_wait(connectivity_seq_get(), last_seq);
}

void
matx_exit(void)
{
    matx_socket_exit();
}
