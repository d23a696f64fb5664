/* SPDX-License-Identifier: Apache-2.0 */

/* Writes the captures of tests/golden/ (see golden.h) and the seeds of the
 * fuzz corpus:
 *
 *     golden-generate TESTS-DIRECTORY
 *
 * Same program, same files. */

#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "frames.h"
#include "golden.h"

enum { SNAPLEN = 65535 };

/* A pair of captures being written. */
struct pair {
    pcap_t *pcap;
    pcap_dumper_t *in, *out;
    unsigned int n;
};

static const char *top;
static struct pair current;

static void
fail(const char *what)
{
    fprintf(stderr, "golden-generate: %s\n", what);
    exit(1);
}

static pcap_dumper_t *
open_capture(pcap_t *pcap, const char *name, const char *suffix)
{
    char path[1024];

    snprintf(path, sizeof path, "%s/golden/%s%s", top, name, suffix);
    pcap_dumper_t *dumper = pcap_dump_open(pcap, path);
    if (!dumper) {
        fail(pcap_geterr(pcap));
    }
    return dumper;
}

static void
begin(const char *name)
{
    current.pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN);
    current.in = open_capture(current.pcap, name, ".pcap");
    current.out = open_capture(current.pcap, name, ".expected.pcap");
    current.n = 0;
}

static void
end(void)
{
    pcap_dump_close(current.in);
    pcap_dump_close(current.out);
    pcap_close(current.pcap);
}

static void
dump(pcap_dumper_t *dumper, const uint8_t *data, uint32_t size)
{
    struct pcap_pkthdr header = {
        .ts = { .tv_sec = 1000000000 + current.n }, .caplen = size,
        .len = size
    };

    pcap_dump((u_char *) dumper, &header, data);
}

/* Writes 'prefix' and the frame as a seed for fuzz target 'target'. */
static void
seed(const char *target, const char *name, const char *prefix,
     uint32_t prefix_size, const uint8_t *frame, uint32_t size)
{
    char path[1024];

    snprintf(path, sizeof path, "%s/fuzz/corpus/%s/%s", top, target, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(prefix, 1, prefix_size, file) != prefix_size
        || fwrite(frame, 1, size, file) != size || fclose(file)) {
        fail(path);
    }
}

/* Frames to rewrite. */

static struct frame_spec
plain(bool v6, uint8_t proto)
{
    static const struct frame_addrs addrs[2] = {
        { { 10, 1, 0, 5 }, { 10, 2, 0, 7 } },
        { { 0x20, 0x01, 0x0d, 0xb8, 0, 1, [15] = 5 },
          { 0x20, 0x01, 0x0d, 0xb8, 0, 2, [15] = 7 } }
    };

    return (struct frame_spec) {
        .v6 = v6, .proto = proto, .ttl = 64, .payload_size = 24,
        .addrs = addrs[v6], .icmp_type = v6 ? 128 : 8, .seed = 1,
        .quoted_max = UINT32_MAX
    };
}

/* Adds a frame to the captures, and to the corpus as 'name'. */
static void
add(const struct frame_spec *spec, const char *name, const char *detail)
{
    static struct frame f;
    struct frame_spec mapped = *spec, quoted;
    char seed_name[128];

    frame_compose(spec, &f);
    dump(current.in, f.data, f.size);
    snprintf(seed_name, sizeof seed_name, "ipv%d-%s%s%s", spec->v6 ? 6 : 4,
             name, *detail ? "-" : "", detail);
    seed("mat-rewrite", seed_name, spec->quoted ? "\x0f\0" : "\3\0", 2,
         f.data, f.size < 1600 ? f.size : 1600);

    golden_map(mapped.addrs.src, spec->v6);
    golden_map(mapped.addrs.dst, spec->v6);
    if (spec->quoted) {
        quoted = *spec->quoted;
        golden_map(quoted.addrs.src, spec->v6);
        golden_map(quoted.addrs.dst, spec->v6);
        mapped.quoted = &quoted;
    }
    frame_compose(&mapped, &f);
    dump(current.out, f.data, f.size);
    current.n++;
}

static const struct {
    uint8_t proto;
    const char *name;
} protos[] = {
    { 6, "tcp" }, { 17, "udp" }, { 136, "udplite" }, { 33, "dccp" },
    { 132, "sctp" }, { 1, "icmp" }, { 58, "icmpv6" }, { 50, "esp" }
};

