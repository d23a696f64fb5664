/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATCTL_H
#define MATCTL_H 1

/* matctl: what its files share; see matctl(8).
 *
 * A command is one function in the table of matctl.c.  It asks matd with
 * matctl_ask() or matctl_ask_pages(), then prints the JSON as it came or as a
 * table.  Replies can come from a file instead (--input), so that what a bug
 * report holds can be looked at, and tests need no matd. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json;
struct matctl_table;

enum matctl_status {
    MATCTL_OK,
    MATCTL_FAILED,              /* Not found, refused, or something is wrong
                                 * with this host. */
    MATCTL_USAGE,
    MATCTL_NO_MATD              /* matd does not run. */
};

struct matctl {
    bool json, all, follow, moas;
    const char *zone;           /* "zone=N", or null. */
    const char *target;         /* matd's socket or name. */
    const char *switch_target;  /* ovs-vswitchd's. */
    const char *database;       /* ovsdb-server's socket. */
    const char *keys;           /* Folder of keys. */
    const char *input;          /* Read replies from here. */
    const char *output;         /* Where to write, or null. */
    unsigned int timeout_s;
};

/* Prints "matctl: ..." to stderr.  Returns MATCTL_FAILED. */
enum matctl_status matctl_error(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Asking (matctl-rpc.c).
 *
 * The reply of 'command' with the arguments up to a null is put into
 * '*reply', or, if it was refused, the reason is printed.  'ask_pages' joins
 * the pages of a list: arrays of all pages are appended to those of the
 * first. */
enum matctl_status matctl_ask(const struct matctl *, struct json **reply,
                              const char *command, ...)
    __attribute__((sentinel));
enum matctl_status matctl_ask_pages(const struct matctl *, struct json **reply,
                                    const char *command, ...)
    __attribute__((sentinel));

/* The same for any daemon of Open vSwitch, without complaints: '*text' or
 * '*error' (a sentence) is the caller's.  Returns 0, an errno value if it
 * cannot be reached, or EPROTO with '*error'. */
int matctl_ask_daemon(const char *target, const char *command, int argc,
                      char *argv[], char **text, char **error);

/* JSON (matctl-json.c).  A path is names with dots between, "switch.ack_us".
 * A member that is not there or of another type gives null, 0, false or
 * "". */
const struct json *matctl_get(const struct json *, const char *path);
const char *matctl_string(const struct json *, const char *path);
int64_t matctl_integer(const struct json *, const char *path);
bool matctl_bool(const struct json *, const char *path);
size_t matctl_count(const struct json *, const char *path);
const struct json *matctl_item(const struct json *, const char *path,
                               size_t i);
/* Sorts an array of objects by their members 'keys' (up to a null): numbers
 * and addresses by value, other text by the alphabet. */
void matctl_sort(struct json *, const char *path, const char *const keys[]);

/* Any scalar as text, for a cell; an array's items with commas. */
char *matctl_text(const struct json *, const char *path);

void matctl_print_json(const struct json *);

/* Adds to a table: a scalar; a time in microseconds. */
void matctl_put(struct matctl_table *, const struct json *, const char *path);
void matctl_put_us(struct matctl_table *, const struct json *,
                   const char *path);

/* Commands.  'argv[0]' is the command's name. */
typedef enum matctl_status matctl_command(struct matctl *, int argc,
                                          char *argv[]);
matctl_command matctl_status, matctl_vms, matctl_peers, matctl_lookup,
    matctl_mappings, matctl_pools, matctl_config, matctl_migrations,
    matctl_metrics, matctl_migrate, matctl_hint, matctl_change, matctl_path,
    matctl_trace, matctl_revoke, matctl_check, matctl_bugreport;

/* For check and bugreport: rows of a table of Open vSwitch's database as
 * [{column: value, ...}, ...] of OVSDB's JSON, or null with '*error' filled
 * in. */
struct json *matctl_select(const struct matctl *, const char *table,
                           char **error);
/* The value of 'key' in a column of type map, or null. */
const char *matctl_map_get(const struct json *row, const char *column,
                           const char *key);

#endif /* matctl.h */
