/* SPDX-License-Identifier: Apache-2.0 */
/* Random stories: guests boot, move, die, come back; migrations fail; agents,
 * switches and the network fail too.  In the end all is quiet, and then every
 * host's switch must know where each guest is.
 *
 *     SEED=n RUNS=m ./test-mat-agent-random         VERBOSE: FLEET_VERBOSE=1
 */
#include "fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N_HOSTS = 3, N_GUESTS = 6, N_STEPS = 60, QUIET_S = 400 };

struct guest {
    int host;                   /* Where it runs, or -1. */
    int prepared;               /* Where a port waits for it, or -1. */
    int stale;                  /* Where its old port still is, or -1. */
};

struct story {
    struct fleet f;
    struct mat_rng rng;
    struct guest guests[N_GUESTS];
};

static int
below(struct story *s, unsigned int n)
{
    return (int) mat_rng_below(&s->rng, n);
}

static unsigned int
mac_of(int guest)
{
    return 10u + (unsigned int) guest;
}

static const char *
hoa_of(int guest, int i)
{
    static char text[MAT_ADDR_STRLEN];

    snprintf(text, sizeof text, i ? "fd00::%d" : "10.1.0.%d", 10 + guest);
    return text;
}

static const char *
port_of(int guest)
{
    static char text[16];

    snprintf(text, sizeof text, "vm%d", guest);
    return text;
}

static void
announce(struct story *s, int guest)
{
    int host = s->guests[guest].host;

    fleet_say(&s->f, host, port_of(guest), MAT_EVENT_GARP, mac_of(guest),
              hoa_of(guest, 0));
    fleet_say(&s->f, host, port_of(guest), MAT_EVENT_NA, mac_of(guest),
              hoa_of(guest, 1));
}

static void
remove_stale(struct story *s, int guest)
{
    struct guest *g = &s->guests[guest];

    if (g->stale >= 0) {
        fleet_unplug(&s->f, g->stale, port_of(guest));
        g->stale = -1;
    }
}

static void
boot(struct story *s, int guest)
{
    struct guest *g = &s->guests[guest];

    if (g->host < 0 && g->prepared < 0) {
        remove_stale(s, guest);
        g->host = below(s, N_HOSTS);
        fleet_plug(&s->f, g->host, port_of(guest), mac_of(guest), NULL);
        announce(s, guest);
    }
}

static void
die(struct story *s, int guest)
{
    struct guest *g = &s->guests[guest];

    if (g->host >= 0) {
        fleet_unplug(&s->f, g->host, port_of(guest));
        g->host = -1;
    }
    if (g->prepared >= 0) {
        fleet_unplug(&s->f, g->prepared, port_of(guest));
        g->prepared = -1;
    }
}

static void
prepare(struct story *s, int guest)
{
    struct guest *g = &s->guests[guest];
    int to = below(s, N_HOSTS);

    if (g->host >= 0 && g->prepared < 0 && to != g->host) {
        remove_stale(s, guest);
        g->prepared = to;
        fleet_plug(&s->f, to, port_of(guest), mac_of(guest), NULL);
    }
}

static void
give_up(struct story *s, int guest, bool hint)
{
    struct guest *g = &s->guests[guest];

    if (g->prepared < 0) {
        return;
    }
    if (hint && s->f.hosts[g->host].is_up) {
        fleet_hint(&s->f, g->host, MAT_HINT_HOLD, mac_of(guest));
        fleet_run(&s->f, below(s, 30) * SIM_MS);
        fleet_hint(&s->f, g->host, MAT_HINT_STOPPED, mac_of(guest));
        fleet_run(&s->f, below(s, 1000) * SIM_MS);
        fleet_hint(&s->f, g->host, MAT_HINT_FAILED, mac_of(guest));
    }
    fleet_unplug(&s->f, g->prepared, port_of(guest));
    g->prepared = -1;
}

static void
arrive(struct story *s, int guest, bool hint)
{
    struct guest *g = &s->guests[guest];
    int from = g->host;

    if (g->prepared < 0) {
        return;
    }
    if (hint && s->f.hosts[from].is_up) {
        fleet_hint(&s->f, from, MAT_HINT_HOLD, mac_of(guest));
        fleet_run(&s->f, below(s, 30) * SIM_MS);
        fleet_hint(&s->f, from, MAT_HINT_STOPPED, mac_of(guest));
        fleet_run(&s->f, below(s, 100) * SIM_MS);
    }
    g->host = g->prepared;
    g->prepared = -1;
    if (below(s, 2)) {
        fleet_unplug(&s->f, from, port_of(guest));
    } else {
        g->stale = from;
    }
    if (below(s, 4)) {
        fleet_say(&s->f, g->host, port_of(guest), MAT_EVENT_RARP,
                  mac_of(guest), NULL);
    } else {
        announce(s, guest);
    }
}

