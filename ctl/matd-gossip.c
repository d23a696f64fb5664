/* SPDX-License-Identifier: Apache-2.0 */
#include "matd-gossip.h"

#include <inttypes.h>
#include <poll.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "mat-mem.h"
#include "mat-path.h"
#include "matd-recording.h"
#include "matd-udp.h"

enum {
    BIND_RETRY_US = 1000000,
    WALL_US = 10 * 1000000,     /* Between looks at the wall clock: it only
                                 * ends certificates. */
    TURN_US = 500,              /* For datagrams that wait.  Each may cost a
                                 * check of signatures; the host's own events
                                 * get their turn between. */
    BLOCKED_US = 1000,          /* A full device is not seen by poll(). */
    ERROR_LOG_US = 60 * 1000000
};

struct matd_gossip {
    struct matd_gossip_hooks hooks;
    struct matd_gossip_config config;
    bool is_configured;
    struct matd_udp *udp;
    int64_t bind_at_us;         /* When to try again. */
    char bind_error[MATD_UDP_ERROR_MAX];        /* "" if it is bound. */
    uint64_t counters[MATD_GOSSIP_N_COUNTERS];
    int64_t error_logged_us;

    struct mat_gossip *engine;
    struct mat_recorder *recorder;
    struct matd_outputs outputs;
    uint64_t n_noted;           /* Of the recorder, when last drained. */
    uint8_t join_keys[2][MAT_SECRET_SIZE];
    struct mat_sodium_identity identity;
    struct mat_cert cert;
    uint8_t cluster_key[MAT_PUBLIC_KEY_SIZE];
    int64_t wall_at_us;
    int64_t warned_days;        /* Before the certificate's end, last. */
    int64_t now_us;             /* Of the run under way. */
    int64_t turn_ends_us;       /* Of the monotonic clock. */
};

static void log_line(struct matd_gossip *, bool is_error, const char *, ...)
    __attribute__((format(printf, 3, 4)));

static void
log_line(struct matd_gossip *g, bool is_error, const char *format, ...)
{
    char line[MATD_GOSSIP_ERROR_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    g->hooks.log(g->hooks.aux, is_error, line);
}

struct matd_gossip *
matd_gossip_create(const struct matd_gossip_hooks *hooks)
{
    struct matd_gossip *g = mat_xcalloc(1, sizeof *g);

    g->hooks = *hooks;
    g->udp = matd_udp_create(g->counters);
    g->recorder = mat_recorder_create(MATD_GOSSIP_RECORDER_BYTES);
    g->error_logged_us = -ERROR_LOG_US;
    return g;
}

void
matd_gossip_destroy(struct matd_gossip *g)
{
    if (g) {
        mat_gossip_destroy(g->engine);
        mat_recorder_destroy(g->recorder);
        matd_udp_destroy(g->udp);
        mat_sodium_identity_clear(&g->identity);
        sodium_memzero(g->join_keys, sizeof g->join_keys);
        free(g);
    }
}

static enum mat_gossip_result
call(struct matd_gossip *g, const struct mat_call *c)
{
    return mat_call_make(g->engine, g->recorder, c);
}

/* Configuration. */

static const char *
format_endpoint(const struct mat_endpoint *e, char buf[MAT_ADDR_STRLEN + 16])
{
    char addr[MAT_ADDR_STRLEN];

    mat_addr_format(&e->addr, addr);
    snprintf(buf, MAT_ADDR_STRLEN + 16,
             mat_addr_is_v4(&e->addr) ? "%s:%u" : "[%s]:%u", addr, e->port);
    return buf;
}

/* Says it when it starts to fail and when it is mended, not each time. */
static void
try_bind(struct matd_gossip *g, int64_t now_us)
{
    char error[MATD_UDP_ERROR_MAX], at[MAT_ADDR_STRLEN + 16];
    struct mat_endpoint bound;

    if (matd_udp_bind(g->udp, &g->config.bind, &g->config.advertised.addr,
                      error)) {
        g->bind_error[0] = '\0';
        matd_udp_is_bound(g->udp, &bound);
        log_line(g, false, "gossip: bound to %s",
                 format_endpoint(&bound, at));
        return;
    }
    if (strcmp(error, g->bind_error)) {
        log_line(g, true, "gossip: %s; trying again every second", error);
        snprintf(g->bind_error, sizeof g->bind_error, "%s", error);
    }
    g->bind_at_us = now_us + BIND_RETRY_US;
}

static void
tell_endpoint(struct matd_gossip *g, int64_t now_us)
{
    struct mat_call c = {
        .kind = MAT_REC_ENDPOINT, .now_us = now_us,
        .endpoint = g->config.advertised
    };

    call(g, &c);
}

static void
tell_seeds(struct matd_gossip *g, int64_t now_us)
{
    uint8_t bytes[MAT_GOSSIP_SEEDS_MAX * (1 + 16 + 2)];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };
    struct mat_call c = {
        .kind = MAT_REC_SEEDS, .now_us = now_us, .data = bytes
    };

    for (size_t i = 0; i < g->config.n_seeds; i++) {
        mat_put_addr(&w, &g->config.seeds[i].addr);
        mat_put_u16(&w, g->config.seeds[i].port);
    }
    c.size = w.n;
    call(g, &c);
}

