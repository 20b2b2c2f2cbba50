/* A disk that fails: loaded before the C library, it makes what writes to files of one directory
 * fail while a switch is on.
 *
 * FAILING_DISK_DIRECTORY: the directory, absolute, with a slash at its end.
 * FAILING_DISK_SWITCH: a file that, while it exists, says what fails: the first letter `s` for
 * what makes writes durable (EIO), `w` for the writes themselves (ENOSPC, after half of the bytes
 * were written) or `q` for the same as a quota does it (EDQUOT), and the rest the end that the names of the files have which it is about.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int fails(char what, int file) {
    const char *directory = getenv("FAILING_DISK_DIRECTORY");
    const char *name = getenv("FAILING_DISK_SWITCH");
    char rule[256], link[64], path[4096];
    if (!directory || !name) return 0;
    int opened = open(name, O_RDONLY | O_CLOEXEC);
    if (opened < 0) return 0;
    ssize_t length = read(opened, rule, sizeof rule - 1);
    close(opened);
    if (length < 1 || rule[0] != what) return 0;
    rule[length] = 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t bytes = readlink(link, path, sizeof path - 1);
    if (bytes < 0) return 0;
    path[bytes] = 0;
    if (strncmp(path, directory, strlen(directory))) return 0;
    size_t end = strlen(rule + 1);
    return strlen(path) >= end && !strcmp(path + strlen(path) - end, rule + 1);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define SYNC(name)                            \
    int name(int file) {                      \
        if (fails('s', file)) {               \
            errno = EIO;                      \
            return -1;                        \
        }                                     \
        return REAL(name)(file);              \
    }

SYNC(fsync)
SYNC(fdatasync)

#define WRITE_AT(name, offset_type)                                               \
    ssize_t name(int file, const void *bytes, size_t count, offset_type offset) { \
        if (fails('w', file)) {                                                   \
            REAL(name)(file, bytes, count / 2, offset);                           \
            errno = ENOSPC;                                                       \
            return -1;                                                            \
        }                                                                         \
        if (fails('q', file)) {                                                   \
            errno = EDQUOT;                                                       \
            return -1;                                                            \
        }                                                                         \
        return REAL(name)(file, bytes, count, offset);                            \
    }

WRITE_AT(pwrite, off_t)
WRITE_AT(pwrite64, off64_t)

ssize_t write(int file, const void *bytes, size_t count) {
    if (fails('w', file)) {
        errno = ENOSPC;
        return -1;
    }
    if (fails('q', file)) {
        errno = EDQUOT;
        return -1;
    }
    return REAL(write)(file, bytes, count);
}

#define TRUNCATE(name, length_type)                 \
    int name(int file, length_type length) {        \
        if (fails('w', file)) {                     \
            errno = ENOSPC;                         \
            return -1;                              \
        }                                           \
        return REAL(name)(file, length);            \
    }

TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)
