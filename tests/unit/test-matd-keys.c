/* SPDX-License-Identifier: Apache-2.0 */
/* Armour, key files, their live reload, and "matctl key". */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "folder.h"
#include "mat-gossip.h"
#include "matctl-key.h"
#include "matd-keys.h"

/* Runs "matctl key"; '*out' has what it said, of both kinds. */
static int
key(char out[8192], const char *first, ...)
{
    char *argv[16] = { (char *) (uintptr_t) first };
    FILE *file = fmemopen(out, 8192, "w");
    int argc = 1, status;
    va_list args;

    va_start(args, first);
    while ((argv[argc] = va_arg(args, char *))) {
        argc++;
    }
    va_end(args);
    status = matctl_key(argc, argv, file, file);
    fclose(file);
    return status;
}

static const char *
option(const char *name, const char *value)
{
    static char options[4][FOLDER_PATH_MAX + 16];
    static unsigned int turn;
    char *s = options[turn++ % 4];

    snprintf(s, sizeof options[0], "--%.10s=%s", name, value);
    return s;
}

static char cluster[FOLDER_PATH_MAX], host[FOLDER_PATH_MAX];

/* A cluster and the keys of host "hv1". */
static void
make_host(const char *dir)
{
    char out[8192];

    snprintf(cluster, sizeof cluster, "%s/cluster", dir);
    snprintf(host, sizeof host, "%s/host", dir);
    assert_int_equal(key(out, "new-cluster", cluster, NULL), 0);
    assert_int_equal(key(out, "issue", option("cluster", cluster),
                         "--host=hv1", "--hoas", "10.0.0.0/8,fd00::/8",
                         "--pools=192.168.1.128/25", "--zones=0,5-9",
                         "--days=30", option("out", host), NULL), 0);
}

static void
test_armour_comes_back(void **state)
{
    uint8_t data[MATD_ARMOUR_DATA_MAX], back[MATD_ARMOUR_DATA_MAX];
    char text[MATD_ARMOUR_TEXT_MAX], error[MATD_ERROR_MAX];
    enum matd_armour kind;
    unsigned int line;
    size_t n;

    (void) state;
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t) (i * 7);
    }
    for (size_t size = 0; size <= sizeof data; size += size < 200 ? 1 : 97) {
        size_t length = matd_armour_encode(MATD_ARMOUR_HOST_CERT, "a\nb\n",
                                           data, size, text);

        assert_int_equal(length, strlen(text));
        assert_true(matd_armour_decode(text, length, &kind, back, &n, &line,
                                       error));
        assert_int_equal(kind, MATD_ARMOUR_HOST_CERT);
        assert_int_equal(n, size);
        assert_memory_equal(back, data, size);
    }
}

/* Every cut and every changed bit is seen, but in comments and at the very
 * end, where only the newline goes. */
static void
test_armour_damage_is_seen(void **state)
{
    uint8_t data[100] = "what is in it", back[MATD_ARMOUR_DATA_MAX];
    char text[MATD_ARMOUR_TEXT_MAX], error[MATD_ERROR_MAX];
    size_t n, size = matd_armour_encode(MATD_ARMOUR_JOIN_KEY, NULL, data,
                                        sizeof data, text);
    enum matd_armour kind;
    unsigned int line;

    (void) state;
    for (size_t i = 0; i + 1 < size; i++) {
        error[0] = '\0';
        assert_false(matd_armour_decode(text, i, &kind, back, &n, &line,
                                        error));
        assert_true(error[0]);
        for (int bit = 0; bit < 8; bit++) {
            text[i] ^= (char) (1 << bit);
            if (matd_armour_decode(text, size, &kind, back, &n, &line,
                                   error)) {
                /* Blank or empty lines do not matter. */
                assert_int_equal(n, sizeof data);
                assert_memory_equal(back, data, n);
                assert_int_equal(kind, MATD_ARMOUR_JOIN_KEY);
            }
            text[i] ^= (char) (1 << bit);
        }
    }
}

