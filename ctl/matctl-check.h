/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATCTL_CHECK_H
#define MATCTL_CHECK_H 1

/* "matctl check": a list of findings about this host's set-up, each with what
 * to do.
 *
 * The parts run in the order in which things depend on each other; one that
 * cannot look, since what it needs is missing, finds nothing and says
 * nothing: the first error is the one to mend. */

#include "matctl.h"

enum matctl_level {
    MATCTL_GOOD,
    MATCTL_WARNING,             /* Works, but not as well as it could. */
    MATCTL_ERROR                /* Does not work. */
};

struct matctl_check {
    const struct matctl *ctl;
    struct json *findings;      /* Array. */
    unsigned int n_warnings, n_errors;

    /* What was found out on the way; null if it could not be. */
    struct json *ovs;           /* Row of Open_vSwitch. */
    struct json *bridges, *ports, *interfaces;  /* Rows. */
    struct json *status, *pools, *peers;        /* Replies of matd. */
};

/* 'name' is the check's, "switch-patched"; 'fix' may be null. */
void matctl_found(struct matctl_check *, enum matctl_level, const char *name,
                  const char *fix, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* The parts. */
void matctl_check_switch(struct matctl_check *);        /* Daemons, socket. */
void matctl_check_bridge(struct matctl_check *);        /* Bridge, uplinks. */
void matctl_check_links(struct matctl_check *);         /* MTU, offload. */
void matctl_check_keys(struct matctl_check *);
void matctl_check_clock(struct matctl_check *);
void matctl_check_agent(struct matctl_check *);         /* matd, peers. */

/* Rows by name, or null. */
const struct json *matctl_find_row(const struct json *rows, const char *name);

/* The value of a key of Open_vSwitch's external_ids, or "". */
const char *matctl_key_value(const struct matctl_check *, const char *key);

/* Calls 'each' with the name of every uplink that is configured. */
void matctl_each_uplink(struct matctl_check *,
                        void (*each)(struct matctl_check *, const char *name));

#endif /* matctl-check.h */
