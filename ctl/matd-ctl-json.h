/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_CTL_JSON_H
#define MATD_CTL_JSON_H 1

/* How matd's commands say things in JSON; between the matd-ctl*.c.
 *
 * Addresses, MACs and prefixes are strings, hosts "0x..." strings, times
 * integers of microseconds ("_us") or seconds ("_s"), ages relative to the
 * reply.  What is not known or does not apply is left out. */

#include "matd-ctl.h"

struct unixctl_conn;

void matd_json_int(struct json *, const char *name, int64_t);
void matd_json_bool(struct json *, const char *name, bool);
/* Nothing if "" or null. */
void matd_json_string(struct json *, const char *name, const char *);
/* Nothing if zero. */
void matd_json_addr(struct json *, const char *name, const struct mat_addr *);
void matd_json_mac(struct json *, const char *name, const struct mat_mac *);
void matd_json_host(struct json *, const char *name, uint64_t host);
void matd_json_prefix(struct json *, const char *name, const struct mat_addr *,
                      unsigned int plen);
void matd_json_endpoint(struct json *, const char *name,
                        const struct mat_endpoint *);
/* Nothing if 'then_us' is 0. */
void matd_json_age(struct json *, const char *name, int64_t then_us);

/* "2026-01-31T12:00:00.000Z" of a time of the monotonic clock. */
void matd_json_wall(struct json *, const char *name, int64_t then_us);

/* Replies with 'json' and destroys it. */
void matd_ctl_reply(struct unixctl_conn *, struct json *);

/* What the arguments of a command say, each at most once:
 * [ADDR] [zone=N] [hoa=A] [mac=M] [iface-id=S] [port=S] [cursor=N] [WORD]. */
struct matd_ctl_args {
    bool has_addr, has_zone, has_mac, all;
    struct mat_addr addr;
    uint32_t zone;
    struct mat_mac mac;
    const char *iface_id, *port;
    uint64_t cursor;
};

/* From argv[from].  False after replying what is wrong. */
bool matd_ctl_parse(struct unixctl_conn *, int argc, const char *argv[],
                    int from, struct matd_ctl_args *);

/* A list under way: matd_ctl_page() gives 'false' when the page is full. */
struct matd_ctl_page {
    struct json *reply, *items;
    size_t n;
    size_t cursor;
};

void matd_ctl_page_begin(struct matd_ctl_page *, const char *name,
                         uint64_t cursor);
bool matd_ctl_page_has_room(const struct matd_ctl_page *);
void matd_ctl_page_add(struct matd_ctl_page *, struct json *item);
/* 'more': the walk had not ended.  Returns the reply. */
struct json *matd_ctl_page_end(struct matd_ctl_page *, bool more);

/* Registering, by matd_ctl_init(). */
void matd_ctl_show_init(struct matd_ctl *);
void matd_ctl_pools_init(struct matd_ctl *);
void matd_ctl_change_init(struct matd_ctl *);
void matd_ctl_config_init(struct matd_ctl *);

/* Engine, or null. */
struct mat_gossip *matd_ctl_engine(const struct matd_ctl *);

#endif /* matd-ctl-json.h */
