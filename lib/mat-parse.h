/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_PARSE_H
#define MAT_PARSE_H 1

/* How people write operations: one grammar for ovs-appctl, for the command
 * line tool, and for the files that it loads and dumps.
 *
 *   add [zone=N] hoa=A moa=A mac=M port=NAME|nexthop=ID
 *       [state=local|remote|prepared|departed] [hold]
 *   del [zone=N] hoa=A [moa=A]
 *   hold [zone=N] hoa=A on|off|release|flush [moa=A]
 *   ports add NAME role=vm|uplink [mac=M] [mtu=N]
 *   ports del NAME
 *   nexthops add ID src=M dst=M [mtu=N]
 *   nexthops del ID
 *   zones add N [outside=ID] [subnet=PREFIX[,gw=A]]...
 *   zones del N
 *   pools add PREFIX [own]
 *   pools del PREFIX
 *
 * The zone is 0 unless given; the state is local with a port and remote with a
 * next hop.  "del" and "hold" without moa= mean the live entry of the HoA;
 * "release" and "flush" mean whatever waits for that address.
 *
 * mat-text.h writes the same words. */

#include "mat-update.h"

enum {
    MAT_PARSE_WORDS_MAX = 24,       /* In one line. */
    MAT_PARSE_ERROR_MAX = 512
};

/* The usage of the command 'word' ("add", "ports", ...), or null. */
const char *mat_parse_usage(const char *word);

/* Parses 'words', a command as above.  False with a sentence in 'error' that
 * names the bad word and the right form. */
bool mat_parse(int n_words, const char *const words[], struct mat_op *,
               char error[static MAT_PARSE_ERROR_MAX]);

/* Cuts 'line' into words in place, up to its end or a word that begins with
 * "#".  Returns their number, or -1 if there are too many. */
int mat_parse_split(char *line, const char *words[static MAT_PARSE_WORDS_MAX]);

/* Parses a number, decimal or with "0x", of at most 'max'. */
bool mat_parse_number(const char *, uint64_t max, uint64_t *);

#endif /* mat-parse.h */