static void
add_plain(bool v6)
{
    for (size_t i = 0; i < sizeof protos / sizeof *protos; i++) {
        struct frame_spec s = plain(v6, protos[i].proto);

        if (protos[i].proto == (v6 ? 1 : 58)) {
            continue;
        }
        add(&s, protos[i].name, "");
        s.n_vlans = 1;
        add(&s, protos[i].name, "vlan");
    }

    struct frame_spec s = plain(v6, 17);
    s.n_vlans = 2;
    add(&s, "udp", "qinq");
    s = plain(v6, 6);
    s.payload_size = 8900;
    add(&s, "tcp", "jumbo");
    s = plain(v6, 17);
    s.payload_size = 25;
    add(&s, "udp", "odd");
    s.payload_size = 0;
    add(&s, "udp", "empty");
    s.csum = FRAME_CSUM_ABSENT;
    s.payload_size = 40;
    add(&s, "udp", "no-checksum");
}

static void
add_headers(bool v6)
{
    static const char *const names[FRAME_N_EXT] = {
        "hop-by-hop", "dest-opts", "route-done", "route-pending",
        "atomic-fragment", "first-fragment", "later-fragment", "ah"
    };

    for (int i = 0; v6 && i < FRAME_N_EXT; i++) {
        struct frame_spec s = plain(v6, 17);

        s.payload_size = 80;
        s.n_ext = 1;
        s.ext[0] = i;
        add(&s, "udp", names[i]);
    }
    for (int i = 0; !v6 && i < 5; i++) {
        static const char *const v4_names[] = {
            "options", "first-fragment", "later-fragment", "ah",
            "source-route"
        };
        struct frame_spec s = plain(v6, 17);

        s.payload_size = 80;
        s.options_len = i == 0 ? 8 : 0;
        s.frag = i == 1 ? 0x2000 : i == 2 ? 0x200b : 0;
        s.n_ext = i == 3;
        s.ext[0] = FRAME_AH;
        s.route_pending = i == 4;
        add(&s, "udp", v4_names[i]);
    }
}

static void
add_errors(bool v6)
{
    for (size_t i = 0; i < sizeof protos / sizeof *protos; i++) {
        struct frame_spec inner = plain(v6, protos[i].proto);
        struct frame_spec s = plain(v6, v6 ? 58 : 1);
        char name[32];

        if (protos[i].proto == (v6 ? 1 : 58)) {
            continue;
        }
        inner.ttl = 1;
        inner.payload_size = 400;
        s.icmp_type = v6 ? 3 : 11;
        s.payload_size = 0;
        s.quoted = &inner;
        s.quoted_max = v6 ? 1232 : 28;
        snprintf(name, sizeof name, "error-%s", protos[i].name);
        add(&s, name, "");
        s.quoted_max = v6 ? 48 : 548;
        add(&s, name, v6 ? "short" : "long");
        s.quoted_max = v6 ? 40 : 20;
        add(&s, name, "header-only");
    }

    struct frame_spec inner = plain(v6, 17);
    struct frame_spec s = plain(v6, v6 ? 58 : 1);
    inner.payload_size = 400;
    inner.frag = 0x200b;
    inner.n_ext = v6;
    inner.ext[0] = FRAME_FRAG_LATER;
    s.icmp_type = v6 ? 1 : 3;
    s.payload_size = 0;
    s.quoted = &inner;
    add(&s, "error-fragment", "");
    inner.frag = 0;
    inner.n_ext = 0;
    inner.csum = FRAME_CSUM_ABSENT;
    add(&s, "error-udp", "no-checksum");
}

static void
add_wrong(bool v6)
{
    for (size_t i = 0; i < sizeof protos / sizeof *protos; i++) {
        struct frame_spec s = plain(v6, protos[i].proto);

        s.csum = FRAME_CSUM_WRONG;
        s.l4_error = 0x0b0b;
        s.l3_error = 0x0c0c;
        add(&s, protos[i].name, "wrong");
    }
}

/* Frames to answer. */

/* Adds a request of 'size' bytes, and its answer. */
static void
ask(const char *name, uint8_t *frame, uint32_t size)
{
    uint8_t answer[FRAME_SIZE_MAX];
    size_t n;

    dump(current.in, frame, size);
    seed("mat-reply", name, "\0", 1, frame, size);
    n = golden_answer(frame, size, answer, sizeof answer);
    if (!n) {
        fail(name);
    }
    dump(current.out, answer, (uint32_t) n);
    current.n++;
}

