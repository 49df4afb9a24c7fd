/* Makes the disk fail, for tests: a library for LD_PRELOAD that stands between a program and its calls for files.
 *
 *   cc -O2 -shared -fPIC -o faults.so faults.c -ldl -pthread
 *   FAULTS_CONTROL=control FAULTS_RECORD=record LD_PRELOAD=./faults.so fusebox serve …
 *
 * FAULTS_CONTROL is a file of `struct control` that is mapped, so that a test changes the rules while the program runs. A call that
 * matches a rule may be delayed, cut short or failed. FAULTS_RECORD is a file to which every write, truncation and sync of a file
 * below FAULTS_FOLDER is appended, in the order in which they took effect, for tests that replay a loss of power.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum operation { operation_read = 1, operation_write = 2, operation_sync = 4, operation_truncate = 8, operation_open = 16 };

/* The same layout is packed by Tests/EndToEnd/faults.py. */
struct rule {
    uint32_t operations;
    /* Failures that are left; negative for no end, 0 for a rule that is off. */
    int32_t failures;
    /* Matching calls that pass before the first failure. */
    int32_t passes;
    int32_t error;
    uint32_t delay_microseconds;
    /* Not 0: a write stores this many bytes and says so, instead of failing. */
    uint32_t short_bytes;
    /* How often it matched, and how often it failed a call. */
    uint32_t matched, failed;
    /* The end of the file's path. */
    char suffix[64];
};

struct control {
    int64_t clock_offset_nanoseconds;
    struct rule rules[8];
};

static struct control *control;
static int record = -1;
static char folder[1024];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

enum { files_max = 4096 };
static char *paths[files_max];

#define REAL(name, ...) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void prepare(void) {
    const char *path = getenv("FAULTS_CONTROL");
    if (path) {
        int file = open(path, O_RDWR | O_CLOEXEC);
        if (file >= 0) {
            void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
            if (mapped != MAP_FAILED) control = mapped;
            close(file);
        }
    }
    const char *under = getenv("FAULTS_FOLDER");
    if (under) snprintf(folder, sizeof folder, "%s", under);
    path = getenv("FAULTS_RECORD");
    if (path) record = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static const char *path_of(int file) { return file >= 0 && file < files_max ? paths[file] : NULL; }

static int ends_with(const char *text, const char *suffix) {
    size_t length = strlen(text), end = strlen(suffix);
    return length >= end && strcmp(text + length - end, suffix) == 0;
}

/* What is to become of a call: 0 to go on, 1 to fail with errno set, 2 to store `*count` bytes only. */
static int judge(enum operation operation, const char *path, size_t *count) {
    if (!control || !path) return 0;
    for (size_t index = 0; index < sizeof control->rules / sizeof *control->rules; index++) {
        struct rule *rule = &control->rules[index];
        if (!(rule->operations & operation) || rule->failures == 0 || !ends_with(path, rule->suffix)) continue;
        __atomic_add_fetch(&rule->matched, 1, __ATOMIC_RELAXED);
        if (rule->delay_microseconds) {
            struct timespec pause = {rule->delay_microseconds / 1000000, (long)(rule->delay_microseconds % 1000000) * 1000};
            nanosleep(&pause, NULL);
        }
        if (rule->error == 0 && rule->short_bytes == 0) continue;
        if (__atomic_fetch_sub(&rule->passes, 1, __ATOMIC_RELAXED) > 0) continue;
        __atomic_store_n(&rule->passes, 0, __ATOMIC_RELAXED);
        if (rule->failures > 0) __atomic_sub_fetch(&rule->failures, 1, __ATOMIC_RELAXED);
        __atomic_add_fetch(&rule->failed, 1, __ATOMIC_RELAXED);
        if (rule->short_bytes && count) {
            if (*count > rule->short_bytes) *count = rule->short_bytes;
            return 2;
        }
        errno = rule->error;
        return 1;
    }
    return 0;
}

/* Recording. One entry: kind, length of the path, offset, length of the data; then the path and the data. */
enum kind { kind_write = 'w', kind_truncate = 't', kind_sync = 's' };

struct entry {
    uint32_t kind, path_length;
    uint64_t offset, length;
};

static int is_recorded(const char *path) { return record >= 0 && path && strncmp(path, folder, strlen(folder)) == 0; }

static void raw_write(const void *bytes, size_t count) {
    REAL(write);
    while (count) {
        ssize_t written = real(record, bytes, count);
        if (written <= 0) abort();
        bytes = (const char *)bytes + written;
        count -= (size_t)written;
    }
}