static bool
seeds_equal(const struct matd_gossip_config *a,
            const struct matd_gossip_config *b)
{
    if (a->n_seeds != b->n_seeds) {
        return false;
    }
    for (size_t i = 0; i < a->n_seeds; i++) {
        if (!mat_endpoint_equal(&a->seeds[i], &b->seeds[i])) {
            return false;
        }
    }
    return true;
}

void
matd_gossip_configure(struct matd_gossip *g, int64_t now_us,
                      const struct matd_gossip_config *config)
{
    struct matd_gossip_config old = g->config;
    bool is_first = !g->is_configured;

    MAT_ASSERT(config->n_seeds <= MAT_GOSSIP_SEEDS_MAX);
    g->config = *config;
    g->is_configured = true;
    if (is_first || !mat_endpoint_equal(&config->bind, &old.bind)
        || (mat_addr_is_zero(&config->bind.addr)
            && !mat_addr_equal(&config->advertised.addr,
                               &old.advertised.addr))) {
        try_bind(g, now_us);
    }
    if (g->engine) {
        if (!mat_endpoint_equal(&config->advertised, &old.advertised)) {
            tell_endpoint(g, now_us);
        }
        if (!seeds_equal(config, &old)) {
            tell_seeds(g, now_us);
        }
    }
}

/* Life of the engine. */

static void
fill_config(struct matd_gossip *g, const struct matd_keys *keys,
            uint32_t generation, struct mat_gossip_config *c)
{
    *c = (struct mat_gossip_config) {
        .id = keys->cert.host, .generation = generation,
        .endpoint = g->config.advertised, .mtu = g->config.mtu,
        .all_zones = g->config.all_zones, .label = keys->label,
        .cert = keys->cert_bytes, .cert_size = keys->cert_size,
        .n_seeds = g->config.n_seeds, .wall_s = time(NULL)
    };
    randombytes_buf(&c->salt, sizeof c->salt);
    randombytes_buf(&c->seed, sizeof c->seed);
    memcpy(c->cluster_key, keys->cluster_key, sizeof c->cluster_key);
    memcpy(c->join_keys, keys->join_keys, sizeof c->join_keys);
    for (size_t i = 0; i < c->n_seeds; i++) {
        c->seeds[i] = g->config.seeds[i];
    }
    g->identity = keys->identity;
    c->crypto = mat_sodium_crypto(&g->identity);
    mat_gossip_tuning_default(&c->tuning);
}

