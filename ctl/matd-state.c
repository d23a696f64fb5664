/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include "matd-state.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mat-mem.h"
#include "matd-state-file.h"

enum { CLOSE_MS = 1000 };

struct matd_state {
    int dir;                    /* Folder, open and locked. */
    int lock;
    int wake;                   /* eventfd: the status has changed. */
    struct matd_state_contents contents;
    uint8_t *bytes;             /* What 'contents' points into. */
    bool has_spare;             /* See matd-state.h. */

    pthread_t thread;
    pthread_mutex_t mutex;      /* For all that follows. */
    pthread_cond_t cond;        /* There is something to do, or it is done. */
    uint8_t *pending;           /* To be written, or null. */
    size_t pending_size;
    uint64_t n_saved, n_tried;  /* Which one is pending, was tried last. */
    bool is_writing, is_quitting, has_quit;
    uint32_t generation;        /* On disk. */
    struct matd_state_status status;
    bool is_changed;            /* 'status', since matd_state_run(). */
};

/* Opening. */

static bool
open_folder(struct matd_state *s, const char *dir,
            char error[MATD_STATE_ERROR_MAX])
{
    if (mkdir(dir, 0700) && errno != EEXIST) {
        snprintf(error, MATD_STATE_ERROR_MAX, "%s: %s", dir,
                 strerror(errno));
        return false;
    }
    s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    s->lock = s->dir < 0 ? -1 : openat(s->dir, "lock",
                                       O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock < 0) {
        snprintf(error, MATD_STATE_ERROR_MAX, "%s: %s", dir,
                 strerror(errno));
        return false;
    } else if (flock(s->lock, LOCK_EX | LOCK_NB)) {
        snprintf(error, MATD_STATE_ERROR_MAX, "%s: used by another matd, or "
                 "cannot be locked (%s)", dir, strerror(errno));
        return false;
    }
    return true;
}

static uint32_t
max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* Reads a file that has a generation only. */
static bool
read_generation(struct matd_state *s, uint16_t kind, bool *is_there,
                char error[MATD_STATE_ERROR_MAX],
                char warning[MATD_STATE_ERROR_MAX])
{
    struct matd_state_contents contents;
    uint8_t *bytes;
    bool is_good = matd_state_read(s->dir, kind, &bytes, &contents,
                                   &s->status.n_damaged, error, warning);

    *is_there = contents.generation != 0;
    s->generation = max_u32(s->generation, contents.generation);
    free(bytes);
    return is_good;
}

/* The generation is the greatest of all files': if one was lost it still does
 * not go back. */
static bool
read_files(struct matd_state *s, char error[MATD_STATE_ERROR_MAX],
           char warning[MATD_STATE_ERROR_MAX])
{
    bool is_there;

    if (!read_generation(s, MATD_STATE_GENERATION, &is_there, error, warning)
        || !read_generation(s, MATD_STATE_SPARE, &s->has_spare, error,
                            warning)
        || !matd_state_read(s->dir, MATD_STATE_STATE, &s->bytes,
                            &s->contents, &s->status.n_damaged, error,
                            warning)) {
        return false;
    }
    s->generation = max_u32(s->generation, s->contents.generation);
    return true;
}

static void *run_thread(void *);

static bool
start_thread(struct matd_state *s, char error[MATD_STATE_ERROR_MAX])
{
    pthread_condattr_t attr;
    int problem;

    pthread_mutex_init(&s->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->cond, &attr);
    pthread_condattr_destroy(&attr);
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    problem = s->wake < 0 ? errno
              : pthread_create(&s->thread, NULL, run_thread, s);
    if (problem) {
        snprintf(error, MATD_STATE_ERROR_MAX, "thread that writes the "
                 "state: %s", strerror(problem));
    }
    return !problem;
}

static void
free_state(struct matd_state *s)
{
    int fds[] = { s->wake, s->lock, s->dir };

    for (int i = 0; i < 3; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    free(s->bytes);
    free(s->pending);
    free(s);
}

struct matd_state *
matd_state_open(const char *dir, char error[MATD_STATE_ERROR_MAX],
                char warning[MATD_STATE_ERROR_MAX])
{
    struct matd_state *s = mat_xcalloc(1, sizeof *s);

    s->dir = s->lock = s->wake = -1;
    error[0] = warning[0] = '\0';
    if (sodium_init() < 0 || !open_folder(s, dir, error)
        || !read_files(s, error, warning) || !start_thread(s, error)) {
        free_state(s);
        return NULL;
    }
    return s;
}

static struct timespec
deadline(int ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000L;
    }
    return t;
}

/* A disk that hangs must not keep matd from its end: then the thread and what
 * it uses are left to the end of the process. */
void
matd_state_close(struct matd_state *s)
{
    struct timespec until = deadline(CLOSE_MS);
    bool has_quit;

    if (!s) {
        return;
    }
    pthread_mutex_lock(&s->mutex);
    s->is_quitting = true;
    pthread_cond_broadcast(&s->cond);
    while (!s->has_quit
           && !pthread_cond_timedwait(&s->cond, &s->mutex, &until)) {
        continue;
    }
    has_quit = s->has_quit;
    pthread_mutex_unlock(&s->mutex);
    if (!has_quit) {
        pthread_detach(s->thread);
        return;
    }
    pthread_join(s->thread, NULL);
    pthread_mutex_destroy(&s->mutex);
    pthread_cond_destroy(&s->cond);
    free_state(s);
}

/* Writing, in the thread. */

