/* SPDX-License-Identifier: Apache-2.0 */

/* external_ids as lines of "key=value": those of the host up to an empty line,
 * then those of a port.  Whatever they say, the configuration keeps to its
 * limits, is the same when built again, and every problem is a sentence. */

#include <stdlib.h>

#include "mat-agent-config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(CONDITION) ((CONDITION) ? (void) 0 : abort())

enum { PAIRS_MAX = 100, INPUT_MAX = 20000 };

static struct mat_agent_config config, again, last;
static struct mat_agent_problems problems;

/* Cuts '*s' into pairs, up to an empty line. */
static size_t
split(char **s, struct mat_agent_pair pairs[static PAIRS_MAX])
{
    size_t n = 0;

    while (**s && **s != '\n' && n < PAIRS_MAX) {
        char *line = *s, *end = line + strcspn(line, "\n"), *equal;

        *s = *end ? end + 1 : end;
        *end = '\0';
        equal = strchr(line, '=');
        if (equal) {
            *equal = '\0';
            pairs[n].key = line;
            pairs[n].value = equal + 1;
            n++;
        }
    }
    *s += **s == '\n';
    return n;
}

static void
check_problems(void)
{
    CHECK(problems.n <= MAT_AGENT_PROBLEMS_MAX);
    for (size_t i = 0; i < problems.n; i++) {
        CHECK(problems.text[i][0]);
        CHECK(memchr(problems.text[i], '\0', MAT_AGENT_PROBLEM_SIZE));
    }
}

static void
check_config(void)
{
    struct mat_zone zone;

    CHECK(memchr(config.bridge, '\0', sizeof config.bridge));
    CHECK(config.uplinks.n <= MAT_AGENT_UPLINKS_MAX);
    CHECK(config.pools[0].n <= MAT_MOA_ITEMS_MAX);
    CHECK(config.pools[1].n <= MAT_MOA_ITEMS_MAX);
    CHECK(config.seeds.n <= MAT_AGENT_SEEDS_MAX);
    CHECK(config.zone <= MAT_ZONE_MAX);
    CHECK(config.hoas_max >= 1 && config.hoas_max <= MAT_HOA_PER_VMN_MAX);
    CHECK(config.n_zones <= MAT_AGENT_ZONES_MAX);
    for (size_t i = 0; i < config.n_zones; i++) {
        CHECK(!i || (config.zones[i - 1].zone.zone
                     < config.zones[i].zone.zone));
        mat_agent_config_zone(&config, config.zones[i].zone.zone, &zone);
        CHECK(zone.n_subnets <= MAT_ZONE_SUBNETS_MAX);
        CHECK(zone.zone <= MAT_ZONE_MAX);
    }
}

static void
check_port(const struct mat_agent_pair *pairs, size_t n)
{
    struct mat_agent_port_config port, before;

    problems.n = 0;
    mat_agent_port_config_build(&port, NULL, &config, "tap0", pairs, n,
                                &problems);
    check_problems();
    CHECK(port.zone <= MAT_ZONE_MAX);
    CHECK(port.n_hoas <= MAT_HOA_PER_VMN_MAX);
    CHECK(memchr(port.iface_id, '\0', sizeof port.iface_id));
    CHECK(memchr(port.qmp, '\0', sizeof port.qmp));
    before = port;
    mat_agent_port_config_build(&port, &before, &config, "tap0", pairs, n,
                                &problems);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mat_agent_pair pairs[PAIRS_MAX];
    static char text[INPUT_MAX + 1];
    char *s = text;
    size_t n;

    if (size > INPUT_MAX) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    mat_agent_config_default(&last);
    problems.n = 0;
    n = split(&s, pairs);
    mat_agent_config_build(&config, &last, pairs, n, &problems);
    check_problems();
    check_config();
    problems.n = 0;
    mat_agent_config_build(&again, &config, pairs, n, &problems);
    mat_agent_config_build(&last, &again, pairs, n, &problems);
    CHECK(!memcmp(&again, &last, sizeof last));
    check_port(pairs, split(&s, pairs));
    return 0;
}
