/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GOLDEN_H
#define GOLDEN_H 1

/* The golden captures in tests/golden/: NAME.pcap holds frames as they come in
 * and NAME.expected.pcap what must become of them, one for one.  Both open in
 * Wireshark, whose verdict on the checksums they have passed (it also judges
 * those of quotes that are cut off, which nobody can).
 *
 * In "rewrite-*", every home address becomes its mobile address, also in
 * quotes, as golden_map() says.  The expected frames were composed by frames.c
 * without the code under test.  In "replies", a frame gets the answer that
 * golden_answer() picks; the expected ones were written by the code under
 * test, and read and judged once by Wireshark and by eye.
 *
 * golden-generate.c writes them all. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The mobile address for a home address: 10.S.x.H is 172.16.S.H, and
 * 2001:db8:00xx::/40 is 2001:db8:ffxx::/40. */
void golden_map(uint8_t b[16], bool v6);

/* The answer to ARP, ND, DHCP or echo; failing that, the error for a TTL that
 * ends, for a packet of more than 1400 bytes, or for nobody there. */
size_t golden_answer(uint8_t *frame, uint32_t size, uint8_t *buf, size_t cap);

#endif /* golden.h */
