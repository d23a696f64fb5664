/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLAIMS_H
#define CLAIMS_H 1

/* Claims for unit tests.  They carry a signature of zeros. */

#include "mat-record.h"

/* HoA 10.0.0.'n'. */
struct mat_addr claims_addr(unsigned int n);

/* A VMN claim, or with 'prep' a PREP claim, of zone 7; '*body' must live as
 * long as the claim. */
struct mat_claim claims_vmn(uint8_t body[MAT_VMN_BODY_SIZE], unsigned int hoa,
                            bool prep, uint32_t epoch, uint32_t seq,
                            uint64_t host);

#endif /* claims.h */
