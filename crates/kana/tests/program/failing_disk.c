/* A disk that fails: loaded before the C library, it makes what writes to files of one directory
 * fail while a switch is on.
 *
 * FAILING_DISK_DIRECTORY: the directory, absolute, with a slash at its end.
 * FAILING_DISK_SWITCH: a file that, while it exists, says what fails: the first letter `s` for
 * what makes writes durable (EIO), `w` for the writes themselves (ENOSPC, after half of the bytes
 * were written), `q` for the same as a quota does it (EDQUOT) or `r` as a disk does that became
 * read-only (EROFS), and the rest the end that the names of the files have which it is about.
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

/* The letter of what fails for the file; 0 for nothing. */
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

/* What a write to the file fails with; 0 if it does not. */
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
