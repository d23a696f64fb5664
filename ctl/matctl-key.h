/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATCTL_KEY_H
#define MATCTL_KEY_H 1

/* "matctl key": the keys of a cluster and its hosts, as files (matd-keys.h).
 *
 *     key new-cluster DIR
 *     key issue --cluster=DIR --host=ID|NAME [--zones=RANGES]
 *               --hoas=PREFIXES --pools=PREFIXES [--days=N] [--out=DIR]
 *               [--new-key]
 *     key show FILE...
 *     key revoke --cluster=DIR HOST [SERIAL]
 *     key rotate --cluster=DIR
 *
 * The folder of the cluster stays with its operator, off the hypervisors. It
 * holds cluster.key, cluster.pub, join.key and "hosts", a line for each
 * certificate issued: host id, serial number, name, end, which is where the
 * next serial number comes from.
 *
 * A key is never overwritten unless that is what was asked for: "new-cluster"
 * wants a folder without keys; "issue" for a host that has a key in --out
 * certifies that key again, unless --new-key is given.  What is written is
 * complete before it has its name, and secrets are 0600 whatever the umask.
 *
 * Nothing here asks a running matd. */

#include <stdio.h>

/* Runs "matctl key" with the arguments after "key".  Output to 'out',
 * complaints to 'err'.  Returns the exit status: 0 ok, 1 failed, 2 usage. */
int matctl_key(int argc, char *argv[], FILE *out, FILE *err);

/* The lines that "matctl --help" shows. */
extern const char matctl_key_usage[];

#endif /* matctl-key.h */