static void
test_armour_names_the_line(void **state)
{
    static const struct { const char *text; unsigned int line; } bad[] = {
        { "", 0 },
        { "hello\n", 1 },
        { "# only\n# comments\n", 2 },
        { "ovs-mat nonsense\n", 1 },
        { "ovs-mat host-key\ndata: ****\n", 2 },
        { "ovs-mat host-key\n# x\n\nwhat?\n", 4 },
        { "ovs-mat host-key\ndata: AAAA\n", 2 },
        { "ovs-mat host-key\ndata: AAAA\ncheck: 0000000000000000\n", 3 }
    };
    uint8_t data[MATD_ARMOUR_DATA_MAX];
    char error[MATD_ERROR_MAX];
    enum matd_armour kind;
    unsigned int line;
    size_t n;

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(matd_armour_decode(bad[i].text, strlen(bad[i].text),
                                        &kind, data, &n, &line, error));
        assert_int_equal(line, bad[i].line);
    }
}

static void
test_issued_keys_load(void **state)
{
    char error[MATD_ERROR_MAX];
    struct matd_keys *keys;
    struct stat s;

    make_host(*state);
    keys = matd_keys_load(host, error);
    assert_non_null(keys);
    assert_true(keys->cert.host == matd_keys_host_id("hv1"));
    assert_int_equal(keys->cert.serial, 1);
    assert_int_equal(keys->cert.n_zones, 2);
    assert_int_equal(keys->cert.zones[1].first, 5);
    assert_int_equal(keys->cert.zones[1].last, 9);
    assert_int_equal(keys->cert.n_hoas, 2);
    assert_int_equal(keys->cert.hoas[1].plen, 8);
    assert_int_equal(keys->cert.pools[0].plen, 25);
    assert_int_equal(keys->n_join_keys, 1);
    assert_int_equal(keys->label, matd_keys_label(keys->cluster_key));
    matd_keys_destroy(keys);
    assert_int_equal(stat(folder_path(host, "host.key"), &s), 0);
    assert_int_equal(s.st_mode & 07777, 0600);
    assert_int_equal(stat(folder_path(cluster, "cluster.key"), &s), 0);
    assert_int_equal(s.st_mode & 07777, 0600);
    assert_int_equal(folder_count(host, "host.key.new"), 0);
}

static void
expect_error(const char *text)
{
    char error[MATD_ERROR_MAX];

    assert_null(matd_keys_load(host, error));
    if (!strstr(error, text)) {
        print_error("expected '%s' in '%s'\n", text, error);
        fail();
    }
}

static void
test_bad_files_are_named(void **state)
{
    uint8_t bytes[FOLDER_FILE_MAX], join[FOLDER_FILE_MAX];
    char out[8192];
    size_t n, n_join;

    make_host(*state);
    n = folder_read(host, "host.key", bytes);
    n_join = folder_read(host, "join.key", join);

    folder_write(host, "host.key", bytes, n, 0644);
    expect_error("host.key: is secret, but others may use it (mode 0644)");
    folder_write(host, "host.key", bytes, n - 5, 0600);
    expect_error("host.key:");
    folder_write(host, "host.key", join, n_join, 0600);
    expect_error("host.key: is a join-key, not a host-key");
    unlink(folder_path(host, "host.key"));
    expect_error("host.key: No such file");
    mkdir(folder_path(host, "host.key"), 0700);
    expect_error("host.key: not a regular file");
    rmdir(folder_path(host, "host.key"));
    mkfifo(folder_path(host, "host.key"), 0600);
    expect_error("host.key: not a regular file");
    unlink(folder_path(host, "host.key"));
    folder_write(host, "host.key", bytes, n, 0600);

    /* A certificate of another key, then one of another cluster. */
    assert_int_equal(key(out, "issue", option("cluster", cluster),
                         "--host=hv2", "--hoas=::/0", "--pools=::/0", NULL),
                     0);
    n = folder_read(folder_path(cluster, "hv2"), "host.cert", bytes);
    n_join = folder_read(host, "host.cert", join);
    folder_write(host, "host.cert", bytes, n, 0644);
    expect_error("host.cert: is for another key than host.key");
    folder_write(host, "host.cert", join, n_join, 0644);
    assert_int_equal(key(out, "new-cluster",
                         folder_path(*state, "other"), NULL), 0);
    n = folder_read(folder_path(*state, "other"), "cluster.pub", bytes);
    folder_write(host, "cluster.pub", bytes, n, 0644);
    expect_error("host.cert: is not signed by the cluster of cluster.pub");
}

