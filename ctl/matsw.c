/* SPDX-License-Identifier: Apache-2.0 */

/* matsw: talks to the switch over its update socket; see matsw(8).
 *
 * A subcommand is one function in the table 'commands'; the words that
 * ovs-appctl mat/... knows, too, go through mat-parse.h. */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mat-parse.h"
#include "mat-switch-client.h"
#include "mat-text.h"

enum {
    LINE_MAX_SIZE = 4096,
    OPS_MAX = MAT_UPDATE_MESSAGE_MAX / 4    /* In one message. */
};

struct context {
    struct mat_switch_client *client;
    enum mat_text_style style;
    bool first;                 /* In a JSON array. */
};

struct command {
    const char *name, *usage, *help;
    int (*run)(struct context *, int argc, char *argv[]);
    int min_args, max_args;
};

static int
fail(const char *what, const char *why)
{
    fprintf(stderr, "matsw: %s: %s\n", what, why);
    return 1;
}

/* Output. */

static bool
print_item(const struct mat_op *op, void *context_)
{
    struct context *context = context_;
    char text[MAT_TEXT_MAX];

    mat_text_op(op, context->style, text);
    if (context->style == MAT_TEXT_JSON) {
        printf("%s%s", context->first ? "[" : ",\n ", text);
        context->first = false;
    } else {
        puts(text);
    }
    return true;
}

static void
end_list(struct context *context)
{
    if (context->style == MAT_TEXT_JSON) {
        puts(context->first ? "[]" : "]");
    }
}

/* Loading. */

struct load {
    struct context *context;
    const char *file;
    unsigned long line;
    unsigned long n_done;
    unsigned long lines[OPS_MAX];       /* Of the operations of this batch. */
};

static bool
commit(struct load *load)
{
    struct mat_switch_client *client = load->context->client;
    uint32_t n = mat_switch_client_n_added(client);
    uint64_t bad;

    if (mat_switch_client_commit(client)) {
        load->n_done += n;
        return true;
    }
    bad = mat_switch_client_bad_index(client);
    if (bad < n) {
        fprintf(stderr, "matsw: %s:%lu: %s\n", load->file, load->lines[bad],
                mat_switch_client_error(client));
    } else {
        fail(load->file, mat_switch_client_error(client));
    }
    return false;
}

static bool
load_line(struct load *load, char *line)
{
    struct mat_switch_client *client = load->context->client;
    const char *words[MAT_PARSE_WORDS_MAX];
    char error[MAT_PARSE_ERROR_MAX] = "too many words";
    struct mat_op op;
    int n = mat_parse_split(line, words);

    if (!n) {
        return true;
    }
    if (n < 0 || !mat_parse(n, words, &op, error)) {
        fprintf(stderr, "matsw: %s:%lu: %s\n", load->file, load->line, error);
        return false;
    }
    if (!mat_switch_client_add(client, &op)
        && (!commit(load) || !mat_switch_client_add(client, &op))) {
        return false;
    }
    load->lines[mat_switch_client_n_added(client) - 1] = load->line;
    return true;
}

static int
run_load(struct context *context, int argc, char *argv[])
{
    static struct load load;
    char line[LINE_MAX_SIZE];
    bool ok = true;
    FILE *stream;

    load.context = context;
    load.file = argc > 1 ? argv[1] : "-";
    stream = strcmp(load.file, "-") ? fopen(load.file, "r") : stdin;
    if (!stream) {
        return fail(load.file, strerror(errno));
    }
    while (ok && fgets(line, sizeof line, stream)) {
        load.line++;
        ok = load_line(&load, line);
    }
    ok = ok && commit(&load);
    if (stream != stdin) {
        fclose(stream);
    }
    if (!ok) {
        fprintf(stderr, "matsw: %s: %lu operations were done before that\n",
                load.file, load.n_done);
    }
    return !ok;
}