bool
matd_gossip_start(struct matd_gossip *g, int64_t now_us,
                  const struct matd_keys *keys, uint32_t generation,
                  char error[MATD_GOSSIP_ERROR_MAX])
{
    struct mat_gossip_config config;

    if (g->engine || !g->is_configured || !generation) {
        snprintf(error, MATD_GOSSIP_ERROR_MAX, "gossip: %s",
                 g->engine ? "runs already"
                 : generation ? "has no configuration yet"
                 : "has no generation on disk");
        return false;
    }
    fill_config(g, keys, generation, &config);
    g->engine = mat_gossip_create(&config, now_us);
    if (!g->engine) {
        snprintf(error, MATD_GOSSIP_ERROR_MAX, "gossip: the certificate does "
                 "not fit the keys");
        return false;
    }
    matd_recording_create(g->recorder, now_us, &config);
    sodium_memzero(&config, sizeof config);
    g->outputs = (struct matd_outputs) { .n = 0 };
    g->cert = keys->cert;
    memcpy(g->cluster_key, keys->cluster_key, sizeof g->cluster_key);
    memcpy(g->join_keys, keys->join_keys, sizeof g->join_keys);
    g->wall_at_us = now_us;
    g->warned_days = INT64_MAX;
    log_line(g, false, "gossip: host 0x%016" PRIx64 " of cluster %04x "
             "starts, generation %" PRIu32 ", certificate %" PRIu32,
             g->cert.host, keys->label, generation, g->cert.serial);
    return true;
}

void
matd_gossip_stop(struct matd_gossip *g, int64_t now_us, bool leave)
{
    struct mat_call c = { .kind = MAT_REC_LEAVE, .now_us = now_us };

    if (!g->engine) {
        return;
    }
    if (leave) {
        call(g, &c);
    }
    matd_gossip_flush(g, now_us);
    mat_gossip_destroy(g->engine);
    g->engine = NULL;
    mat_sodium_identity_clear(&g->identity);
    log_line(g, false, "gossip: stopped%s", leave ? ", having left" : "");
}

bool
matd_gossip_set_keys(struct matd_gossip *g, int64_t now_us,
                     const struct matd_keys *keys)
{
    uint8_t join[2 * MAT_SECRET_SIZE];
    struct mat_call join_call = {
        .kind = MAT_REC_JOIN_KEYS, .now_us = now_us, .data = join,
        .size = sizeof join
    };
    struct mat_call cert_call = {
        .kind = MAT_REC_CERT, .now_us = now_us,
        .data = (uint8_t *) (uintptr_t) keys->cert_bytes,
        .size = keys->cert_size
    };

    if (!g->engine || keys->cert.host != g->cert.host
        || memcmp(keys->identity.public_key, g->identity.public_key,
                  MAT_PUBLIC_KEY_SIZE)
        || memcmp(keys->cluster_key, g->cluster_key, MAT_PUBLIC_KEY_SIZE)) {
        return false;
    }
    if (keys->cert.serial != g->cert.serial
        || keys->cert.not_after_s != g->cert.not_after_s) {
        if (call(g, &cert_call) != MAT_GOSSIP_OK) {
            return false;
        }
        g->cert = keys->cert;
        g->warned_days = INT64_MAX;
        log_line(g, false, "gossip: certificate %" PRIu32 " is in force",
                 keys->cert.serial);
    }
    if (sodium_memcmp(keys->join_keys, g->join_keys, sizeof join)) {
        memcpy(g->join_keys, keys->join_keys, sizeof join);
        memcpy(join, keys->join_keys, sizeof join);
        call(g, &join_call);
        sodium_memzero(join, sizeof join);
        log_line(g, false, "gossip: %s in force", keys->n_join_keys > 1
                 ? "two join keys are" : "one join key is");
    }
    return true;
}

