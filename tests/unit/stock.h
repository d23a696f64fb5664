/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STOCK_H
#define STOCK_H 1

/* A host for tests of the stock of MoAs: one or two uplinks, virtual time,
 * and everything that comes out as text.
 *
 *   eth0: 10.0.0.1/24 and 2001:db8::1/64, routers .254 and fe80::fe
 *   eth1: 10.1.0.1/24, router 10.1.0.254 */

#include "mat-moa.h"

#define S INT64_C(1000000)

extern struct mat_moa *moa;
extern struct mat_moa_config stock_config;
extern int64_t now_us;

/* What came out since stock_begin() or stock_clear(): a line each, as
 *
 *   probe 10.0.0.7
 *   announce 10.0.0.7
 *   tell 10.0.0.7 > 10.0.0.254
 *   report ff02::1:ff00:7
 *   ! conflict ...             with the text
 *
 * and how many frames that was. */
extern char stock_lines[65536];
extern unsigned int stock_frames;

/* Makes the host; pools as text. */
void stock_begin(const char *pool4, const char *pool6, unsigned int n_uplinks,
                 unsigned int ready);
void stock_end(void);
void stock_clear(void);

/* Passes 'stock_config' on. */
void stock_reconfigure(void);
void stock_set_pools(const char *pool4, const char *pool6);

/* Lets time pass, stopping at each deadline. */
void stock_run(int64_t us);
void stock_drain(void);

/* True if a line that begins with 'line' came out. */
bool stock_said(const char *line);

struct mat_addr stock_addr(const char *);
struct mat_mac stock_mac(unsigned int n);       /* Of a stranger. */
struct mat_moa_owner stock_owner(uint32_t zone, const char *hoa);

/* Takes for 'hoa' of zone 0; the MoA as text, or the error. */
const char *stock_take(const char *hoa, const char *uplink,
                       const char *preferred, bool home);
bool stock_release(const char *);
void stock_claim(const char *, unsigned int mac, bool asks);

/* "used eth0 home draining" and so on; "none" without a record. */
const char *stock_state(const char *);
unsigned int stock_count(enum mat_moa_state);

#endif /* stock.h */
