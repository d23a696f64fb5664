/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_WORD_H
#define MAT_WORD_H 1

/* The action's argument: 32 bits, and how they are written as text.
 *
 *    31          26  25  24  23                                            0
 *   +--------------+---+---+------------------------------------------------+
 *   |      0       | E | I |                      zone                      |
 *   +--------------+---+---+------------------------------------------------+
 *
 *   I  in: packets come from the underlay.  Otherwise out: from a VMN.
 *   E  explicit: rewrite only, the actions that follow deliver.
 *
 * OpenFlow messages and datapath flows carry the same word.  As text, between
 * the parentheses of mat(...):
 *
 *   out[,zone=N][,explicit]      N is 0 to 16777215, 0 if not given
 *   in[,explicit]                the zone is that of the MoA
 *
 * in any order after the direction.  Decoding is strict, because a word from
 * a newer peer that this switch understands only in part would send packets
 * where they do not belong: unknown bits and a zone with "in" are refused. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAT_WORD_ZONE_MASK UINT32_C(0x00ffffff)
#define MAT_WORD_IN        UINT32_C(0x01000000)
#define MAT_WORD_EXPLICIT  UINT32_C(0x02000000)

/* Enough for the longest text and its NUL. */
enum { MAT_WORD_TEXT_SIZE = sizeof "out,zone=16777215,explicit" };

/* True if 'word' means something. */
bool mat_word_is_valid(uint32_t word);

/* Writes the text of a valid 'word' into 'text', which is returned. */
char *mat_word_format(uint32_t word, char text[MAT_WORD_TEXT_SIZE]);

/* Parses the 'n' bytes at 'text' into '*word'.  Returns a null pointer, or a
 * sentence fragment that says what is wrong, with '*word' unchanged. */
const char *mat_word_parse(const char *text, size_t n, uint32_t *word);

#endif /* mat-word.h */
