/* A clock that is wrong: loaded before the C library, it changes what the time of day is while a
 * switch is on.
 *
 * CLOCK_SWITCH: a file that, while it exists, says what is wrong by its first letter: `p` for a clock
 * that is in the past, in 1960, or `w` for one that the threads that write cannot read, once: what
 * logs their panic reads it, too.
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
