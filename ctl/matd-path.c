/* SPDX-License-Identifier: Apache-2.0 */
#include "matd-path.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>

#include "mat-mem.h"

struct measurement {
    bool is_running;
    uint64_t host, session, id;         /* Of this host: 'id'. */
    uint16_t label;
    struct matd_path_request request;
    struct mat_crypto crypto;
    uint8_t key[MAT_SECRET_SIZE];
    struct mat_path path;
    void (*done)(void *aux, uint64_t host,
                 const struct mat_path_result *);
    void *aux;
};

enum { ASK_TRIES = 5, ASK_AGAIN_US = 200000 };

/* A question under way: what does 'host' know of a HoA? */
struct question {
    bool is_open;
    uint64_t host;
    struct mat_path_message message;
    struct mat_endpoint to;
    struct mat_crypto crypto;
    uint8_t key[MAT_SECRET_SIZE];
    int n_tries;
    int64_t next_us;
    void (*done)(void *aux, const struct matd_path_known *);
    void *aux;
};

struct matd_path {
    struct matd_gossip *gossip;
    struct matd_path_hooks hooks;
    struct measurement running[MATD_PATH_RUNNING_MAX];
    struct question questions[MATD_PATH_RUNNING_MAX];
    int64_t second;             /* In which 'n_in_second' were answered. */
    int n_in_second;
    uint64_t n_answered, n_refused;
};

struct matd_path *
matd_path_create(struct matd_gossip *gossip,
                 const struct matd_path_hooks *hooks)
{
    struct matd_path *p = mat_xcalloc(1, sizeof *p);

    p->gossip = gossip;
    p->hooks = *hooks;
    return p;
}

static void
finish(struct measurement *m, const struct mat_path_result *result)
{
    m->is_running = false;
    sodium_memzero(m->key, sizeof m->key);
    m->done(m->aux, m->host, result);
}

static void
close_question(struct question *q, const struct matd_path_known *known)
{
    q->is_open = false;
    sodium_memzero(q->key, sizeof q->key);
    q->done(q->aux, known);
}

void
matd_path_destroy(struct matd_path *p)
{
    for (int i = 0; p && i < MATD_PATH_RUNNING_MAX; i++) {
        if (p->running[i].is_running) {
            finish(&p->running[i], NULL);
        }
        if (p->questions[i].is_open) {
            close_question(&p->questions[i], NULL);
        }
    }
    free(p);
}

/* What the cluster knows of a host. */
static bool
find_host(struct matd_path *p, uint64_t host, struct mat_host_info *info,
          struct mat_cert *cert)
{
    struct mat_gossip *engine = matd_gossip_engine(p->gossip);
    struct mat_key key = mat_key_host(host);
    const struct mat_claim *claim = engine ? mat_gossip_find(engine, &key)
                                    : NULL;

    return (claim && claim->state == MAT_CLAIM_LIVE
            && mat_host_decode(claim->body, claim->body_size, info)
            && mat_cert_parse(info->cert, info->cert_size, cert));
}

/* An address of the other host's pools: the redirected packets of another
 * host's VMNs look like this. */
static struct mat_addr
find_foreign_moa(struct matd_path *p, uint64_t host, bool is_v4)
{
    struct mat_gossip *engine = matd_gossip_engine(p->gossip);
    const struct mat_claim *claim;
    struct mat_addr none = { { 0 } };
    size_t cursor = 0;

    while ((claim = mat_gossip_next_claim(engine, &cursor))) {
        struct mat_addr addr = claim->key.addr;

        if (claim->key.type == MAT_TYPE_POOL && claim->state == MAT_CLAIM_LIVE
            && claim->version.host == host
            && mat_addr_is_v4(&addr) == is_v4) {
            addr.b[15] |= claim->key.plen + 1U < mat_addr_bits(&addr);
            return addr;
        }
    }
    return none;
}

static struct measurement *
find_free(struct matd_path *p)
{
    for (int i = 0; i < MATD_PATH_RUNNING_MAX; i++) {
        if (!p->running[i].is_running) {
            return &p->running[i];
        }
    }
    return NULL;
}

static bool
fail(char error[MATD_GOSSIP_ERROR_MAX], const char *why)
{
    snprintf(error, MATD_GOSSIP_ERROR_MAX, "%s", why);
    return false;
}