static void
test_reload_keeps_the_last_good(void **state)
{
    uint8_t bytes[FOLDER_FILE_MAX];
    struct matd_keys_store *store;
    char out[8192];
    size_t n;

    make_host(*state);
    store = matd_keys_open(host);
    assert_null(matd_keys_get(store));
    assert_true(matd_keys_run(store, 1));
    assert_int_equal(matd_keys_get(store)->cert.serial, 1);
    assert_false(matd_keys_run(store, 2000000));

    n = folder_read(host, "join.key", bytes);
    folder_write(host, "join.key", bytes, n / 2, 0600);
    assert_false(matd_keys_run(store, 2500000));        /* Not yet. */
    assert_false(matd_keys_run(store, 3100000));
    assert_non_null(matd_keys_error(store));
    assert_non_null(matd_keys_get(store));
    folder_write(host, "join.key", bytes, n, 0600);
    assert_false(matd_keys_run(store, 5000000));        /* The same keys. */
    assert_null(matd_keys_error(store));

    assert_int_equal(key(out, "issue", option("cluster", cluster),
                         "--host=hv1", "--hoas=::/0", "--pools=::/0",
                         option("out", host), NULL), 0);
    assert_true(matd_keys_run(store, 7000000));
    assert_int_equal(matd_keys_get(store)->cert.serial, 2);
    assert_int_equal(matd_keys_n_changes(store), 2);
    matd_keys_close(store);
}

static void
test_nothing_is_overwritten(void **state)
{
    uint8_t before[FOLDER_FILE_MAX], after[FOLDER_FILE_MAX];
    char out[8192];
    size_t n;

    make_host(*state);
    n = folder_read(cluster, "cluster.key", before);
    assert_int_equal(key(out, "new-cluster", cluster, NULL), 1);
    assert_non_null(strstr(out, "not overwritten"));
    assert_int_equal(folder_read(cluster, "cluster.key", after), n);
    assert_memory_equal(before, after, n);

    /* The host's key stays, unless it is said otherwise. */
    n = folder_read(host, "host.key", before);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(key(out, "issue", option("cluster", cluster),
                             "--host=hv1", "--hoas=::/0", "--pools=::/0",
                             option("out", host), i ? "--new-key" : NULL,
                             NULL), 0);
        assert_int_equal(folder_read(host, "host.key", after), n);
        assert_int_equal(!memcmp(before, after, n), !i);
    }

    /* Nor does another cluster get a host that has one. */
    assert_int_equal(key(out, "new-cluster",
                         folder_path(*state, "other"), NULL), 0);
    assert_int_equal(key(out, "issue",
                         option("cluster", folder_path(*state, "other")),
                         "--host=hv1", "--hoas=::/0", "--pools=::/0",
                         option("out", host), NULL), 1);
    assert_non_null(strstr(out, "is of another cluster"));
}

static void
test_usage(void **state)
{
    char out[8192];

    make_host(*state);
    assert_int_equal(key(out, "frobnicate", NULL), 2);
    assert_int_equal(key(out, "new-cluster", NULL), 2);
    assert_int_equal(key(out, "issue", option("cluster", cluster), NULL), 2);
    assert_int_equal(key(out, "issue", "--clutter=x", NULL), 2);
    assert_int_equal(key(out, "issue", option("cluster", cluster),
                         "--host=../x", "--hoas=::/0", "--pools=::/0",
                         NULL), 2);
    assert_int_equal(key(out, "show", NULL), 2);
    assert_int_equal(key(out, "show", "/nonexistent", NULL), 1);
}

static void
test_bad_values_are_named(void **state)
{
    static const char *const bad[][2] = {
        { "--hoas=10.0.0.0/33", "10.0.0.0/33" },
        { "--hoas=::/0,x", "'x'" },
        { "--pools=1.2.3", "1.2.3" },
        { "--zones=9-5", "9-5" },
        { "--zones=16777216", "16777216" },
        { "--zones=-1", "'-1'" },
        { "--zones=1,2,3,4,5,6,7,8,9", "'9'" },
        { "--days=0", "'0'" },
        { "--days=1x", "'1x'" }
    };
    char out[8192];

    make_host(*state);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(key(out, "issue", option("cluster", cluster),
                             "--host=hv3", "--hoas=::/0", "--pools=::/0",
                             bad[i][0], NULL), 1);
        assert_non_null(strstr(out, bad[i][1]));
    }
}