/* One operation, as ovs-appctl mat/... has it. */
static int
run_operation(struct context *context, int argc, char *argv[])
{
    char error[MAT_PARSE_ERROR_MAX];
    struct mat_op op;

    if (!mat_parse(argc, (const char *const *) argv, &op, error)) {
        return fail(argv[0], error);
    }
    mat_switch_client_begin(context->client);
    mat_switch_client_add(context->client, &op);
    if (!mat_switch_client_commit(context->client)) {
        return fail(argv[0], mat_switch_client_error(context->client));
    }
    return 0;
}

/* Listing. */

static bool
dump_kind(struct context *context, enum mat_update_dump kind)
{
    return mat_switch_client_list(context->client, MAT_UPDATE_DUMP, kind,
                                  print_item, context);
}

/* In the order in which they can be loaded. */
static const struct {
    const char *name;
    enum mat_update_dump kind;
} kinds[] = {
    { "nexthops", MAT_UPDATE_DUMP_NEXTHOPS },
    { "zones", MAT_UPDATE_DUMP_ZONES },
    { "pools", MAT_UPDATE_DUMP_POOLS },
    { "ports", MAT_UPDATE_DUMP_PORTS },
    { "mappings", MAT_UPDATE_DUMP_ENTRIES },
};

static int
run_dump(struct context *context, int argc, char *argv[])
{
    bool found = false, ok = true;

    for (size_t i = 0; ok && i < sizeof kinds / sizeof *kinds; i++) {
        if (argc < 2 || !strcmp(argv[1], kinds[i].name)) {
            found = true;
            ok = dump_kind(context, kinds[i].kind);
        }
    }
    if (!found) {
        return fail(argv[1], "is not one of nexthops, zones, pools, ports "
                    "and mappings");
    }
    end_list(context);
    return ok ? 0 : fail("dump", mat_switch_client_error(context->client));
}

static int
run_harvest(struct context *context, int argc, char *argv[])
{
    bool ok = dump_kind(context, MAT_UPDATE_DUMP_HARVEST);

    (void) argc;
    end_list(context);
    return ok ? 0 : fail(argv[0], mat_switch_client_error(context->client));
}

static bool
print_number(const struct mat_op *op, void *context_)
{
    struct context *context = context_;

    if (context->style == MAT_TEXT_JSON) {
        printf("%s\"%s\":%"PRIu64, context->first ? "{" : ",",
               op->number.name, op->number.value);
        context->first = false;
    } else {
        printf("%-28s %12"PRIu64"\n", op->number.name, op->number.value);
    }
    return true;
}

static int
run_numbers(struct context *context, int argc, char *argv[])
{
    bool hello = !strcmp(argv[0], "hello");

    (void) argc;
    if (!mat_switch_client_list(context->client,
                                hello ? MAT_UPDATE_HELLO : MAT_UPDATE_STATS,
                                0, print_number, context)) {
        return fail(argv[0], mat_switch_client_error(context->client));
    }
    if (context->style == MAT_TEXT_JSON) {
        puts("}");
    }
    return 0;
}

/* Requests without an answer of their own. */
static int
run_request(struct context *context, int argc, char *argv[])
{
    enum mat_update_type type = !strcmp(argv[0], "flush") ? MAT_UPDATE_FLUSH
                                : MAT_UPDATE_STATS_CLEAR;

    (void) argc;
    if (!mat_switch_client_request(context->client, type)) {
        return fail(argv[0], mat_switch_client_error(context->client));
    }
    return 0;
}

static uint64_t
now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

static int
run_ping(struct context *context, int argc, char *argv[])
{
    uint64_t n = 1;

    if (argc > 1 && (!mat_parse_number(argv[1], 1000000, &n) || !n)) {
        return fail(argv[1], "is not a number");
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t start_ns = now_ns();

        if (!mat_switch_client_request(context->client, MAT_UPDATE_BARRIER)) {
            return fail(argv[0], mat_switch_client_error(context->client));
        }
        printf("round_trip_us=%.1f\n",
               (double) (now_ns() - start_ns) / 1000);
    }
    return 0;
}