bool
matd_gossip_revoke(struct matd_gossip *g, int64_t now_us, const char *armour,
                   size_t size, char error[MATD_GOSSIP_ERROR_MAX])
{
    uint8_t data[MATD_ARMOUR_DATA_MAX];
    struct mat_call c = {
        .kind = MAT_REC_REVOKE, .now_us = now_us, .data = data
    };
    enum matd_armour kind;
    unsigned int line;

    if (!g->engine) {
        snprintf(error, MATD_GOSSIP_ERROR_MAX, "gossip does not run");
        return false;
    } else if (!matd_armour_decode(armour, size, &kind, data, &c.size, &line,
                                   error)) {
        return false;
    } else if (kind != MATD_ARMOUR_REVOCATION) {
        snprintf(error, MATD_GOSSIP_ERROR_MAX, "a %s, not a revocation",
                 matd_armour_name(kind));
        return false;
    } else if (call(g, &c) != MAT_GOSSIP_OK) {
        snprintf(error, MATD_GOSSIP_ERROR_MAX, "not signed by this cluster, "
                 "or not newer than one that is known");
        return false;
    }
    log_line(g, false, "gossip: took over a revocation");
    return true;
}

struct mat_gossip *
matd_gossip_engine(struct matd_gossip *g)
{
    return g->engine;
}

struct mat_recorder *
matd_gossip_recorder(struct matd_gossip *g)
{
    return g->recorder;
}

/* Running. */

static int64_t
monotonic_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool
take_datagram(void *g_, const struct mat_endpoint *from, uint8_t *data,
              size_t size)
{
    struct matd_gossip *g = g_;
    struct mat_call c = {
        .kind = MAT_REC_RECEIVE, .now_us = g->now_us, .endpoint = *from,
        .data = data, .size = size
    };

    if (size >= MAT_PATH_MESSAGE_SIZE && data[0] == MAT_PATH_MAGIC) {
        g->counters[MATD_GOSSIP_RX_PATH]++;
        if (g->hooks.path) {
            g->hooks.path(g->hooks.aux, g->now_us, from, data, size);
        }
    } else if (size > MAT_WIRE_DATAGRAM_MAX) {
        g->counters[MATD_GOSSIP_RX_TRUNCATED]++;
    } else if (g->engine) {
        call(g, &c);
    }
    return monotonic_us() < g->turn_ends_us;
}

/* Says it a month, a week and a day before, and when it has ended. */
static void
warn_of_end(struct matd_gossip *g, int64_t wall_s)
{
    static const int64_t steps[] = { 0, 1, 7, 30 };
    int64_t left_s = g->cert.not_after_s - wall_s;

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (left_s > steps[i] * 86400) {
            continue;
        } else if (g->warned_days > steps[i]) {
            g->warned_days = steps[i];
            log_line(g, true, "gossip: the certificate %s; \"matctl key "
                     "issue\" makes a new one for the same key",
                     !steps[i] ? "has ended, and peers refuse this host"
                     : steps[i] == 1 ? "ends within a day"
                     : steps[i] == 7 ? "ends within a week"
                     : "ends within a month");
        }
        return;
    }
}

static void
take_time(struct matd_gossip *g, int64_t now_us)
{
    struct mat_call wall = {
        .kind = MAT_REC_WALL, .now_us = now_us, .wall_s = time(NULL)
    };
    struct mat_call tick = { .kind = MAT_REC_TICK, .now_us = now_us };

    if (now_us >= g->wall_at_us) {
        g->wall_at_us = now_us + WALL_US;
        call(g, &wall);
        warn_of_end(g, wall.wall_s);
    }
    if (now_us >= mat_gossip_deadline_us(g->engine)) {
        call(g, &tick);
    }
}

void
matd_gossip_run(struct matd_gossip *g, int64_t now_us)
{
    g->now_us = now_us;
    if (g->bind_error[0] && now_us >= g->bind_at_us) {
        try_bind(g, now_us);
    }
    g->turn_ends_us = monotonic_us() + TURN_US;
    matd_udp_receive(g->udp, take_datagram, g);
    if (g->engine) {
        take_time(g, now_us);
    }
    matd_gossip_flush(g, now_us);
}