/* MoAs of the other family than the path's cannot be tested on it. */
static void
fill_config(struct matd_path *p, const struct matd_path_request *request,
            const struct mat_host_info *info, struct mat_path_config *c)
{
    bool is_v4 = mat_addr_is_v4(&info->endpoint.addr);

    *c = (struct mat_path_config) {
        .here = matd_gossip_get_config(p->gossip)->advertised,
        .there = info->endpoint
    };
    if (request->mtu) {
        c->mtu = request->mtu < MAT_PATH_FRAME_MAX - 14
                 ? request->mtu : MAT_PATH_FRAME_MAX - 14;
        c->foreign_moa = find_foreign_moa(p, request->host, is_v4);
        if (mat_addr_is_v4(&request->own_moa) == is_v4) {
            c->own_moa = request->own_moa;
        }
    }
}

bool
matd_path_start(struct matd_path *p, int64_t now_us,
                const struct matd_keys *keys,
                const struct matd_path_request *request,
                void (*done)(void *aux, uint64_t host,
                             const struct mat_path_result *),
                void *aux, char error[MATD_GOSSIP_ERROR_MAX])
{
    struct measurement *m = find_free(p);
    struct mat_path_config config;
    struct mat_host_info info;
    struct mat_cert cert;

    if (!m) {
        return fail(error, "too many measurements at a time");
    } else if (!keys || !matd_gossip_engine(p->gossip)) {
        return fail(error, "gossip does not run");
    } else if (request->host == keys->cert.host) {
        return fail(error, "that is this host");
    } else if (!find_host(p, request->host, &info, &cert)) {
        return fail(error, "no such host is known");
    }
    fill_config(p, request, &info, &config);
    if (mat_addr_is_v4(&config.here.addr)
        != mat_addr_is_v4(&config.there.addr)) {
        return fail(error, "one host has an IPv4 and the other an IPv6 "
                    "underlay");
    }
    *m = (struct measurement) {
        .host = request->host, .id = keys->cert.host, .label = keys->label,
        .request = *request, .crypto = keys->crypto, .done = done, .aux = aux
    };
    if (!mat_path_key(&keys->crypto, cert.public_key, m->label, m->id,
                      m->host, m->key)) {
        return fail(error, "the host's key is not good");
    }
    m->crypto.aux = NULL;       /* Only its hash is used, which needs none:
                                 * the keys may change meanwhile. */
    randombytes_buf(&m->session, sizeof m->session);
    mat_path_start(&m->path, &config, now_us);
    m->is_running = true;
    return true;
}

bool
matd_path_ask(struct matd_path *p, int64_t now_us,
              const struct matd_keys *keys, uint64_t host, uint32_t zone,
              const struct mat_addr *hoa,
              void (*done)(void *aux, const struct matd_path_known *),
              void *aux, char error[MATD_GOSSIP_ERROR_MAX])
{
    struct question *q = p->questions;
    struct mat_host_info info;
    struct mat_cert cert;

    while (q < &p->questions[MATD_PATH_RUNNING_MAX] && q->is_open) {
        q++;
    }
    if (q == &p->questions[MATD_PATH_RUNNING_MAX]) {
        return fail(error, "too many questions at a time");
    } else if (!keys || !matd_gossip_engine(p->gossip)) {
        return fail(error, "gossip does not run");
    } else if (host == keys->cert.host || !find_host(p, host, &info, &cert)) {
        return fail(error, "no such other host is known");
    }
    *q = (struct question) {
        .host = host, .to = info.endpoint, .crypto = keys->crypto,
        .next_us = now_us, .done = done, .aux = aux,
        .message = {
            .kind = MAT_PATH_WHERE, .label = keys->label,
            .sender = keys->cert.host, .number = zone,
            .source = { .addr = *hoa }
        }
    };
    if (!mat_path_key(&keys->crypto, cert.public_key, keys->label,
                      keys->cert.host, host, q->key)) {
        return fail(error, "the host's key is not good");
    }
    q->crypto.aux = NULL;
    randombytes_buf(&q->message.session, sizeof q->message.session);
    q->is_open = true;
    return true;
}

/* Sending. */

static void
send_question(struct matd_path *p, int64_t now_us, struct question *q)
{
    uint8_t bytes[MAT_PATH_MESSAGE_SIZE];

    if (q->n_tries++ == ASK_TRIES) {
        close_question(q, NULL);
        return;
    }
    q->next_us = now_us + ASK_AGAIN_US;
    mat_path_encode(&q->message, &q->crypto, q->key, bytes);
    matd_gossip_send(p->gossip, &q->to, bytes, sizeof bytes);
}