static void note(enum kind kind, const char *path, uint64_t offset, const void *bytes, uint64_t length) {
    struct entry entry = {.kind = kind, .path_length = (uint32_t)strlen(path), .offset = offset, .length = length};
    raw_write(&entry, sizeof entry);
    raw_write(path, entry.path_length);
    if (bytes) raw_write(bytes, length);
}

/* The calls. */

static void opened(int file, const char *path) {
    if (file < 0 || file >= files_max) return;
    char *absolute = realpath(path, NULL);
    pthread_mutex_lock(&lock);
    free(paths[file]);
    paths[file] = absolute;
    pthread_mutex_unlock(&lock);
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list arguments; \
            va_start(arguments, flags); \
            mode = (mode_t)va_arg(arguments, int); \
            va_end(arguments); \
        } \
        if (judge(operation_open, path, NULL)) return -1; \
        int file = real(path, flags, mode); \
        opened(file, path); \
        return file; \
    }
OPEN(open)
OPEN(open64)

int close(int file) {
    REAL(close);
    if (file >= 0 && file < files_max && paths[file]) {
        pthread_mutex_lock(&lock);
        free(paths[file]);
        paths[file] = NULL;
        pthread_mutex_unlock(&lock);
    }
    return real(file);
}

#define POSITIONED_WRITE(name, offset_type) \
    ssize_t name(int file, const void *bytes, size_t count, offset_type offset) { \
        REAL(name); \
        const char *path = path_of(file); \
        if (judge(operation_write, path, &count) == 1) return -1; \
        if (!is_recorded(path)) return real(file, bytes, count, offset); \
        pthread_mutex_lock(&lock); \
        ssize_t written = real(file, bytes, count, offset); \
        if (written > 0) note(kind_write, path, (uint64_t)offset, bytes, (uint64_t)written); \
        pthread_mutex_unlock(&lock); \
        return written; \
    }
POSITIONED_WRITE(pwrite, off_t)
POSITIONED_WRITE(pwrite64, off64_t)

ssize_t write(int file, const void *bytes, size_t count) {
    REAL(write);
    const char *path = path_of(file);
    if (path && judge(operation_write, path, &count) == 1) return -1;
    if (!is_recorded(path)) return real(file, bytes, count);
    pthread_mutex_lock(&lock);
    off_t offset = lseek(file, 0, SEEK_CUR);
    ssize_t written = real(file, bytes, count);
    if (written > 0) note(kind_write, path, (uint64_t)offset, bytes, (uint64_t)written);
    pthread_mutex_unlock(&lock);
    return written;
}

#define POSITIONED_READ(name, offset_type) \
    ssize_t name(int file, void *bytes, size_t count, offset_type offset) { \
        REAL(name); \
        if (judge(operation_read, path_of(file), NULL) == 1) return -1; \
        return real(file, bytes, count, offset); \
    }
POSITIONED_READ(pread, off_t)
POSITIONED_READ(pread64, off64_t)

#define SYNC(name) \
    int name(int file) { \
        REAL(name); \
        const char *path = path_of(file); \
        if (judge(operation_sync, path, NULL)) return -1; \
        if (!is_recorded(path)) return real(file); \
        /* No write gets in between: what stands before the entry is synced. */ \
        pthread_mutex_lock(&lock); \
        int result = real(file); \
        if (result == 0) note(kind_sync, path, 0, NULL, 0); \
        pthread_mutex_unlock(&lock); \
        return result; \
    }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(name, offset_type) \
    int name(int file, offset_type length) { \
        REAL(name); \
        const char *path = path_of(file); \
        if (judge(operation_truncate, path, NULL)) return -1; \
        if (!is_recorded(path)) return real(file, length); \
        pthread_mutex_lock(&lock); \
        int result = real(file, length); \
        if (result == 0) note(kind_truncate, path, (uint64_t)length, NULL, 0); \
        pthread_mutex_unlock(&lock); \
        return result; \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

/* The wall clock, which jumps when a test says so. */
int clock_gettime(clockid_t clock, struct timespec *time) {
    REAL(clock_gettime);
    int result = real(clock, time);
    if (result == 0 && clock == CLOCK_REALTIME && control && control->clock_offset_nanoseconds) {
        int64_t moved = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec + control->clock_offset_nanoseconds;
        time->tv_sec = moved / 1000000000;
        time->tv_nsec = moved % 1000000000;
    }
    return result;
}
