/* SPDX-License-Identifier: Apache-2.0 */
/* State on disk: torn at every byte, killed at every system call, with a full
 * disk.  The calls that matter are wrapped, see matd-io.mk. */
#define _GNU_SOURCE 1
#include <stdarg.h>
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "folder.h"
#include "matd-state-file.h"

/* The wrapped calls: the n'th from now kills the process or fails. */
static int calls_left = -1, call_errno;

static bool
is_this_call(void)
{
    if (__atomic_load_n(&calls_left, __ATOMIC_RELAXED) < 0
        || __atomic_sub_fetch(&calls_left, 1, __ATOMIC_RELAXED) >= 0) {
        return false;
    }
    if (!call_errno) {
        raise(SIGKILL);
    }
    errno = call_errno;
    return true;
}

#define WRAP(TYPE, NAME, PARAMETERS, ARGUMENTS) \
    TYPE __real_##NAME PARAMETERS; \
    TYPE __wrap_##NAME PARAMETERS; \
    TYPE __wrap_##NAME PARAMETERS \
    { \
        return is_this_call() ? -1 : __real_##NAME ARGUMENTS; \
    }
WRAP(int, openat, (int dir, const char *name, int flags, mode_t mode),
     (dir, name, flags, mode))
WRAP(ssize_t, write, (int fd, const void *bytes, size_t n), (fd, bytes, n))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, close, (int fd), (fd))
WRAP(int, renameat, (int d1, const char *n1, int d2, const char *n2),
     (d1, n1, d2, n2))

static struct matd_state *
open_state(const char *dir, char warning[MATD_STATE_ERROR_MAX])
{
    char error[MATD_STATE_ERROR_MAX], ignored[MATD_STATE_ERROR_MAX];
    struct matd_state *s = matd_state_open(dir, error,
                                           warning ? warning : ignored);

    if (!s) {
        print_error("%s\n", error);
    }
    return s;
}

static void
wait_written(struct matd_state *s, struct matd_state_status *status)
{
    struct pollfd p = { .fd = matd_state_fd(s), .events = POLLIN };
    int n = 0;

    do {
        assert_true(n++ < 20);
        matd_state_run(s, status);
    } while (status->is_pending && !status->last_errno
             && poll(&p, 1, 1000) >= 0);
}

static void
save(struct matd_state *s, const char *text)
{
    struct matd_state_section sections[] = {
        { .type = 7, .data = (const uint8_t *) text, .size = strlen(text) },
        { .type = 9, .size = 0 }
    };

    assert_true(matd_state_save(s, sections, 2));
}

static bool
has(const struct matd_state_contents *c, const char *text)
{
    return (c->n_sections == 2 && c->sections[0].type == 7
            && c->sections[0].size == strlen(text)
            && !memcmp(c->sections[0].data, text, strlen(text)));
}

