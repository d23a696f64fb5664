/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet.h"

#include <string.h>

#include "table-config.h"

/* Ports and guests. */

struct mat_mac
fleet_mac(unsigned int mac)
{
    return (struct mat_mac) {
        { 2, 0, 0, (uint8_t) (mac >> 16), (uint8_t) (mac >> 8),
          (uint8_t) mac }
    };
}

static uint32_t
odp_of(const struct fleet_host *host, const char *name)
{
    struct mat_port port;
    uint64_t cursor = 0;

    while (mat_table_next_port(host->table, &cursor, &port)) {
        if (!strcmp(port.name, name)) {
            return port.odp_port;
        }
    }
    return MAT_TABLE_NO_PORT;
}

void
fleet_plug(struct fleet *f, int index, const char *name, unsigned int mac,
           const char *hoa)
{
    struct fleet_host *host = &f->hosts[index];
    struct mat_agent_port_config config = {
        .enabled = true, .zone = FLEET_ZONE, .has_mac = mac != 0,
        .mac = fleet_mac(mac)
    };
    struct mat_mac device = fleet_mac(100);

    if (hoa) {
        config.hoas[config.n_hoas++] = test_addr(hoa);
    }
    mat_table_port_attached(host->table, name, host->next_odp++, &device,
                            1500);
    if (host->is_up) {
        mat_agent_port(host->agent, f->now_us, name, &config, 0, false);
        fleet_drain(f, host);
    }
}

void
fleet_unplug(struct fleet *f, int index, const char *name)
{
    struct fleet_host *host = &f->hosts[index];
    uint32_t odp = odp_of(host, name);

    mat_table_port_detached(host->table, name, odp);
    mat_table_quiesce(host->table);
    if (host->is_up) {
        mat_agent_port_removed(host->agent, f->now_us, name);
        fleet_drain(f, host);
    }
}

void
fleet_port_event(struct fleet *f, int index, const char *name,
                 enum mat_event_type type)
{
    struct fleet_host *host = &f->hosts[index];
    struct mat_event event = {
        .type = (uint16_t) type, .odp_port = odp_of(host, name),
        .time_ns = (uint64_t) f->now_us * 1000,
        .head_size = (uint16_t) strlen(name)
    };

    memcpy(event.head, name, strlen(name));
    mat_agent_event(host->agent, f->now_us, &event);
    fleet_drain(f, host);
}

static void
put_be16(uint8_t *p, unsigned int x)
{
    p[0] = (uint8_t) (x >> 8);
    p[1] = (uint8_t) x;
}

/* The frame that such an event is about, as far as an event has it. */
static void
compose(struct mat_event *event)
{
    uint8_t frame[128] = { 0 }, *p = frame + 14;
    bool is_v4 = mat_addr_is_v4(&event->addr);
    size_t size;

    memset(frame, 0xff, 6);
    memcpy(frame + 6, event->mac.ea, 6);
    if (event->type == MAT_EVENT_RARP || event->type == MAT_EVENT_GARP) {
        put_be16(frame + 12, event->type == MAT_EVENT_RARP ? 0x8035 : 0x0806);
        put_be16(p, 1);
        put_be16(p + 2, 0x0800);
        p[4] = 6;
        p[5] = 4;
        put_be16(p + 6, event->type == MAT_EVENT_RARP ? 3 : 1);
        memcpy(p + 8, event->mac.ea, 6);
        memcpy(p + 14, &event->addr.b[12], 4);
        memcpy(p + 18, event->mac.ea, 6);
        memcpy(p + 24, &event->addr.b[12], 4);
        size = 14 + 28;
    } else if (is_v4) {
        put_be16(frame + 12, 0x0800);
        p[0] = 0x45;
        put_be16(p + 2, 20);
        p[8] = 64;
        p[9] = 17;
        memcpy(p + 12, &event->addr.b[12], 4);
        size = 14 + 20;
    } else {
        put_be16(frame + 12, 0x86dd);
        p[0] = 0x60;
        put_be16(p + 4, 24);
        p[6] = 58;
        p[7] = 255;
        memcpy(p + 8, event->addr.b, 16);
        p[24] = 0xff;
        p[25] = 2;
        p[39] = 1;
        p[40] = 136;
        p[44] = 0x20;
        memcpy(p + 48, event->addr.b, 16);
        size = 14 + 40 + 24;
    }
    mat_event_set_frame(event, frame, size);
}

void
fleet_say(struct fleet *f, int index, const char *port,
          enum mat_event_type type, unsigned int mac, const char *hoa)
{
    struct fleet_host *host = &f->hosts[index];
    struct mat_event event = {
        .type = (uint16_t) type, .odp_port = odp_of(host, port),
        .time_ns = (uint64_t) f->now_us * 1000, .zone = FLEET_ZONE,
        .mac = fleet_mac(mac)
    };

    if (hoa) {
        event.addr = test_addr(hoa);
    }
    compose(&event);
    if (host->is_up) {
        mat_agent_event(host->agent, f->now_us, &event);
        fleet_drain(f, host);
    }
}

void
fleet_hint(struct fleet *f, int index, enum mat_agent_hint_kind kind,
           unsigned int mac)
{
    struct fleet_host *host = &f->hosts[index];
    const struct mat_agent_hint hint = {
        .kind = kind, .zone = FLEET_ZONE, .has_mac = true,
        .mac = fleet_mac(mac)
    };

    mat_agent_hint(host->agent, f->now_us, &hint);
    fleet_drain(f, host);
}

void
fleet_boot(struct fleet *f, int index, const char *port, unsigned int mac,
           const char *hoa)
{
    fleet_plug(f, index, port, mac, NULL);
    fleet_say(f, index, port, MAT_EVENT_GARP, mac, hoa);
    fleet_run(f, SIM_S);
}
