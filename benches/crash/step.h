/*
 * What stands around each call of shim.c: the layouts of the trace and of the control, which file
 * is meant, the lock, the record, and what another process has asked to befall the call.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Kinds of records; trace.rs has the same numbers. */
enum { CREATE = 1, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, LINK, MKDIR, UNMODELLED, DATASYNC };

/* A record, followed by `first` and `second` bytes: names relative to the folder ("" is the folder
 * itself). CREATE, MKDIR, UNLINK, SYNC, DATASYNC,
 * TRUNCATE: name. RENAME, LINK: old and new name. WRITE: the
 * bytes, then the name. UNMODELLED: the call, then the name. */
struct record {
    uint32_t length;         /* of all of it */
    uint16_t kind, error;    /* errno of a SYNC or DATASYNC that failed, else 0 */
    uint64_t device, inode;  /* of the file */
    uint64_t offset;         /* WRITE: where; TRUNCATE: the new length */
    uint32_t first, second;
};

/* What another process writes: everything but `armed` first. shim.rs has the same layout. */
struct control {
    uint32_t armed;          /* 0: nothing is counted, nothing happens */
    uint32_t calls;          /* which calls count: a mask of CALL_ */
    uint32_t files;          /* on which files: a mask of FILE_ */
    uint32_t action;         /* an ACTION_ */
    uint32_t error;          /* errno of the failure */
    uint32_t sticky;         /* 0: the Nth call only; 1: each one from the Nth on */
    uint64_t nth;            /* counted from 1 */
    uint64_t seen, hits;     /* written here: calls that counted, and what befell them */
};
enum { CALL_OPEN = 1, CALL_CREATE = 2, CALL_WRITE = 4, CALL_TRUNCATE = 8, CALL_SYNC = 16,
       CALL_RENAME = 32, CALL_UNLINK = 64, CALL_LINK = 128, CALL_MKDIR = 256, CALL_READ = 512,
       CALL_CLOCK = 1024 /* clock_gettime of the thread called "writer"; of no file */ };
enum { FILE_DATABASE = 1 /* also while it is being made */, FILE_LOG = 2 /* -wal */, FILE_SHM = 4,
       FILE_JOURNAL = 8, FILE_FOLDER = 16, FILE_OTHER = 32 };
enum { ACTION_FAIL = 1, ACTION_HALF = 2 /* half is written; the next call fails */,
       ACTION_KILL_BEFORE = 3, ACTION_KILL_AFTER = 4,
       ACTION_LIE = 5 /* a sync does nothing and says that it did; its record says that it failed */ };

/* A watched file of this moment. */
struct file { char path[PATH_MAX + 16]; const char *name; uint32_t class; struct stat stat; };

static char folder[PATH_MAX];
static int ready, trace = -1, lock = -1;
static volatile struct control *control;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void give_up(const char *why)
{
    fprintf(stderr, "shim: %s: %s\n", why, strerror(errno));
    abort();
}

static int open_for_all(const char *path, int flags)
{
    int fd = syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC | O_CREAT, 0600);
    if (fd < 0) give_up(path);
    return fd;
}

__attribute__((constructor)) static void start(void)
{
    const char *watched = getenv("SHIM_FOLDER"), *traced = getenv("SHIM_TRACE");
    const char *controlled = getenv("SHIM_CONTROL");
    if (!watched) return;
    if (!realpath(watched, folder)) give_up(watched);
    if (traced) lock = trace = open_for_all(traced, O_WRONLY | O_APPEND);
    if (controlled) {
        int fd = open_for_all(controlled, O_RDWR);
        if (syscall(SYS_ftruncate, fd, sizeof *control)) give_up(controlled);
        control = (void *)syscall(SYS_mmap, NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (control == MAP_FAILED) give_up(controlled);
        if (lock < 0) lock = fd;
    }
    ready = 1;
}

/* Completes a file whose path is known; 0 where it is not watched. */
static int classify(struct file *file)
{
    size_t length = strlen(folder);
    if (strncmp(file->path, folder, length) || (file->path[length] && file->path[length] != '/')) return 0;
    file->name = file->path + length + (file->path[length] == '/');
    char *deleted = strstr(file->path, " (deleted)");
    if (deleted) *deleted = 0;
    static const struct { const char *suffix; uint32_t class; } classes[] = {
        { ".db", FILE_DATABASE }, { ".unfinished", FILE_DATABASE }, { "-wal", FILE_LOG },
        { "-shm", FILE_SHM }, { "-journal", FILE_JOURNAL } };
    file->class = S_ISDIR(file->stat.st_mode) ? FILE_FOLDER : FILE_OTHER;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        size_t is = strlen(file->path), wants = strlen(classes[i].suffix);
        if (is >= wants && !strcmp(file->path + is - wants, classes[i].suffix)) file->class = classes[i].class;
    }
    return 1;
}