static void
send_probe(struct matd_path *p, struct measurement *m,
           const struct mat_path_send *send)
{
    static uint8_t frame[MAT_PATH_FRAME_MAX];
    uint8_t bytes[MAT_PATH_MESSAGE_SIZE];
    struct mat_path_message message = {
        .kind = MAT_PATH_PROBE, .label = m->label, .sender = m->id,
        .session = m->session, .number = send->number, .source = send->from,
        .size = send->size
    };
    size_t n;

    mat_path_encode(&message, &m->crypto, m->key, bytes);
    if (send->by_socket) {
        matd_gossip_send(p->gossip, &send->to, bytes, sizeof bytes);
        return;
    }
    n = mat_path_frame(&m->request.src, &m->request.dst, &send->from,
                       &send->to, send->size, bytes, frame, sizeof frame);
    if (n) {
        p->hooks.inject(p->hooks.aux, frame, n);
    }
}

void
matd_path_run(struct matd_path *p, int64_t now_us)
{
    for (int i = 0; i < MATD_PATH_RUNNING_MAX; i++) {
        struct measurement *m = &p->running[i];
        struct question *q = &p->questions[i];
        struct mat_path_send send;

        if (q->is_open && now_us >= q->next_us) {
            send_question(p, now_us, q);
        }
        while (m->is_running && mat_path_next(&m->path, now_us, &send)) {
            send_probe(p, m, &send);
        }
        if (m->is_running && mat_path_is_done(&m->path)) {
            finish(m, mat_path_result(&m->path));
        }
    }
}

int64_t
matd_path_deadline_us(const struct matd_path *p)
{
    int64_t at = INT64_MAX;

    for (int i = 0; i < MATD_PATH_RUNNING_MAX; i++) {
        const struct measurement *m = &p->running[i];
        const struct question *q = &p->questions[i];

        if (q->is_open && q->next_us < at) {
            at = q->next_us;
        }
        if (m->is_running && mat_path_is_done(&m->path)) {
            return 0;
        } else if (m->is_running && mat_path_deadline_us(&m->path) < at) {
            at = mat_path_deadline_us(&m->path);
        }
    }
    return at;
}

/* Receiving. */

static bool
may_answer(struct matd_path *p, int64_t now_us)
{
    if (now_us / 1000000 != p->second) {
        p->second = now_us / 1000000;
        p->n_in_second = 0;
    }
    return p->n_in_second++ < MATD_PATH_ANSWERS_S;
}

/* What this host knows, as an answer to 'message'. */
static void
tell_where(struct matd_path *p, struct mat_path_message *message)
{
    struct matd_path_known known = { .flags = 0 };
    const struct mat_claim *claim;
    struct mat_key key;

    key = mat_key_vmn(message->number, &message->source.addr,
                      (uint8_t) mat_addr_bits(&message->source.addr));
    claim = mat_gossip_find(matd_gossip_engine(p->gossip), &key);
    if (p->hooks.where) {
        p->hooks.where(p->hooks.aux, message->number, &message->source.addr,
                       &known);
    }
    message->kind = MAT_PATH_KNOWS;
    message->source.addr = known.moa;
    message->source.port = claim ? (uint16_t) claim->version.seq : 0;
    message->number = claim ? claim->version.epoch : 0;
    message->size = known.flags;
}

/* To the address that the member has claimed, whatever the probe's source. */
static bool
answer(struct matd_path *p, const struct matd_keys *keys,
       const struct mat_endpoint *from, const uint8_t *data, size_t size,
       const struct mat_path_message *probe)
{
    uint8_t key[MAT_SECRET_SIZE], bytes[MAT_PATH_MESSAGE_SIZE];
    struct mat_path_message message = *probe;
    struct mat_host_info info;
    struct mat_cert cert;

    if (probe->sender == keys->cert.host
        || !find_host(p, probe->sender, &info, &cert)
        || !mat_path_key(&keys->crypto, cert.public_key, keys->label,
                         keys->cert.host, probe->sender, key)
        || !mat_path_verify(data, size, &keys->crypto, key)) {
        return false;
    }
    message.sender = keys->cert.host;
    if (probe->kind == MAT_PATH_WHERE) {
        tell_where(p, &message);
    } else {
        message.kind = MAT_PATH_ANSWER;
        message.source = *from;
        message.size = (uint16_t) mat_path_ip_size(&from->addr, size);
    }
    mat_path_encode(&message, &keys->crypto, key, bytes);
    matd_gossip_send(p->gossip, &info.endpoint, bytes, sizeof bytes);
    return true;
}