/* Events. */

static void
print_events(struct context *context, struct mat_event_reader *reader,
             uint64_t *n_lost)
{
    char text[MAT_TEXT_MAX];
    struct mat_event event;

    while (mat_event_reader_next(reader, &event)) {
        puts(mat_text_event(&event, context->style, text));
    }
    if (reader->n_lost != *n_lost) {
        printf(context->style == MAT_TEXT_JSON ? "{\"lost\":%"PRIu64"}\n"
               : "# %"PRIu64" events were lost\n", reader->n_lost - *n_lost);
        *n_lost = reader->n_lost;
    }
    fflush(stdout);
}

static int
run_watch(struct context *context, int argc, char *argv[])
{
    struct mat_event_reader reader;
    struct pollfd pfds[2];
    uint64_t n_lost = 0;

    if (!mat_switch_client_subscribe(context->client, &reader, argc > 1)) {
        return fail(argv[0], mat_switch_client_error(context->client));
    }
    pfds[0].fd = mat_switch_client_event_fd(context->client);
    pfds[1].fd = mat_switch_client_fd(context->client);
    pfds[0].events = pfds[1].events = POLLIN;
    do {
        print_events(context, &reader, &n_lost);
        if (poll(pfds, 2, -1) < 0 && errno != EINTR) {
            return fail(argv[0], strerror(errno));
        }
        mat_switch_client_drain(context->client);
    } while (!pfds[1].revents);
    print_events(context, &reader, &n_lost);
    return fail(argv[0], "the switch closed the connection");
}

/* Injecting. */

static int
hex_digit(char c)
{
    return (c >= '0' && c <= '9' ? c - '0'
            : c >= 'a' && c <= 'f' ? c - 'a' + 10
            : c >= 'A' && c <= 'F' ? c - 'A' + 10
            : -1);
}

static bool
parse_hex(const char *s, uint8_t *frame, uint16_t *size)
{
    size_t n = 0;

    for (; s[0] && s[1]; s += 2) {
        int high = hex_digit(s[0]), low = hex_digit(s[1]);

        if (high < 0 || low < 0 || n >= MAT_UPDATE_FRAME_MAX) {
            return false;
        }
        frame[n++] = (uint8_t) (high << 4 | low);
    }
    *size = (uint16_t) n;
    return n >= 14 && !s[0];
}

static int
run_inject(struct context *context, int argc, char *argv[])
{
    static uint8_t frame[MAT_UPDATE_FRAME_MAX];
    struct mat_op op = { .type = MAT_OP_INJECT };

    (void) argc;
    if (strlen(argv[1]) >= sizeof op.inject.port) {
        return fail(argv[1], "is not the name of a port");
    }
    memcpy(op.inject.port, argv[1], strlen(argv[1]));
    op.inject.frame = frame;
    if (!parse_hex(argv[2], frame, &op.inject.size)) {
        return fail(argv[2], "is not an Ethernet frame in hexadecimal");
    }
    mat_switch_client_begin(context->client);
    mat_switch_client_add(context->client, &op);
    if (!mat_switch_client_commit(context->client)) {
        return fail(argv[0], mat_switch_client_error(context->client));
    }
    return 0;
}

/* The program. */

