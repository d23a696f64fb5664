/* SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "matd-flow-set.h"

#include "openvswitch/ofp-actions.h"
#include "util.h"

struct matd_flow *
matd_flow_find(const struct hmap *flows, const struct match *match,
               int priority)
{
    struct matd_flow *e;

    HMAP_FOR_EACH_WITH_HASH (e, node, match_hash(match, priority), flows) {
        if (e->priority == priority && match_equal(&e->match, match)) {
            return e;
        }
    }
    return NULL;
}

void
matd_flow_remove(struct hmap *flows, struct matd_flow *e)
{
    hmap_remove(flows, &e->node);
    ofpbuf_uninit(&e->ofpacts);
    free(e);
}

void
matd_flow_clear(struct hmap *flows)
{
    struct matd_flow *e;

    HMAP_FOR_EACH_SAFE (e, node, flows) {
        matd_flow_remove(flows, e);
    }
}

struct matd_flow *
matd_flow_put(struct hmap *flows, const struct match *match, int priority,
              ovs_be64 cookie, const struct ofpact *ofpacts,
              size_t ofpacts_len)
{
    struct matd_flow *e = matd_flow_find(flows, match, priority);

    if (e) {
        matd_flow_remove(flows, e);
    }
    e = xzalloc(sizeof *e);
    e->match = *match;
    e->priority = priority;
    e->cookie = cookie;
    ofpbuf_init(&e->ofpacts, ofpacts_len);
    ofpbuf_put(&e->ofpacts, ofpacts, ofpacts_len);
    hmap_insert(flows, &e->node, match_hash(match, priority));
    return e;
}

bool
matd_flow_same_actions(const struct matd_flow *a, const struct matd_flow *b)
{
    return ofpacts_equal(a->ofpacts.data, a->ofpacts.size,
                         b->ofpacts.data, b->ofpacts.size);
}