/* Waits until there is something to write or it is time to quit. */
static bool
wait_for_work(struct matd_state *s, bool has_failed)
{
    struct timespec until = deadline(MATD_STATE_RETRY_MS);

    while (!s->is_quitting) {
        if (s->pending && (!has_failed || s->n_saved != s->n_tried)) {
            return true;
        } else if (!has_failed) {
            pthread_cond_wait(&s->cond, &s->mutex);
        } else if (pthread_cond_timedwait(&s->cond, &s->mutex, &until)) {
            return true;
        }
    }
    return s->pending && !has_failed;
}

static int64_t
monotonic_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
report(struct matd_state *s, int error, int64_t elapsed_us)
{
    uint64_t one = 1;

    s->status.last_errno = error;
    if (error) {
        s->status.n_failed++;
    } else {
        s->status.n_written++;
        s->status.last_written_us = elapsed_us;
    }
    s->is_changed = true;
    if (write(s->wake, &one, sizeof one) < 0) {
        /* It is readable already. */
    }
}

/* Writes what is pending, without the lock.  If that fails and nothing newer
 * has come, it is pending again. */
static bool
write_pending(struct matd_state *s)
{
    uint8_t *bytes = s->pending;
    size_t size = s->pending_size;
    int64_t start_us = monotonic_us();
    int error;

    s->pending = NULL;
    s->n_tried = s->n_saved;
    s->is_writing = true;
    pthread_mutex_unlock(&s->mutex);
    error = matd_state_write(s->dir, MATD_STATE_STATE, bytes, size);
    pthread_mutex_lock(&s->mutex);
    s->is_writing = false;
    if (error && !s->pending) {
        s->pending = bytes;
        s->pending_size = size;
    } else {
        free(bytes);
    }
    report(s, error, monotonic_us() - start_us);
    return !error;
}

static void *
run_thread(void *s_)
{
    struct matd_state *s = s_;
    bool has_failed = false;

    pthread_mutex_lock(&s->mutex);
    while (wait_for_work(s, has_failed)) {
        has_failed = !write_pending(s);
    }
    s->has_quit = true;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

/* The caller's side. */

const struct matd_state_contents *
matd_state_contents(const struct matd_state *s)
{
    return &s->contents;
}

uint32_t
matd_state_generation(const struct matd_state *s)
{
    return s->generation;       /* Only the caller's side changes it. */
}

static int
write_generation(struct matd_state *s, uint16_t kind, uint32_t generation,
                 int (*put)(int dir, uint16_t kind, const void *, size_t))
{
    uint8_t bytes[MATD_STATE_EMPTY_SIZE];
    size_t n = matd_state_encode(kind, generation, NULL, 0, bytes,
                                 sizeof bytes);

    return put(s->dir, kind, bytes, n);
}

/* The spare is made while there is room. */
static int
keep_generation(struct matd_state *s, uint32_t generation)
{
    int problem = write_generation(s, MATD_STATE_GENERATION, generation,
                                   matd_state_write);

    if (!problem && !s->has_spare) {
        s->has_spare = !write_generation(s, MATD_STATE_SPARE, generation,
                                         matd_state_write);
    } else if ((problem == ENOSPC || problem == EDQUOT) && s->has_spare) {
        problem = write_generation(s, MATD_STATE_SPARE, generation,
                                   matd_state_overwrite);
    }
    return problem;
}

uint32_t
matd_state_next_generation(struct matd_state *s, uint32_t at_least,
                           char error[MATD_STATE_ERROR_MAX])
{
    uint32_t next = max_u32(s->generation + 1, at_least);
    int problem;

    error[0] = '\0';
    if (next <= s->generation) {
        snprintf(error, MATD_STATE_ERROR_MAX, "there are no generations "
                 "left");
        return 0;
    }
    problem = keep_generation(s, next);
    if (problem) {
        snprintf(error, MATD_STATE_ERROR_MAX, "generation cannot be put on "
                 "disk: %s", strerror(problem));
        return 0;
    }
    pthread_mutex_lock(&s->mutex);
    s->generation = next;
    pthread_mutex_unlock(&s->mutex);
    return next;
}

bool
matd_state_save(struct matd_state *s,
                const struct matd_state_section *sections, size_t n)
{
    size_t max = MATD_STATE_EMPTY_SIZE, size;
    uint8_t *bytes;

    if (n > MATD_STATE_SECTIONS_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (sections[i].size > MATD_STATE_SIZE_MAX - max) {
            return false;
        }
        max += MATD_STATE_SECTION_HEAD + sections[i].size;
        if (max > MATD_STATE_SIZE_MAX) {
            return false;
        }
    }
    bytes = mat_xmalloc(max);
    size = matd_state_encode(MATD_STATE_STATE, s->generation, sections, n,
                             bytes, max);
    MAT_ASSERT(size == max);
    pthread_mutex_lock(&s->mutex);
    free(s->pending);
    s->pending = bytes;
    s->pending_size = size;
    s->n_saved++;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mutex);
    return true;
}

bool
matd_state_run(struct matd_state *s, struct matd_state_status *status)
{
    uint64_t count;
    bool is_changed;

    if (read(s->wake, &count, sizeof count) < 0) {
        /* Nothing new, which 'is_changed' tells too. */
    }
    pthread_mutex_lock(&s->mutex);
    is_changed = s->is_changed;
    s->is_changed = false;
    *status = s->status;
    status->is_pending = s->pending || s->is_writing;
    pthread_mutex_unlock(&s->mutex);
    return is_changed;
}

int
matd_state_fd(const struct matd_state *s)
{
    return s->wake;
}