/* The watched file behind a descriptor. */
static int of_descriptor(int fd, struct file *file)
{
    char link[64];
    if (!ready || fd < 0) return 0;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, file->path, PATH_MAX);
    int found = length > 0 && file->path[0] == '/' && !fstat(fd, &file->stat);
    if (found) file->path[length] = 0;
    errno = before;
    return found && classify(file);
}

/* The watched file of a name, which need not be there (then st_nlink is 0). Links in the folders
 * are followed, and not one at the end. */
static int of_name(int at, const char *name, struct file *file)
{
    char whole[PATH_MAX * 2], parent[PATH_MAX + 8], *last;
    if (!ready) return 0;
    int before = errno, found = 0;
    if (name[0] == '/' || at == AT_FDCWD) snprintf(whole, sizeof whole, "%s%s", name[0] == '/' ? "" : "./", name);
    else snprintf(whole, sizeof whole, "/proc/self/fd/%d/%s", at, name);
    memset(&file->stat, 0, sizeof file->stat);
    if (!lstat(whole, &file->stat) && S_ISDIR(file->stat.st_mode)) {
        found = realpath(whole, file->path) != NULL;
    } else if ((last = strrchr(whole, '/'))) {
        *last = 0;
        found = realpath(*whole ? whole : "/", parent) != NULL;
        if (found) snprintf(file->path, sizeof file->path, "%.*s/%s", PATH_MAX - 300, parent, last + 1);
    }
    errno = before;
    return found && classify(file);
}

static void append(int kind, const struct file *file, int error, uint64_t offset,
                   const void *first, size_t first_size, const char *second)
{
    struct record record = { 0, kind, error, file->stat.st_dev, file->stat.st_ino, offset, first_size, strlen(second) };
    struct iovec parts[] = { { &record, sizeof record }, { (void *)first, first_size },
                             { (void *)second, record.second } };
    int before = errno;
    record.length = sizeof record + record.first + record.second;
    /* A write may be short (a disk that is full for a moment): the rest follows. */
    for (uint32_t done = 0; trace >= 0 && done < record.length;) {
        long wrote = syscall(SYS_writev, trace, parts, 3);
        if (wrote < 0 && errno != EINTR) give_up("the trace");
        done += wrote > 0 ? wrote : 0;
        for (int i = 0; wrote > 0 && i < 3; i++) {
            size_t taken = (size_t)wrote < parts[i].iov_len ? (size_t)wrote : parts[i].iov_len;
            parts[i].iov_base = (char *)parts[i].iov_base + taken;
            parts[i].iov_len -= taken;
            wrote -= taken;
        }
    }
    errno = before;
}

static void append_name(int kind, const struct file *file, uint64_t offset)
{
    append(kind, file, 0, offset, file->name, strlen(file->name), "");
}

static void unmodelled(const char *call, const struct file *file)
{
    append(UNMODELLED, file, 0, 0, call, strlen(call), file->name);
}

static void die(void)
{
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

/* Begins a step: takes the locks, counts the call and says what is to befall it. */
enum verdict { GO_ON, FAIL, HALF, KILL_AFTER, LIE };
static enum verdict begin(uint32_t call, uint32_t class)
{
    pthread_mutex_lock(&mutex);
    while (lock >= 0 && syscall(SYS_flock, lock, LOCK_EX) && errno == EINTR);
    if (!control || !control->armed || !(control->calls & call) || !(control->files & class)) return GO_ON;
    uint64_t seen = ++control->seen, nth = control->nth;
    int rest = control->action == ACTION_HALF && seen == nth + 1;
    if (seen != nth && !rest && !(control->sticky && seen > nth)) return GO_ON;
    control->hits++;
    switch (control->action) {
    case ACTION_KILL_BEFORE: die(); /* fall through */
    case ACTION_KILL_AFTER: return KILL_AFTER;
    case ACTION_HALF: if (seen == nth) return HALF; /* fall through */
    default: errno = control->error; return control->action == ACTION_LIE ? LIE : FAIL;
    }
}

static long end(enum verdict verdict, long result)
{
    int before = errno;
    if (verdict == KILL_AFTER) die();
    if (lock >= 0) syscall(SYS_flock, lock, LOCK_UN);
    pthread_mutex_unlock(&mutex);
    errno = before;
    return result;
}