static void
test_rotation(void **state)
{
    static const uint32_t expected[3][3] = {
        { 2, 1, 2 }, { 2, 2, 1 }, { 1, 2, 0 }
    };
    struct matd_join_keys first, join;
    uint8_t data[MATD_ARMOUR_DATA_MAX];
    enum matd_armour kind = MATD_ARMOUR_JOIN_KEY;
    char out[8192], error[MATD_ERROR_MAX];
    size_t n;

    make_host(*state);
    assert_true(matd_armour_read(folder_path(cluster, "join.key"), &kind,
                                 data, &n, error));
    assert_true(matd_join_keys_decode(data, n, &first));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(key(out, "rotate", option("cluster", cluster),
                             NULL), 0);
        assert_true(matd_armour_read(folder_path(cluster, "join.key"),
                                     &kind, data, &n, error));
        assert_true(matd_join_keys_decode(data, n, &join));
        assert_int_equal(join.n, expected[i][0]);
        for (unsigned int j = 0; j < join.n; j++) {
            assert_int_equal(join.numbers[j], expected[i][1 + j]);
            assert_int_equal(!memcmp(join.keys[j], first.keys[0],
                                     MAT_SECRET_SIZE),
                             join.numbers[j] == 1);
        }
    }
}

static void
test_revocation(void **state)
{
    uint8_t data[MATD_ARMOUR_DATA_MAX];
    enum matd_armour kind = MATD_ARMOUR_REVOCATION;
    char out[8192], error[MATD_ERROR_MAX], name[64];
    size_t n;

    make_host(*state);
    snprintf(name, sizeof name, "revoke-%016llx-1",
             (unsigned long long) matd_keys_host_id("hv1"));
    assert_int_equal(key(out, "revoke", option("cluster", cluster), "hv2",
                         NULL), 1);
    assert_int_equal(key(out, "revoke", option("cluster", cluster), "hv1",
                         NULL), 0);
    assert_true(matd_armour_read(folder_path(cluster, name), &kind, data, &n,
                                 error));
    assert_int_equal(key(out, "show", folder_path(cluster, name), NULL), 0);
    assert_non_null(strstr(out, "up to serial: 1\n"));
    assert_int_equal(key(out, "revoke", option("cluster", cluster), "hv1",
                         "1x", NULL), 1);
}

/* Shows what it is, and no secret. */
static void
test_show(void **state)
{
    static const char *const names[] = {
        "host.key", "host.cert", "join.key", "cluster.pub"
    };
    uint8_t bytes[FOLDER_FILE_MAX];
    char out[8192];

    make_host(*state);
    for (int i = 0; i < 4; i++) {
        size_t n = folder_read(host, names[i], bytes);
        char *line;

        assert_int_equal(key(out, "show", folder_path(host, names[i]), NULL),
                         0);
        bytes[n] = '\0';
        line = strstr((char *) bytes, "\ndata: ");
        assert_non_null(line);
        line = strtok(line + 7, "\n");
        assert_null(strstr(out, line));
    }
    assert_int_equal(key(out, "show", folder_path(host, "host.cert"), NULL),
                     0);
    assert_non_null(strstr(out, "zones: 0-0, 5-9\n"));
    assert_non_null(strstr(out, "hoas: 10.0.0.0/8, fd00::/8\n"));
}

static void
test_host_ids(void **state)
{
    (void) state;
    assert_true(matd_keys_host_id("0x1f") == 0x1f);
    assert_true(matd_keys_host_id("0xffffffffffffffff") == UINT64_MAX);
    assert_true(matd_keys_host_id("hv1") == matd_keys_host_id("hv1"));
    assert_true(matd_keys_host_id("hv1") != matd_keys_host_id("hv2"));
    assert_true(matd_keys_host_id("0x0") != 0);
    assert_true(matd_keys_host_id("") != 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_armour_comes_back),
        cmocka_unit_test(test_armour_damage_is_seen),
        cmocka_unit_test(test_armour_names_the_line),
#define IN_FOLDER(TEST) \
        cmocka_unit_test_setup_teardown(TEST, folder_setup, folder_teardown)
        IN_FOLDER(test_issued_keys_load),
        IN_FOLDER(test_bad_files_are_named),
        IN_FOLDER(test_reload_keeps_the_last_good),
        IN_FOLDER(test_nothing_is_overwritten),
        IN_FOLDER(test_usage),
        IN_FOLDER(test_bad_values_are_named),
        IN_FOLDER(test_rotation),
        IN_FOLDER(test_revocation),
        IN_FOLDER(test_show),
        cmocka_unit_test(test_host_ids)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