static const struct command commands[] = {
    { "load", "[FILE|-]", "do what the lines of FILE say, in batches",
      run_load, 0, 1 },
    { "dump", "[nexthops|zones|pools|ports|mappings]",
      "print what is in the table, so that it can be loaded", run_dump, 0, 1 },
    { "harvest", "", "print the mappings used since the last harvest",
      run_harvest, 0, 0 },
    { "watch", "[oldest]", "print events as they come", run_watch, 0, 1 },
    { "inject", "PORT HEX", "send a frame out of a port", run_inject, 2, 2 },
    { "flush", "", "remove all mappings", run_request, 0, 0 },
    { "stats", "", "print all counters", run_numbers, 0, 0 },
    { "stats-clear", "", "set the counters to zero", run_request, 0, 0 },
    { "hello", "", "print who serves", run_numbers, 0, 0 },
    { "ping", "[N]", "measure N requests that wait for the datapath",
      run_ping, 0, 1 },
    { "add", NULL, "put a mapping", run_operation, 0, 99 },
    { "del", NULL, "remove a mapping", run_operation, 0, 99 },
    { "hold", NULL, "let packets of a VMN wait, or go on", run_operation, 0,
      99 },
    { "ports", NULL, "add or remove ports", run_operation, 0, 99 },
    { "nexthops", NULL, "add or remove next hops", run_operation, 0, 99 },
    { "zones", NULL, "add or remove zones", run_operation, 0, 99 },
    { "pools", NULL, "add or remove pools", run_operation, 0, 99 },
};

static void
usage(FILE *stream)
{
    fputs("usage: matsw [-s SOCKET] [-j] COMMAND [ARGUMENT]...\n\n"
          "  -s, --socket=PATH  the switch's update socket\n"
          "  -j, --json         print JSON\n"
          "  -h, --help         print this\n"
          "  -V, --version      print the version\n\n", stream);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const struct command *c = &commands[i];
        const char *words = c->usage ? c->usage : mat_parse_usage(c->name);

        fprintf(stream, "  %s%s%s\n      %s\n", c->name, *words ? " " : "",
                words, c->help);
    }
}

static const struct command *
find_command(int argc, char *argv[])
{
    for (size_t i = 0; argc && i < sizeof commands / sizeof *commands; i++) {
        const struct command *c = &commands[i];

        if (!strcmp(c->name, argv[0]) && argc - 1 >= c->min_args
            && argc - 1 <= c->max_args) {
            return c;
        }
    }
    return NULL;
}

/* Wrong words are named whether the switch is there or not. */
static bool
check_words(const struct command *command, int argc, char *argv[])
{
    char error[MAT_PARSE_ERROR_MAX];
    struct mat_op op;

    if (command->run == run_operation
        && !mat_parse(argc, (const char *const *) argv, &op, error)) {
        fail(argv[0], error);
        return false;
    }
    return true;
}

static int
run(const struct command *command, const char *path, enum mat_text_style style,
    int argc, char *argv[])
{
    struct context context = {
        .client = mat_switch_client_open(path),
        .style = style,
        .first = true,
    };
    int status;

    if (!context.client) {
        fail(path ? path : mat_switch_client_default_path(), strerror(errno));
        fputs("Does ovs-vswitchd with the mat action run, with a bridge of "
              "datapath_type=netdev?\n-s names another socket.\n", stderr);
        return 1;
    }
    status = command->run(&context, argc, argv);
    mat_switch_client_close(context.client);
    return status;
}

int
main(int argc, char *argv[])
{
    static const struct option options[] = {
        { "socket", required_argument, NULL, 's' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    enum mat_text_style style = MAT_TEXT_WORDS;
    const struct command *command;
    const char *path = NULL;
    int c;

    while ((c = getopt_long(argc, argv, "+s:jhV", options, NULL)) != -1) {
        switch (c) {
        case 's':
            path = optarg;
            break;
        case 'j':
            style = MAT_TEXT_JSON;
            break;
        case 'h':
            usage(stdout);
            return 0;
        case 'V':
            puts("matsw (ovs-mat) " MAT_VERSION);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (optind == argc) {
        usage(stderr);
        return 2;
    }
    command = find_command(argc - optind, argv + optind);
    if (!command) {
        fail(argv[optind], "no such command, or not with so many words; "
             "\"matsw --help\" lists them");
        return 2;
    }
    if (!check_words(command, argc - optind, argv + optind)) {
        return 2;
    }
    return run(command, path, style, argc - optind, argv + optind);
}
