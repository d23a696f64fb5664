/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_STORY_H
#define SIM_STORY_H 1

/* Words for scenarios: a short story with a timed trace as expectation.
 *
 * Each sets up a cluster, lets something happen and states what the hosts
 * must have heard when.  Times are one-way delays of the simulated network,
 * so they are exact. */

#include "sim.h"

enum { ONE_WAY_US = 200 };      /* Between any two hosts. */

/* A quiet cluster where all know each other and VM i runs on host i. */
void given_cluster(struct sim *s, int n_hosts, int n_vms);
/* From now on news goes by the tree, even in a small cluster. */
void without_direct_spread(struct sim *s);
void all_talk_with(struct sim *s, int vm);
/* All VMs of a zone come up on one host, in one event. */
void evacuate_to(struct sim *s, int host, uint32_t zone);
void expect_at(struct sim *s, int64_t start, const char *line, int64_t at_us);
void expect_by(struct sim *s, int64_t start, const char *line, int64_t by_us);
void expect_never(struct sim *s, const char *line);
void expect_owner(struct sim *s, int host, int vm, int owner);
/* ... that has the zone, and is honest. */
void expect_owner_everywhere(struct sim *s, int vm, int owner);
/* Sends what was captured once more, to one host or (-1) to all. */
void replay_captured(struct sim *s, int host);
uint64_t counted(struct sim *s, enum mat_counter counter);

#endif /* sim-story.h */
