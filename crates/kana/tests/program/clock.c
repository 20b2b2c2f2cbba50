/* A wrong clock: preloaded before the C library, it changes the time of day while a switch is on.
 *
 * CLOCK_SWITCH names a file. While the file exists, its first letter chooses what is wrong: with `p`
 * the time is in 1960; with `w` each writer thread fails to read the clock once. Only once, since
 * logging the panic also reads the clock.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static char wrong(void) {
    const char *name = getenv("CLOCK_SWITCH");
    int opened = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    char what = 0;
    if (opened < 0) return 0;
    if (read(opened, &what, 1) < 1) what = 0;
    close(opened);
    return what;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    static __thread int failed;
    char name[16] = "";
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    if (clock != CLOCK_REALTIME) return real(clock, time);
    switch (wrong()) {
        case 'p':
            time->tv_sec = -10L * 365 * 24 * 60 * 60;
            time->tv_nsec = 0;
            return 0;
        case 'w':
            prctl(PR_GET_NAME, name);
            if (!failed && !strncmp(name, "kana-writer", strlen("kana-writer"))) {
                failed = 1;
                errno = EINVAL;
                return -1;
            }
            return real(clock, time);
        default:
            return real(clock, time);
    }
}
