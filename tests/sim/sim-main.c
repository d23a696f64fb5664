/* SPDX-License-Identifier: Apache-2.0 */
/* sim: random runs of a simulated cluster.
 *
 *     sim [--seed=N] [--runs=M] [--hosts=H] [--real-crypto] [--verbose]
 *         [--record=FILE]
 *     sim --replay=FILE | --list=FILE */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>

#include "sim.h"

enum { OPT_SEED = 1, OPT_RUNS, OPT_HOSTS, OPT_REAL, OPT_VERBOSE, OPT_RECORD,
       OPT_REPLAY, OPT_LIST };

int
main(int argc, char *argv[])
{
    static const struct option options[] = {
        { "seed", required_argument, NULL, OPT_SEED },
        { "runs", required_argument, NULL, OPT_RUNS },
        { "hosts", required_argument, NULL, OPT_HOSTS },
        { "real-crypto", no_argument, NULL, OPT_REAL },
        { "verbose", no_argument, NULL, OPT_VERBOSE },
        { "record", required_argument, NULL, OPT_RECORD },
        { "replay", required_argument, NULL, OPT_REPLAY },
        { "list", required_argument, NULL, OPT_LIST },
        { NULL, 0, NULL, 0 }
    };
    uint64_t seed = 1, runs = 1;
    const char *record = NULL;
    bool real = false, verbose = false;
    int hosts = 20, opt;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (opt) {
        case OPT_SEED:
            seed = strtoull(optarg, NULL, 0);
            break;
        case OPT_RUNS:
            runs = strtoull(optarg, NULL, 0);
            break;
        case OPT_HOSTS:
            hosts = (int) strtol(optarg, NULL, 0);
            break;
        case OPT_REAL:
            real = true;
            break;
        case OPT_VERBOSE:
            verbose = true;
            break;
        case OPT_RECORD:
            record = optarg;
            break;
        case OPT_REPLAY:
            return sim_replay(optarg, false);
        case OPT_LIST:
            return sim_replay(optarg, true);
        default:
            return 2;
        }
    }
    if (hosts < 3 || hosts > 64) {
        fprintf(stderr, "--hosts must be 3 to 64\n");
        return 2;
    }
    for (uint64_t i = 0; i < runs; i++) {
        sim_random_run(seed + i, hosts, real, verbose, record);
    }
    printf("%" PRIu64 " runs of %d hosts from seed %" PRIu64 ": good\n", runs,
           hosts, seed);
    return 0;
}
