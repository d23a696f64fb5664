/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that wait at the old host, around the stop of a VM that moves.
 *
 * From its stop on nobody reads the VM's port: what is given to it is lost.
 * So a hint "hold" comes just before the stop.  It ends by itself if nothing
 * follows from it, as the switch keeps no packet for longer either.
 *
 * After the stop they wait a moment more, though it is known where they should
 * go: what the VM said last may still be on its way through the switch, which
 * believes it for as long as the VM is here. */
#include "mat-agent-impl.h"

void
mat_stay_hold(struct mat_agent *a, struct mat_stay *stay, bool hold)
{
    if (stay->state != MAT_LIFE_LIVE || (!hold && !stay->hold_until_us)) {
        return;
    }
    if (stay->is_claim_due) {
        mat_stay_claim(a, stay);
    }
    stay->hold_until_us = hold ? a->now_us + MAT_AGENT_HOLD_US : 0;
    if (hold) {
        mat_heap_set(&a->heap, &stay->timer, stay->hold_until_us);
        mat_agent_count(a, MAT_AGENT_C_HELD);
    } else {
        mat_heap_cancel(&a->heap, &stay->timer);
    }
    mat_home_refresh(a, stay->home);
}

void
mat_stay_hold_tail(struct mat_agent *a, struct mat_stay *stay)
{
    stay->hold_until_us = a->now_us + MAT_AGENT_TAIL_US;
    mat_heap_set(&a->heap, &stay->timer, stay->hold_until_us);
}

/* They go to where it is prepared now. */
void
mat_stay_end_tail(struct mat_agent *a, struct mat_stay *stay)
{
    stay->hold_until_us = 0;
    mat_heap_set(&a->heap, &stay->timer,
                 stay->since_us + MAT_AGENT_LEAVE_US);
    mat_home_refresh(a, stay->home);
}
