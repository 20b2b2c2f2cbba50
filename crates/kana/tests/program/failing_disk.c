/* A failing disk: preloaded before the C library, it makes writes to files of one directory fail
 * while a switch is on.
 *
 * FAILING_DISK_DIRECTORY: the directory, absolute, with a slash at its end.
 * FAILING_DISK_SWITCH names a file. While the file exists, its first letter chooses what fails: `s`
 * for syncing (EIO), `w` for writes on a full disk (ENOSPC, after half of the bytes were written),
 * `q` for writes over the quota (EDQUOT), `r` for writes to a disk that became read-only (EROFS).
 * The rest of the file is the suffix of the names of the affected files.
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

/* Returns the letter of the failure for the file; 0 for none. */
static char failure(int file) {
    const char *directory = getenv("FAILING_DISK_DIRECTORY");
    const char *name = getenv("FAILING_DISK_SWITCH");
    char rule[256], link[64], path[4096];
    if (!directory || !name) return 0;
    int opened = open(name, O_RDONLY | O_CLOEXEC);
    if (opened < 0) return 0;
    ssize_t length = read(opened, rule, sizeof rule - 1);
    close(opened);
    if (length < 1) return 0;
    rule[length] = 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t bytes = readlink(link, path, sizeof path - 1);
    if (bytes < 0) return 0;
    path[bytes] = 0;
    if (strncmp(path, directory, strlen(directory))) return 0;
    size_t end = strlen(rule + 1);
    if (strlen(path) < end || strcmp(path + strlen(path) - end, rule + 1)) return 0;
    return rule[0];
}

/* Returns the error that a write to the file fails with; 0 for none. */
static int write_error(int file) {
    switch (failure(file)) {
    case 'w': return ENOSPC;
    case 'q': return EDQUOT;
    case 'r': return EROFS;
    default: return 0;
    }
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define SYNC(name)                            \
    int name(int file) {                      \
        if (failure(file) == 's') {           \
            errno = EIO;                      \
            return -1;                        \
        }                                     \
        return REAL(name)(file);              \
    }

SYNC(fsync)
SYNC(fdatasync)

#define WRITE_AT(name, offset_type)                                               \
    ssize_t name(int file, const void *bytes, size_t count, offset_type offset) { \
        int error = write_error(file);                                            \
        if (error == ENOSPC) REAL(name)(file, bytes, count / 2, offset);          \
        if (error) {                                                              \
            errno = error;                                                        \
            return -1;                                                            \
        }                                                                         \
        return REAL(name)(file, bytes, count, offset);                            \
    }

WRITE_AT(pwrite, off_t)
WRITE_AT(pwrite64, off64_t)

ssize_t write(int file, const void *bytes, size_t count) {
    int error = write_error(file);
    if (error) {
        errno = error;
        return -1;
    }
    return REAL(write)(file, bytes, count);
}

#define TRUNCATE(name, length_type)                 \
    int name(int file, length_type length) {        \
        int error = write_error(file);              \
        if (error) {                                \
            errno = error;                          \
            return -1;                              \
        }                                           \
        return REAL(name)(file, length);            \
    }

TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)