static void
take_answer(struct matd_path *p, int64_t now_us, const uint8_t *data,
            size_t size, const struct mat_path_message *message)
{
    for (int i = 0; i < MATD_PATH_RUNNING_MAX; i++) {
        struct measurement *m = &p->running[i];

        if (m->is_running && m->session == message->session
            && m->host == message->sender
            && mat_path_verify(data, size, &m->crypto, m->key)) {
            mat_path_answered(&m->path, now_us, message);
        }
    }
}

static void
take_known(struct matd_path *p, const uint8_t *data, size_t size,
           const struct mat_path_message *message)
{
    const struct matd_path_known known = {
        .moa = message->source.addr, .epoch = message->number,
        .seq = message->source.port, .flags = message->size
    };

    for (int i = 0; i < MATD_PATH_RUNNING_MAX; i++) {
        struct question *q = &p->questions[i];

        if (q->is_open && q->message.session == message->session
            && q->host == message->sender
            && mat_path_verify(data, size, &q->crypto, q->key)) {
            close_question(q, &known);
        }
    }
}

void
matd_path_receive(struct matd_path *p, int64_t now_us,
                  const struct matd_keys *keys,
                  const struct mat_endpoint *from, const uint8_t *data,
                  size_t size)
{
    struct mat_path_message message;

    if (!keys || !mat_path_decode(data, size, &message)
        || message.label != keys->label) {
        p->n_refused++;
    } else if (message.kind == MAT_PATH_ANSWER) {
        take_answer(p, now_us, data, size, &message);
    } else if (message.kind == MAT_PATH_KNOWS) {
        take_known(p, data, size, &message);
    } else if (may_answer(p, now_us)
               && answer(p, keys, from, data, size, &message)) {
        p->n_answered++;
    } else {
        p->n_refused++;
    }
}

void
matd_path_counters(const struct matd_path *p, uint64_t *n_answered,
                   uint64_t *n_refused)
{
    *n_answered = p->n_answered;
    *n_refused = p->n_refused;
}

/* Explaining. */

struct text {
    char *s;
    size_t n, max;
};

static void append(struct text *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
append(struct text *t, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->s + t->n, t->max - t->n, format, args);
    va_end(args);
    t->n += n < 0 ? 0 : (size_t) n;
    if (t->n >= t->max) {
        t->n = t->max - 1;
    }
}

static void
explain_sources(const struct mat_path_result *r, struct text *t)
{
    if (r->tests[MAT_PATH_OWN] == MAT_PATH_DROPPED) {
        append(t, "Packets from this host's MoAs do not arrive: the network "
               "drops sources outside the hosts' own addresses, or does not "
               "know the pool.  VMNs here cannot reach that host; allow the "
               "pool in the network's filters and in uRPF.\n");
    } else if (r->tests[MAT_PATH_FOREIGN] == MAT_PATH_DROPPED) {
        append(t, "The network checks sources (uRPF): packets that come "
               "late for a VMN that has moved from here to there will be "
               "dropped instead of redirected.\n");
    }
}

static void
explain_mtu(const struct mat_path_result *r, struct text *t)
{
    if (r->tests[MAT_PATH_MTU] == MAT_PATH_DROPPED && r->mtu) {
        append(t, "Packets of more than %u bytes do not arrive, though this "
               "host's uplink sends them: set the MTU of the uplink, or of "
               "the VMs, to %u.\n", r->mtu, r->mtu);
    } else if (r->tests[MAT_PATH_MTU] == MAT_PATH_DROPPED) {
        append(t, "No packet from the switch arrives, though those of the "
               "host's own socket do: look at the next hop's MAC and at the "
               "uplink port.\n");
    }
}

size_t
matd_path_explain(const struct mat_path_result *r, char *s, size_t max)
{
    struct text t = { .s = s, .max = max };
    char sent[MAT_ADDR_STRLEN], seen[MAT_ADDR_STRLEN];

    s[0] = '\0';
    if (r->tests[MAT_PATH_PLAIN] == MAT_PATH_DROPPED) {
        append(&t, "The host does not answer: it is down, its matd does not "
               "run, or a filter drops UDP of the gossip's port.\n");
    }
    if (r->is_translated) {
        append(&t, "Addresses are translated on the way: %s port %u arrives "
               "as %s port %u.  MoAs do not survive that; take the hosts out "
               "from behind the translator.\n",
               mat_addr_format(&r->sent_as.addr, sent), r->sent_as.port,
               mat_addr_format(&r->seen_as.addr, seen), r->seen_as.port);
    }
    explain_sources(r, &t);
    explain_mtu(r, &t);
    return t.n;
}
