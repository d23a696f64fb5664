/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_APPLY_H
#define MAT_APPLY_H 1

/* Applies a batch of operations to the table: all of them or none.
 *
 * An operation may depend on one before it in the batch: a mapping on its next
 * hop, a mapping on the removal of the one that had its MoA.  So a batch
 * cannot be judged against the table as it is now, and a second table that
 * shows what it would be is as much code again, to be wrong in its own way.
 * Instead there are two passes:
 *
 *   1. What no earlier operation could make right (addresses, families,
 *      states, MACs, ...) refuses the batch before anything is touched.
 *   2. The operations are applied in order, and what each replaces is noted.
 *      If one is refused, those before it are undone, last first.
 *
 * Hence a batch that is refused in the second pass was in effect, up to the
 * operation to blame, for the microseconds that this took.  Every state in
 * between is one that the client has asked for, and it only comes to this if
 * client and table disagree.
 *
 * 'release', 'discard' and 'inject' change no table: they are checked here,
 * and are the caller's to do afterwards.
 *
 * Threads: those of the table's writer. */

#include "mat-update.h"

struct mat_apply;

/* Whether packets wait for the VMN of 'entry', which shall not be held any
 * more.  If so, it is put with its hold all the same, until they have gone:
 * so those that come now do not overtake them. */
typedef bool mat_apply_waits(void *aux, const struct mat_entry *entry);

/* Null if there is no memory. */
struct mat_apply *mat_apply_create(struct mat_table *, mat_apply_waits *,
                                   void *aux);
void mat_apply_destroy(struct mat_apply *);

/* Applies the operations that 'ops' still has.  Returns MAT_UPDATE_GOOD, or
 * the reason (of either kind) with '*bad' set to the index of the operation to
 * blame and the table as it was. */
unsigned int mat_apply_batch(struct mat_apply *, struct mat_update_reader ops,
                             uint64_t *bad);

/* The same for one operation. */
unsigned int mat_apply_op(struct mat_apply *, const struct mat_op *op);

/* How many holds the last call has kept because packets wait. */
unsigned int mat_apply_n_kept(const struct mat_apply *);

/* How often something could not be undone, which only lack of memory can
 * cause. */
uint64_t mat_apply_n_stuck(const struct mat_apply *);

#endif /* mat-apply.h */
