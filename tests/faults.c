/* Makes system calls fail, for tests: loaded by LD_PRELOAD, told what to do by a page that the test shares.
 *
 * The page is the file that FAULTS_PAGE names: the number of the error (0: nothing fails; negative: the process is
 * killed instead), how many calls of that kind pass first, how many have failed, the name of the call ("": any), and a
 * part of the path of the files that are concerned. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

struct page {
    int error;
    atomic_int passing;
    atomic_int failed;
    char call[20];
    char part[480];
};

static struct page *page;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("FAULTS_PAGE");
    int fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *found = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    page = found == MAP_FAILED ? NULL : found;
}

static int is_meant(const char *call) {
    return page && page->error && (!page->call[0] || !strcmp(page->call, call));
}

static int fails(const char *call, const char *path) {
    if (!is_meant(call) || !path || !strstr(path, page->part))
        return 0;
    if (atomic_fetch_sub(&page->passing, 1) > 0)
        return 0;
    atomic_fetch_add(&page->failed, 1);
    if (page->error < 0)
        kill(getpid(), SIGKILL);
    errno = page->error;
    return 1;
}

static int fails_at(const char *call, int fd) {
    char link[40], path[4096];
    if (!is_meant(call))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0)
        return 0;
    path[size] = 0;
    return fails(call, path);
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        return fails("open", path) ? -1 : REAL(int, name, const char *, int, ...)(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define BY_PATH(type, failed, call, name, path, parameters, arguments) \
    type name parameters { return fails(call, path) ? failed : ((type(*) parameters)dlsym(RTLD_NEXT, #name))arguments; }
#define BY_FD(type, call, name, parameters, arguments) \
    type name parameters { return fails_at(call, fd) ? -1 : ((type(*) parameters)dlsym(RTLD_NEXT, #name))arguments; }

BY_PATH(int, -1, "stat", stat, path, (const char *path, struct stat *found), (path, found))
BY_PATH(int, -1, "stat", stat64, path, (const char *path, struct stat64 *found), (path, found))
BY_PATH(int, -1, "mkdir", mkdir, path, (const char *path, mode_t mode), (path, mode))
BY_PATH(int, -1, "rmdir", rmdir, path, (const char *path), (path))
BY_PATH(int, -1, "unlink", unlink, path, (const char *path), (path))
BY_PATH(int, -1, "rename", rename, to, (const char *from, const char *to), (from, to))
BY_PATH(int, -1, "link", link, to, (const char *from, const char *to), (from, to))
BY_PATH(DIR *, NULL, "opendir", opendir, path, (const char *path), (path))
BY_FD(ssize_t, "read", read, (int fd, void *buffer, size_t size), (fd, buffer, size))
BY_FD(ssize_t, "pread", pread64, (int fd, void *buffer, size_t size, off64_t at), (fd, buffer, size, at))
BY_FD(ssize_t, "pread", pread, (int fd, void *buffer, size_t size, off_t at), (fd, buffer, size, at))
BY_FD(ssize_t, "write", write, (int fd, const void *buffer, size_t size), (fd, buffer, size))
BY_FD(int, "fsync", fsync, (int fd), (fd))
BY_FD(int, "fdatasync", fdatasync, (int fd), (fd))
BY_FD(int, "fstat", fstat, (int fd, struct stat *found), (fd, found))
BY_FD(int, "fstat", fstat64, (int fd, struct stat64 *found), (fd, found))
BY_FD(int, "flock", flock, (int fd, int operation), (fd, operation))
BY_FD(int, "ftruncate", ftruncate64, (int fd, off64_t size), (fd, size))

ssize_t sendfile64(int out, int fd, off64_t *at, size_t size) {
    return fails_at("sendfile", fd) ? -1 : REAL(ssize_t, sendfile64, int, int, off64_t *, size_t)(out, fd, at, size);
}

ssize_t sendfile(int out, int fd, off_t *at, size_t size) {
    return fails_at("sendfile", fd) ? -1 : REAL(ssize_t, sendfile, int, int, off_t *, size_t)(out, fd, at, size);
}

struct dirent64 *readdir64(DIR *directory) {
    if (fails_at("readdir", dirfd(directory)))
        return NULL;
    return REAL(struct dirent64 *, readdir64, DIR *)(directory);
}

pid_t fork(void) { return fails("fork", "") ? -1 : REAL(pid_t, fork, void)(); }

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*work)(void *), void *argument) {
    if (fails("thread", ""))
        return EAGAIN;
    return REAL(int, pthread_create, pthread_t *, const pthread_attr_t *, void *(*)(void *), void *)(
        thread, how, work, argument);
}

/* To close works nevertheless, as on a network file system that reports what it could not write. */
int close(int fd) {
    int failed = fails_at("close", fd), error = errno;
    int result = REAL(int, close, int)(fd);
    errno = failed ? error : errno;
    return failed ? -1 : result;
}