static void
take_output(struct matd_gossip *g, int64_t now_us,
            const struct mat_output *out)
{
    matd_outputs_add(&g->outputs, out);
    switch (out->kind) {
    case MAT_OUT_SEND:
        matd_udp_queue(g->udp, &out->to, out->bytes, out->size,
                       out->is_urgent);
        break;
    case MAT_OUT_GENERATION:
        g->hooks.keep_generation(g->hooks.aux, out->generation);
        break;
    case MAT_OUT_APPLY:
    case MAT_OUT_MEMBER:
    case MAT_OUT_PUSHED:
    case MAT_OUT_VMN:
    default:
        g->hooks.output(g->hooks.aux, now_us, out);
        break;
    }
}

static void
report_errors(struct matd_gossip *g, int64_t now_us)
{
    char to[MAT_ADDR_STRLEN + 16];
    struct mat_endpoint endpoint;
    int error;

    if (now_us - g->error_logged_us < ERROR_LOG_US) {
        return;
    }
    error = matd_udp_take_error(g->udp, &endpoint);
    if (error && !g->bind_error[0]) {
        g->error_logged_us = now_us;
        log_line(g, true, "gossip: cannot send to %s: %s (%" PRIu64
                 " datagrams lost to errors so far)",
                 format_endpoint(&endpoint, to), strerror(error),
                 g->counters[MATD_GOSSIP_TX_ERRORS]);
    }
}

/* What the agent does about an output may give more of them. */
void
matd_gossip_flush(struct matd_gossip *g, int64_t now_us)
{
    struct mat_output out;

    while (g->engine && mat_gossip_next(g->engine, &out)) {
        take_output(g, now_us, &out);
    }
    if (g->engine && mat_recorder_n_noted(g->recorder) != g->n_noted) {
        matd_recording_drained(g->recorder, now_us, &g->outputs);
        g->n_noted = mat_recorder_n_noted(g->recorder);
    }
    matd_udp_flush(g->udp);
    report_errors(g, now_us);
}

int
matd_gossip_fd(const struct matd_gossip *g)
{
    return matd_udp_fd(g->udp);
}

short int
matd_gossip_events(const struct matd_gossip *g)
{
    return (short int) (matd_udp_has_queued(g->udp) ? POLLIN | POLLOUT
                        : POLLIN);
}

int64_t
matd_gossip_deadline_us(const struct matd_gossip *g)
{
    int64_t at = g->engine ? mat_gossip_deadline_us(g->engine) : INT64_MAX;

    if (g->bind_error[0] && g->bind_at_us < at) {
        at = g->bind_at_us;
    }
    if (matd_udp_has_received(g->udp)) {
        at = g->now_us;
    }
    if (matd_udp_has_queued(g->udp) && g->now_us + BLOCKED_US < at) {
        at = g->now_us + BLOCKED_US;
    }
    return at;
}

const struct matd_gossip_config *
matd_gossip_get_config(const struct matd_gossip *g)
{
    return &g->config;
}

void
matd_gossip_send(struct matd_gossip *g, const struct mat_endpoint *to,
                 const void *data, size_t size)
{
    matd_udp_queue(g->udp, to, data, size, false);
}

uint64_t
matd_gossip_counter(const struct matd_gossip *g,
                    enum matd_gossip_counter counter)
{
    return g->counters[counter];
}

const char *
matd_gossip_counter_text(enum matd_gossip_counter counter)
{
    static const char *const texts[] = {
#define MATD_GOSSIP_COUNTER(ENUM, TEXT) TEXT,
        MATD_GOSSIP_COUNTERS
#undef MATD_GOSSIP_COUNTER
    };

    MAT_ASSERT(counter < MATD_GOSSIP_N_COUNTERS);
    return texts[counter];
}

bool
matd_gossip_bound(const struct matd_gossip *g, struct mat_endpoint *endpoint,
                  const char **error)
{
    *error = g->bind_error[0] ? g->bind_error
             : g->is_configured ? NULL : "not configured yet";
    return matd_udp_is_bound(g->udp, endpoint);
}