/* The agent starts again and is told the ports that there are. */
static void
start(struct story *s, int host)
{
    struct fleet_host *h = &s->f.hosts[host];

    fleet_start_agent(&s->f, host);
    if (below(s, 2)) {
        mat_agent_switch_connected(h->agent, s->f.now_us, h->instance);
    }
    for (int i = 0; i < N_GUESTS; i++) {
        const struct guest *g = &s->guests[i];
        const struct mat_agent_port_config config = {
            .enabled = true, .zone = FLEET_ZONE, .has_mac = true,
            .mac = fleet_mac(mac_of(i))
        };

        if (g->host == host || g->prepared == host || g->stale == host) {
            mat_agent_port(h->agent, s->f.now_us, port_of(i), &config, 0,
                           false);
        }
    }
    mat_agent_port(h->agent, s->f.now_us, "stays", &(
                       struct mat_agent_port_config) {
                       .enabled = true, .zone = FLEET_ZONE
                   }, 0, false);
    mat_agent_ready(h->agent, s->f.now_us);
    mat_agent_switch_connected(h->agent, s->f.now_us, h->instance);
    fleet_run(&s->f, SIM_MS);
}

static void
disturb(struct story *s, int what)
{
    int host = below(s, N_HOSTS);
    struct fleet_host *h = &s->f.hosts[host];

    if (what == 0 && h->is_up) {
        fleet_stop_agent(&s->f, host);
        if (!below(s, 3)) {
            h->n_disk = 0;
        }
    } else if (what == 1 && !h->is_up) {
        start(s, host);
    } else if (what == 2 && h->is_up) {
        fleet_restart_switch(&s->f, host);
    } else if (what == 3) {
        h->is_cut = !h->is_cut;
    }
}

static void
step(struct story *s)
{
    int guest = below(s, N_GUESTS), what = below(s, 24);

    if (what < 5) {
        boot(s, guest);
    } else if (what < 10) {
        prepare(s, guest);
    } else if (what < 16) {
        arrive(s, guest, what & 1);
    } else if (what < 18) {
        give_up(s, guest, what & 1);
    } else if (what < 19) {
        die(s, guest);
    } else if (s->guests[guest].host >= 0 && what < 20) {
        announce(s, guest);
    } else {
        disturb(s, below(s, 4));
    }
    fleet_run(&s->f, 1 << below(s, 24));
}

/* All that failed comes back; guests say a word, as guests do. */
static void
calm(struct story *s)
{
    for (int i = 0; i < N_HOSTS; i++) {
        s->f.hosts[i].is_cut = false;
        if (!s->f.hosts[i].is_up) {
            start(s, i);
        }
    }
    for (int i = 0; i < N_GUESTS; i++) {
        struct guest *g = &s->guests[i];

        remove_stale(s, i);
        if (g->prepared >= 0) {
            give_up(s, i, false);
        }
    }
    fleet_run(&s->f, 60 * SIM_S);
    for (int n = 0; n < 2; n++) {
        for (int i = 0; i < N_GUESTS; i++) {
            if (s->guests[i].host >= 0) {
                announce(s, i);
            }
        }
        fleet_run(&s->f, QUIET_S * SIM_S);
    }
}

static void
check(struct story *s)
{
    struct mat_entry e;

    for (int i = 0; i < N_GUESTS; i++) {
        const struct guest *g = &s->guests[i];

        for (int family = 0; family < 2; family++) {
            if (g->host >= 0) {
                fleet_expect_at(&s->f, g->host, port_of(i),
                                hoa_of(i, family));
                continue;
            }
            for (int h = 0; h < N_HOSTS; h++) {
                assert_false(fleet_live(&s->f, h, hoa_of(i, family), &e));
            }
        }
    }
    fleet_expect_consistent(&s->f);
}

static void
test_random_stories(void **state)
{
    const char *seed = getenv("SEED"), *runs = getenv("RUNS");
    uint64_t first = seed ? strtoull(seed, NULL, 0) : 1;
    uint64_t n = runs ? strtoull(runs, NULL, 0) : 20;

    (void) state;
    for (uint64_t i = first; i < first + n; i++) {
        struct story *s = calloc(1, sizeof *s);

        if (seed || runs) {
            print_message("seed %u\n", (unsigned int) i);
        }
        s->rng.state = i;
        fleet_init(&s->f, N_HOSTS);
        for (int g = 0; g < N_GUESTS; g++) {
            s->guests[g] = (struct guest) { -1, -1, -1 };
        }
        /* So that all have to do with the zone. */
        for (int h = 0; h < N_HOSTS; h++) {
            fleet_plug(&s->f, h, "stays", 0, NULL);
        }
        for (int k = 0; k < N_STEPS; k++) {
            step(s);
        }
        calm(s);
        check(s);
        fleet_destroy(&s->f);
        free(s);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_stories),
    };

    return cmocka_run_group_tests_name("mat-agent-random", tests, NULL, NULL);
}