static void
test_state_comes_back(void **state)
{
    char error[MATD_STATE_ERROR_MAX], warning[MATD_STATE_ERROR_MAX];
    struct matd_state_status status;
    struct matd_state *s = open_state(*state, warning);
    struct stat st;

    assert_non_null(s);
    assert_string_equal(warning, "");
    assert_int_equal(matd_state_contents(s)->n_sections, 0);
    assert_int_equal(matd_state_next_generation(s, 0, error), 1);
    save(s, "first");
    wait_written(s, &status);
    assert_int_equal(status.n_written, 1);
    assert_false(matd_state_run(s, &status));
    save(s, "second");
    matd_state_close(s);        /* Writes it. */

    s = open_state(*state, warning);
    assert_string_equal(warning, "");
    assert_true(has(matd_state_contents(s), "second"));
    assert_int_equal(matd_state_generation(s), 1);
    assert_int_equal(matd_state_next_generation(s, 0, error), 2);
    assert_int_equal(matd_state_next_generation(s, 100, error), 100);
    assert_int_equal(matd_state_next_generation(s, 50, error), 101);
    matd_state_close(s);
    assert_int_equal(stat(folder_path(*state, "state"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void
test_two_agents_cannot_share(void **state)
{
    char error[MATD_STATE_ERROR_MAX], warning[MATD_STATE_ERROR_MAX];
    struct matd_state *s = open_state(*state, NULL);

    assert_null(matd_state_open(*state, error, warning));
    assert_non_null(strstr(error, "another matd"));
    matd_state_close(s);
    s = open_state(*state, NULL);
    assert_non_null(s);
    matd_state_close(s);
}

static void
test_every_torn_byte_is_seen(void **state)
{
    const uint8_t data[40] = "some bytes";
    struct matd_state_section sections[] = {
        { .type = 1, .data = data, .size = sizeof data },
        { .type = 2, .data = data, .size = 3 }
    };
    uint8_t bytes[200];
    size_t n = matd_state_encode(MATD_STATE_STATE, 5, sections, 2, bytes,
                                 sizeof bytes);
    struct matd_state_contents c;
    char why[MATD_STATE_ERROR_MAX];

    (void) state;
    assert_true(matd_state_decode(bytes, n, MATD_STATE_STATE, &c, why));
    assert_false(matd_state_decode(bytes, n, MATD_STATE_GENERATION, &c,
                                   why));
    for (size_t i = 0; i < n; i++) {
        uint8_t *cut = malloc(i ? i : 1);

        memcpy(cut, bytes, i);
        assert_false(matd_state_decode(cut, i, MATD_STATE_STATE, &c, why));
        free(cut);
        bytes[i] ^= 0x40;
        assert_false(matd_state_decode(bytes, n, MATD_STATE_STATE, &c, why));
        bytes[i] ^= 0x40;
    }
}

/* Whatever is cut off, the rest goes on, the generation too. */
static void
test_torn_files_are_set_aside(void **state)
{
    char error[MATD_STATE_ERROR_MAX], warning[MATD_STATE_ERROR_MAX];
    uint8_t bytes[FOLDER_FILE_MAX];
    struct matd_state *s = open_state(*state, NULL);
    size_t n;

    matd_state_next_generation(s, 40, error);
    save(s, "content");
    matd_state_close(s);
    n = folder_read(*state, "state", bytes);
    for (size_t i = 0; i < n; i++) {
        folder_write(*state, "state", bytes, i, 0600);
        s = open_state(*state, warning);
        assert_non_null(s);
        assert_non_null(strstr(warning, "state: "));
        assert_non_null(strstr(warning, "set aside as state.damaged-"));
        assert_int_equal(matd_state_contents(s)->n_sections, 0);
        assert_int_equal(matd_state_generation(s), 40);
        matd_state_close(s);
    }
    assert_int_equal(folder_count(*state, "state.damaged-"), (int) n);

    /* The generation lives on in the state. */
    folder_write(*state, "state", bytes, n, 0600);
    folder_write(*state, "generation", bytes, 10, 0600);
    s = open_state(*state, warning);
    assert_non_null(strstr(warning, "set aside as generation.damaged-1"));
    assert_int_equal(matd_state_generation(s), 40);
    assert_true(has(matd_state_contents(s), "content"));
    matd_state_close(s);
}

static void
test_foreign_files_are_set_aside(void **state)
{
    static const char text[] = "{ \"vms\": [] } and then some more text.\n";
    char warning[MATD_STATE_ERROR_MAX];
    uint8_t bytes[FOLDER_FILE_MAX];
    struct matd_state *s;
    size_t n;

    folder_write(*state, "state", text, sizeof text, 0644);
    s = open_state(*state, warning);
    assert_non_null(strstr(warning, "state: not a file of matd; set aside as "
                           "state.foreign-1"));
    save(s, "x");
    matd_state_close(s);
    n = folder_read(*state, "state", bytes);
    bytes[9] = 2;               /* The version. */
    folder_write(*state, "state", bytes, n, 0600);
    s = open_state(*state, warning);
    assert_non_null(strstr(warning, "of version 2"));
    assert_non_null(strstr(warning, "state.foreign-2"));
    matd_state_close(s);
    assert_int_equal(folder_read(*state, "state.foreign-1", bytes),
                     sizeof text);
    assert_memory_equal(bytes, text, sizeof text);

    mkdir(folder_path(*state, "state"), 0700);
    s = open_state(*state, warning);
    assert_non_null(s);
    assert_non_null(strstr(warning, "state.foreign-3"));
    matd_state_close(s);
}

/* In a child: opens, takes a generation, saves, and is killed at a call. */
static void
be_killed(const char *dir, int call, int tell)
{
    char error[MATD_STATE_ERROR_MAX];
    struct matd_state *s = open_state(dir, NULL);
    struct matd_state_status status;
    uint32_t generation;

    if (!s) {
        _exit(2);
    }
    calls_left = call;
    generation = matd_state_next_generation(s, 0, error);
    if (__real_write(tell, &generation, sizeof generation) < 0) {
        _exit(4);
    }
    save(s, "new and longer than the old one");
    wait_written(s, &status);
    _exit(status.n_written == 1 ? 0 : 3);
}

/* Whenever it dies, there is the old state or the new one, nothing is set
 * aside, and no generation is used twice. */
static void
test_killed_at_every_call(void **state)
{
    char warning[MATD_STATE_ERROR_MAX], error[MATD_STATE_ERROR_MAX];
    struct matd_state *s = open_state(*state, NULL);
    uint32_t used = matd_state_next_generation(s, 0, error);
    int status = -1, n_killed = 0, n_new = 0;

    save(s, "old");
    matd_state_close(s);
    for (int call = 0; status; call++) {
        uint32_t generation;
        int pipes[2];
        pid_t pid;

        assert_int_equal(pipe(pipes), 0);
        pid = fork();
        if (!pid) {
            be_killed(*state, call, pipes[1]);
        }
        close(pipes[1]);
        if (read(pipes[0], &generation, sizeof generation)
            == sizeof generation) {
            assert_true(generation > used);
            used = generation;
        }
        close(pipes[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(!status || (WIFSIGNALED(status)
                                && WTERMSIG(status) == SIGKILL));
        n_killed += status != 0;

        s = open_state(*state, warning);
        assert_non_null(s);
        assert_string_equal(warning, "");
        assert_true(matd_state_generation(s) >= used);
        if (!has(matd_state_contents(s), "old")) {
            assert_true(has(matd_state_contents(s),
                            "new and longer than the old one"));
            n_new++;
            save(s, "old");
        }
        matd_state_close(s);
    }
    print_message("# killed at %d calls, the new state was there after %d\n",
                  n_killed, n_new);
    assert_true(n_killed >= 12 && n_new >= 2);
}

/* What is on disk, as an agent would find it that starts now. */
static void
copy_files(const char *dir)
{
    uint8_t bytes[FOLDER_FILE_MAX];
    size_t n = folder_read(dir, "state", bytes);

    mkdir(folder_path(dir, "copy"), 0700);
    folder_write(folder_path(dir, "copy"), "state", bytes, n, 0600);
}

/* The same with calls that fail, of which it must tell. */
static void
test_every_call_fails(void **state)
{
    static const int errors[] = { ENOSPC, EIO, EDQUOT };
    char warning[MATD_STATE_ERROR_MAX];
    struct matd_state_status status;
    struct matd_state *s = open_state(*state, NULL);

    save(s, "old");
    wait_written(s, &status);
    for (int i = 0; i < 3; i++) {
        for (int call = 0; call < 6; call++) {
            struct matd_state *other;
            uint64_t n_failed = status.n_failed;

            call_errno = errors[i];
            calls_left = call;
            save(s, "new");
            while (status.n_failed == n_failed) {
                wait_written(s, &status);
            }
            calls_left = -1;
            assert_int_equal(status.last_errno, errors[i]);
            assert_true(status.is_pending);

            /* The last good one is there.  After the rename only the sync of
             * the folder can fail, and the file may be the new one. */
            copy_files(*state);
            other = open_state(folder_path(*state, "copy"), warning);
            assert_non_null(other);
            assert_string_equal(warning, "");
            assert_true(has(matd_state_contents(other), "old")
                        || (call == 5
                            && has(matd_state_contents(other), "new")));
            matd_state_close(other);

            save(s, "old");     /* At once, not after the wait. */
            do {
                wait_written(s, &status);
            } while (status.is_pending);
            assert_int_equal(status.last_errno, 0);
        }
    }
    matd_state_close(s);
    call_errno = 0;
}

static void
fill_disk(const char *dir)
{
    struct matd_state_status status;
    struct matd_state *s = open_state(dir, NULL);
    struct rlimit small = { 60, RLIM_INFINITY }, large = { RLIM_INFINITY,
                                                           RLIM_INFINITY };
    char error[MATD_STATE_ERROR_MAX];

    signal(SIGXFSZ, SIG_IGN);
    if (!s || setrlimit(RLIMIT_FSIZE, &small)) {
        _exit(1);
    }
    save(s, "more than there is room for");
    wait_written(s, &status);
    if (status.n_failed != 1 || status.last_errno != EFBIG
        || folder_count(dir, "state.new")) {
        _exit(2);
    }
    small.rlim_cur = 20;
    if (setrlimit(RLIMIT_FSIZE, &small)
        || matd_state_next_generation(s, 0, error)
        || matd_state_generation(s) != 1) {
        _exit(3);
    }
    if (setrlimit(RLIMIT_FSIZE, &large)) {
        _exit(4);
    }
    /* What failed is tried again without being told. */
    while (matd_state_run(s, &status), status.is_pending) {
        usleep(10000);
    }
    _exit(status.n_written == 1
          && matd_state_next_generation(s, 0, error) == 2 ? 0 : 5);
}

static void
test_full_disk(void **state)
{
    char error[MATD_STATE_ERROR_MAX];
    struct matd_state *s = open_state(*state, NULL);
    int status;
    pid_t pid;

    matd_state_next_generation(s, 0, error);
    save(s, "old");
    matd_state_close(s);
    pid = fork();
    if (!pid) {
        fill_disk(*state);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    s = open_state(*state, NULL);
    assert_true(has(matd_state_contents(s), "more than there is room for"));
    assert_int_equal(matd_state_generation(s), 2);
    matd_state_close(s);
}

/* A file system of 64 kB, where this process may make one. */
static void
fill_tmpfs(const char *dir)
{
    static uint8_t big[48 << 10];
    struct matd_state_section section = { .data = big };
    struct matd_state_status status;
    struct matd_state *s;

    char error[MATD_STATE_ERROR_MAX];
    uint32_t used;
    int fd;

    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL,
                                      MS_REC | MS_PRIVATE, NULL)
        || mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=0700")) {
        _exit(77);
    }
    s = open_state(dir, NULL);
    used = s ? matd_state_next_generation(s, 0, error) : 0;
    section.size = 40 << 10;
    if (!used || !matd_state_save(s, &section, 1)) {
        _exit(1);
    }
    wait_written(s, &status);
    section.size = sizeof big;  /* Both do not fit. */
    if (status.n_written != 1 || !matd_state_save(s, &section, 1)) {
        _exit(2);
    }
    wait_written(s, &status);
    if (status.last_errno != ENOSPC) {
        _exit(3);
    }
    matd_state_close(s);

    /* Not a byte is left, but a generation finds room, again and again. */
    fd = openat(AT_FDCWD, folder_path(dir, "filler"), O_WRONLY | O_CREAT,
                0600);
    while (write(fd, big, 4096) > 0) {
        continue;
    }
    for (int i = 0; i < 3; i++) {
        s = open_state(dir, NULL);
        if (!s || matd_state_generation(s) != used
            || matd_state_next_generation(s, 0, error) != ++used
            || matd_state_next_generation(s, 0, error) != ++used) {
            _exit(5);
        }
        matd_state_close(s);
    }
    s = open_state(dir, NULL);
    _exit(s && matd_state_contents(s)->sections[0].size == 40 << 10 ? 0 : 4);
}

static void
test_full_tmpfs(void **state)
{
    int status;
    pid_t pid = fork();

    if (!pid) {
        fill_tmpfs(*state);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        skip();
    }
    assert_int_equal(status, 0);
}

static void
test_too_much(void **state)
{
    static uint8_t big[MATD_STATE_SIZE_MAX];
    struct matd_state *s = open_state(*state, NULL);
    struct matd_state_section sections[2] = {
        { .data = big, .size = sizeof big }, { .data = big, .size = 1 }
    };

    assert_false(matd_state_save(s, sections, 1));
    sections[0].size = sizeof big - MATD_STATE_EMPTY_SIZE
                       - MATD_STATE_SECTION_HEAD;
    assert_true(matd_state_save(s, sections, 1));
    assert_false(matd_state_save(s, sections, 2));
    sections[0].size = SIZE_MAX - 10;
    assert_false(matd_state_save(s, sections, 1));
    assert_false(matd_state_save(s, sections, MATD_STATE_SECTIONS_MAX + 1));
    matd_state_close(s);
    s = open_state(*state, NULL);
    assert_int_equal(matd_state_contents(s)->n_sections, 1);
    matd_state_close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_FOLDER(TEST) \
        cmocka_unit_test_setup_teardown(TEST, folder_setup, folder_teardown)
        IN_FOLDER(test_state_comes_back),
        IN_FOLDER(test_two_agents_cannot_share),
        cmocka_unit_test(test_every_torn_byte_is_seen),
        IN_FOLDER(test_torn_files_are_set_aside),
        IN_FOLDER(test_foreign_files_are_set_aside),
        IN_FOLDER(test_killed_at_every_call),
        IN_FOLDER(test_every_call_fails),
        IN_FOLDER(test_full_disk),
        IN_FOLDER(test_full_tmpfs),
        IN_FOLDER(test_too_much)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