static void
ask_spec(const char *name, const struct frame_spec *spec)
{
    static struct frame f;

    frame_compose(spec, &f);
    ask(name, f.data, f.size);
}

/* Puts lengths and the checksum into an IPv6 or IPv4 packet with UDP or
 * ICMPv6, and asks. */
static void
ask_bytes(const char *name, const char *bytes, size_t size)
{
    uint8_t f[1024], *ip = f + 14, *l4;
    uint32_t header_len, l4_size, sum;
    bool v6, udp;

    memcpy(f, bytes, size);
    v6 = f[12] == 0x86;
    header_len = v6 ? 40 : 20;
    l4 = ip + header_len;
    udp = ip[v6 ? 6 : 9] == 17;
    l4_size = (uint32_t) size - 14 - header_len;
    if (v6) {
        ip[5] = (uint8_t) l4_size;
        sum = frame_sum(ip[6] + l4_size, ip + 8, 32);
    } else {
        ip[2] = (uint8_t) ((size - 14) >> 8);
        ip[3] = (uint8_t) (size - 14);
        sum = (uint16_t) ~frame_sum(0, ip, 20);
        ip[10] = (uint8_t) (sum >> 8);
        ip[11] = (uint8_t) sum;
        sum = frame_sum(ip[9] + l4_size, ip + 12, 8);
    }
    if (udp) {
        l4[4] = (uint8_t) (l4_size >> 8);
        l4[5] = (uint8_t) l4_size;
    }
    sum = (uint16_t) ~frame_sum(sum, l4, l4_size);
    l4[udp ? 6 : 2] = (uint8_t) (sum >> 8);
    l4[udp ? 7 : 3] = (uint8_t) sum;
    ask(name, f, (uint32_t) size);
}

#define ASK_BYTES(NAME, BYTES) ask_bytes(NAME, BYTES, sizeof BYTES - 1)

#define GUEST "\x02\0\0\0\0\x0a"
#define ANYBODY "\xff\xff\xff\xff\xff\xff"
#define ETH6(DST) DST GUEST "\x86\xdd"
#define IP6(PROTO, SRC, DST) "\x60\0\0\0\0\0" PROTO "\xff" SRC DST
#define NOBODY "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define GUEST6 "\x20\1\x0d\xb8\0\1\0\0\0\0\0\0\0\0\0\5"
#define GATE6 "\x20\1\x0d\xb8\0\1\0\0\0\0\0\0\0\0\0\xfe"
#define LOCAL6 "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x0a"
#define SOLICITED "\xff\2\0\0\0\0\0\0\0\0\0\1\xff\0\0\xfe"
#define ROUTERS "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\2"
#define SERVERS "\xff\2\0\0\0\0\0\0\0\0\0\0\0\1\0\2"
#define LLADDR "\1\1" GUEST
#define DUID "\0\1\0\x0a\0\3\0\1" GUEST
#define IA "\0\3\0\x0cIAID\0\0\0\0\0\0\0\0"
#define DHCP6(TYPE) ETH6("\x33\x33\0\1\0\2") IP6("\x11", LOCAL6, SERVERS) \
    "\2\x22\2\x23\0\0\0\0" TYPE "tid" DUID

static void
ask_arp(void)
{
    static const char arp[] =
        ANYBODY GUEST "\x08\x06\0\1\x08\0\6\4\0\1" GUEST "\x0a\1\0\5"
        "\0\0\0\0\0\0\x0a\1\0\xfe";
    static const char tagged[] =
        ANYBODY GUEST "\x81\0\0\x2a\x08\x06\0\1\x08\0\6\4\0\1" GUEST
        "\0\0\0\0\0\0\0\0\0\0\x0a\1\0\xfe";
    uint8_t frame[64];

    memcpy(frame, arp, sizeof arp - 1);
    ask("arp-request", frame, sizeof arp - 1);
    memcpy(frame, tagged, sizeof tagged - 1);
    ask("arp-probe-vlan", frame, sizeof tagged - 1);
}

