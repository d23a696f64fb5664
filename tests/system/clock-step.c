/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into one daemon of a test: its clock of the day is off by as many
 * seconds as the file $MAT_CLOCK_STEP says now (8 bytes, the host's order).
 * The monotonic clock is not touched, as when somebody sets the date. */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *step;

__attribute__((constructor)) static void
map_step(void)
{
    const char *path = getenv("MAT_CLOCK_STEP");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = mmap(NULL, sizeof *step, PROT_READ, MAP_SHARED, fd, 0);

    step = map == MAP_FAILED ? NULL : map;
    close(fd);
}

int
clock_gettime(clockid_t clock, struct timespec *t)
{
    long error = syscall(SYS_clock_gettime, clock, t);

    if (!error && step
        && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        t->tv_sec += *step;
    }
    return (int) error;
}

int
gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    struct timespec now;

    (void) zone;
    clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t
time(time_t *t)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (t) {
        *t = now.tv_sec;
    }
    return now.tv_sec;
}
