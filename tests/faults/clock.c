/* A clock of one process that a test sets, back and forth, while the process runs: to be preloaded (LD_PRELOAD).
 *
 * The file that DURABLE_TEST_CLOCK names holds one int64: how many seconds to add to the time of day. Monotonic clocks are
 * left alone, as they are when the administrator or NTP sets a machine's clock. Bare system calls, because allocators ask for
 * the time before the dynamic linker is done.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *shift = 0;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("DURABLE_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0)
        _exit(97);
    void *page = mmap(0, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED)
        _exit(98);
    shift = page;
}

int clock_gettime(clockid_t which, struct timespec *now)
{
    int failed = (int)syscall(SYS_clock_gettime, which, now);
    if (!failed && shift && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
        now->tv_sec += *shift;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec found;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &found))
        return -1;
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *where)
{
    struct timespec found;
    if (clock_gettime(CLOCK_REALTIME, &found))
        return -1;
    if (where)
        *where = found.tv_sec;
    return found.tv_sec;
}