static void
ask_nd(void)
{
    ASK_BYTES("nd-solicitation",
              ETH6("\x33\x33\xff\0\0\xfe") IP6("\x3a", GUEST6, SOLICITED)
              "\x87\0\0\0\0\0\0\0" GATE6 LLADDR);
    ASK_BYTES("nd-solicitation-dad",
              ETH6("\x33\x33\xff\0\0\xfe") IP6("\x3a", NOBODY, SOLICITED)
              "\x87\0\0\0\0\0\0\0" GATE6);
    ASK_BYTES("nd-router-solicitation",
              ETH6("\x33\x33\0\0\0\2") IP6("\x3a", LOCAL6, ROUTERS)
              "\x85\0\0\0\0\0\0\0" LLADDR);
    ASK_BYTES("nd-router-solicitation-nobody",
              ETH6("\x33\x33\0\0\0\2") IP6("\x3a", NOBODY, ROUTERS)
              "\x85\0\0\0\0\0\0\0");
}

static void
ask_dhcp(void)
{
    static const char head[] =
        ANYBODY GUEST "\x08\0\x45\0\0\0\0\0\0\0\x40\x11\0\0\0\0\0\0"
        "\xff\xff\xff\xff\0\x44\0\x43\0\0\0\0\1\1\6\0xid!\0\0\0\0";
    static const struct {
        const char *name;
        char options[20];
    } messages[] = {
        { "dhcp-discover", "\x35\1\1\x3d\7\1" GUEST "\xff" },
        { "dhcp-request", "\x35\1\3\x32\4\x0a\1\0\5\x36\4\x0a\1\0\xfe\xff" },
        { "dhcp-reboot", "\x35\1\3\x32\4\x0a\1\0\5\xff" },
    };

    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        char f[42 + 300] = { 0 };

        memcpy(f, head, sizeof head - 1);
        memcpy(f + 42 + 28, GUEST, 6);
        memcpy(f + 42 + 236, "\x63\x82\x53\x63", 4);
        memcpy(f + 42 + 240, messages[i].options, 20);
        ask_bytes(messages[i].name, f, sizeof f);
    }
    ASK_BYTES("dhcp6-solicit", DHCP6("\1") IA);
    ASK_BYTES("dhcp6-solicit-rapid", DHCP6("\1") IA "\0\x0e\0\0");
    ASK_BYTES("dhcp6-rebind", DHCP6("\6") IA);
    ASK_BYTES("dhcp6-information", DHCP6("\x0b"));
}

static void
ask_errors(bool v6)
{
    const char *names[2][5] = {
        { "ipv4-ttl", "ipv4-too-big", "ipv4-unreachable", "ipv4-echo",
          "ipv4-options-ttl" },
        { "ipv6-ttl", "ipv6-too-big", "ipv6-unreachable", "ipv6-echo",
          "ipv6-options-ttl" }
    };
    struct frame_spec s = plain(v6, 17);

    s.frag = 0x4000;
    s.ttl = 1;
    ask_spec(names[v6][0], &s);
    s.ttl = 64;
    s.payload_size = 1450;
    ask_spec(names[v6][1], &s);
    s.payload_size = 10;
    ask_spec(names[v6][2], &s);
    s.ttl = 1;
    s.n_vlans = 2;
    s.options_len = 12;
    s.n_ext = v6;
    s.ext[0] = FRAME_DEST_OPTS;
    ask_spec(names[v6][4], &s);
    s = plain(v6, v6 ? 58 : 1);
    ask_spec(names[v6][3], &s);
}

static void
make_directory(const char *name)
{
    char path[1024];

    snprintf(path, sizeof path, "%s/%s", top, name);
    mkdir(path, 0777);
}

int
main(int argc, char *argv[])
{
    if (argc != 2) {
        fail("needs the directory of the tests");
    }
    top = argv[1];
    make_directory("golden");
    make_directory("fuzz/corpus");
    make_directory("fuzz/corpus/mat-rewrite");
    make_directory("fuzz/corpus/mat-reply");

    for (int v6 = 0; v6 < 2; v6++) {
        begin(v6 ? "rewrite-ipv6" : "rewrite-ipv4");
        add_plain(v6);
        add_headers(v6);
        end();
        begin(v6 ? "rewrite-errors-ipv6" : "rewrite-errors-ipv4");
        add_errors(v6);
        end();
        begin(v6 ? "rewrite-wrong-ipv6" : "rewrite-wrong-ipv4");
        add_wrong(v6);
        end();
    }
    begin("replies");
    ask_arp();
    ask_nd();
    ask_dhcp();
    ask_errors(false);
    ask_errors(true);
    end();
    return 0;
}
