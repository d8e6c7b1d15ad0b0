/*
 * Loaded into the real program by LD_PRELOAD, in tests only. It
 *   - appends a record to a trace for each call that changes a watched file, and for each sync;
 *   - makes the Nth call fail, or kills the program there, as another process asks while it runs.
 *
 * SHIM_FOLDER   files below this folder are watched, and no others
 * SHIM_TRACE    the trace; several processes may append to one (optional)
 * SHIM_CONTROL  a file with one `struct control`, mapped and shared (optional)
 *
 * A call and its record are one step: a mutex orders the threads, a flock on the trace the
 * processes. The calls are made by syscall(2), so nothing here comes back to a function of this
 * file. A call that changed nothing has no record; a failed sync has one, because what it should
 * have written is then neither durable nor tried again. A call that the records can't express is
 * made, and leaves an UNMODELLED record, which stops whoever reads the trace. What is written
 * through the mapping of SQLite's -shm is not seen: it is never durable.
 */
#include "step.h"

/* ---- the functions in front of which this stands ---- */

int openat(int at, const char *name, int flags, ...)
{
    struct file file;
    mode_t mode = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
    }
    if (!of_name(at, name, &file)) return syscall(SYS_openat, at, name, flags, mode);
    int is_new = (flags & O_CREAT) && !file.stat.st_nlink;
    enum verdict verdict = begin(is_new ? CALL_CREATE : CALL_OPEN, file.class);
    /* Another process may have made it while this one waited. */
    is_new = verdict != FAIL && (flags & O_CREAT) && syscall(SYS_faccessat, at, name, F_OK);
    int fd = verdict == FAIL ? -1 : syscall(SYS_openat, at, name, flags, mode);
    if (fd >= 0 && of_descriptor(fd, &file)) {
        if ((flags & O_ACCMODE) != O_RDONLY && flags & (O_DSYNC | O_DIRECT | (O_TMPFILE & ~O_DIRECTORY))) unmodelled("open", &file);
        if (is_new) append_name(CREATE, &file, 0);
        else if (flags & O_TRUNC) append_name(TRUNCATE, &file, 0);
    }
    return end(verdict, fd);
}
int openat64(int, const char *, int, ...) __attribute__((alias("openat")));

int open(const char *name, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return openat(AT_FDCWD, name, flags, mode);
}
int open64(const char *, int, ...) __attribute__((alias("open")));
int creat(const char *name, mode_t mode) { return openat(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *, mode_t) __attribute__((alias("creat")));

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    struct file file;
    if (!of_descriptor(fd, &file)) return syscall(SYS_pwrite64, fd, data, size, at);
    enum verdict verdict = begin(CALL_WRITE, file.class);
    ssize_t wrote = verdict == FAIL ? -1 : syscall(SYS_pwrite64, fd, data, verdict == HALF ? size / 2 : size, at);
    if (wrote > 0) append(WRITE, &file, 0, at, data, wrote, file.name);
    return end(verdict, wrote);
}
ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));

ssize_t write(int fd, const void *data, size_t size)
{
    struct file file;
    if (!of_descriptor(fd, &file)) return syscall(SYS_write, fd, data, size);
    enum verdict verdict = begin(CALL_WRITE, file.class);
    ssize_t wrote = verdict == FAIL ? -1 : syscall(SYS_write, fd, data, verdict == HALF ? size / 2 : size);
    /* Where it stands afterwards is right for O_APPEND too. */
    if (wrote > 0) append(WRITE, &file, 0, syscall(SYS_lseek, fd, 0, SEEK_CUR) - wrote, data, wrote, file.name);
    return end(verdict, wrote);
}

/* Of several pieces the first is written: a short write is what a caller must expect. */
static const struct iovec *piece(const struct iovec *parts, int count)
{
    while (count-- > 1 && !parts->iov_len) parts++;
    return parts;
}
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    struct file file;
    if (!of_descriptor(fd, &file) || count < 1) return syscall(SYS_writev, fd, parts, count);
    return write(fd, piece(parts, count)->iov_base, piece(parts, count)->iov_len);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    struct file file;
    if (!of_descriptor(fd, &file) || count < 1) return syscall(SYS_pwritev, fd, parts, count, (long)at, 0L);
    return pwrite(fd, piece(parts, count)->iov_base, piece(parts, count)->iov_len, at);
}
ssize_t pwritev64(int, const struct iovec *, int, off_t) __attribute__((alias("pwritev")));

int ftruncate(int fd, off_t length)
{
    struct file file;
    if (!of_descriptor(fd, &file)) return syscall(SYS_ftruncate, fd, length);
    enum verdict verdict = begin(CALL_TRUNCATE, file.class);
    int result = verdict == FAIL ? -1 : syscall(SYS_ftruncate, fd, length);
    if (!result) append_name(TRUNCATE, &file, length);
    return end(verdict, result);
}
int ftruncate64(int, off_t) __attribute__((alias("ftruncate")));

/* fdatasync makes no name durable: it has a kind of its own. */
static int sync_by(int kind, long call, int fd)
{
    struct file file;
    if (!of_descriptor(fd, &file)) return syscall(call, fd);
    enum verdict verdict = begin(CALL_SYNC, file.class);
    int result = verdict == FAIL || verdict == LIE ? -1 : syscall(call, fd);
    append(kind, &file, result ? errno : 0, 0, file.name, strlen(file.name), "");
    return end(verdict, verdict == LIE ? 0 : result);
}
int fsync(int fd) { return sync_by(SYNC, SYS_fsync, fd); }
int fdatasync(int fd) { return sync_by(DATASYNC, SYS_fdatasync, fd); }

/* A call with two names. */
static int pair(int kind, uint32_t kind_of_call, long call, int old_at, const char *old, int new_at, const char *new, int flags)
{
    struct file from, to;
    int is_from = of_name(old_at, old, &from), is_to = of_name(new_at, new, &to);
    if (!is_from && !is_to) return syscall(call, old_at, old, new_at, new, flags);
    enum verdict verdict = begin(kind_of_call, is_to ? to.class : from.class);
    int result = verdict == FAIL ? -1 : syscall(call, old_at, old, new_at, new, flags);
    if (!result && (!is_from || !is_to || (kind == RENAME && flags & ~RENAME_NOREPLACE) || S_ISDIR(from.stat.st_mode)))
        unmodelled(kind == RENAME ? "rename" : "link", is_to ? &to : &from);
    else if (!result) append(kind, &from, 0, 0, from.name, strlen(from.name), to.name);
    return end(verdict, result);
}
int rename(const char *old, const char *new) { return pair(RENAME, CALL_RENAME, SYS_renameat2, AT_FDCWD, old, AT_FDCWD, new, 0); }
int renameat(int from, const char *old, int to, const char *new) { return pair(RENAME, CALL_RENAME, SYS_renameat2, from, old, to, new, 0); }
int renameat2(int from, const char *old, int to, const char *new, unsigned flags) { return pair(RENAME, CALL_RENAME, SYS_renameat2, from, old, to, new, flags); }
int link(const char *old, const char *new) { return pair(LINK, CALL_LINK, SYS_linkat, AT_FDCWD, old, AT_FDCWD, new, 0); }
int linkat(int from, const char *old, int to, const char *new, int flags) { return pair(LINK, CALL_LINK, SYS_linkat, from, old, to, new, flags); }

/* A call with one name; `second` is its mode or its flags. */
static int single(int kind, uint32_t kind_of_call, long call, int at, const char *name, unsigned second)
{
    struct file file;
    if (!of_name(at, name, &file)) return syscall(call, at, name, second);
    enum verdict verdict = begin(kind_of_call, kind == MKDIR ? FILE_FOLDER : file.class);
    int result = verdict == FAIL ? -1 : syscall(call, at, name, second);
    if (!result && kind == UNLINK && second & AT_REMOVEDIR) unmodelled("rmdir", &file);
    else if (!result && kind == MKDIR && !of_name(at, name, &file)) unmodelled("mkdir", &file);
    else if (!result) append_name(kind, &file, 0);
    return end(verdict, result);
}
int unlinkat(int at, const char *name, int flags) { return single(UNLINK, CALL_UNLINK, SYS_unlinkat, at, name, flags); }
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }
int mkdirat(int at, const char *name, mode_t mode) { return single(MKDIR, CALL_MKDIR, SYS_mkdirat, at, name, mode); }
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

/* ---- reads and the clock: they have no records, they only fail ---- */

static int is_counted(uint32_t call) { return control && control->armed && control->calls & call; }

ssize_t pread(int fd, void *data, size_t size, off_t at)
{
    struct file file;
    if (!is_counted(CALL_READ) || !of_descriptor(fd, &file)) return syscall(SYS_pread64, fd, data, size, at);
    enum verdict verdict = begin(CALL_READ, file.class);
    return end(verdict, verdict == FAIL ? -1 : syscall(SYS_pread64, fd, data, size, at));
}
ssize_t pread64(int, void *, size_t, off_t) __attribute__((alias("pread")));

ssize_t read(int fd, void *data, size_t size)
{
    struct file file;
    if (!is_counted(CALL_READ) || !of_descriptor(fd, &file)) return syscall(SYS_read, fd, data, size);
    enum verdict verdict = begin(CALL_READ, file.class);
    return end(verdict, verdict == FAIL ? -1 : syscall(SYS_read, fd, data, size));
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    char name[16] = "";
    if (!is_counted(CALL_CLOCK) || prctl(PR_GET_NAME, name) || strcmp(name, "writer")) return syscall(SYS_clock_gettime, clock, time);
    enum verdict verdict = begin(CALL_CLOCK, UINT32_MAX);
    return end(verdict, verdict == FAIL ? -1 : syscall(SYS_clock_gettime, clock, time));
}

/* ---- what the records can't express ---- */

static long blind(const char *call, int fd, long result)
{
    struct file file;
    if (result >= 0 && of_descriptor(fd, &file) && file.class != FILE_SHM) {
        begin(0, 0);
        unmodelled(call, &file);
        end(GO_ON, 0);
    }
    return result;
}

void *mmap(void *where, size_t size, int protection, int flags, int fd, off_t at)
{
    void *result = (void *)syscall(SYS_mmap, where, size, protection, flags, fd, at);
    int writes = (flags & MAP_TYPE) != MAP_PRIVATE && protection & PROT_WRITE;
    if (writes && fd >= 0 && result != MAP_FAILED) blind("mmap", fd, 0);
    return result;
}
void *mmap64(void *, size_t, int, int, int, off_t) __attribute__((alias("mmap")));

ssize_t copy_file_range(int from, off_t *read_at, int to, off_t *write_at, size_t size, unsigned flags)
{
    return blind("copy_file_range", to, syscall(SYS_copy_file_range, from, read_at, to, write_at, size, flags));
}
ssize_t sendfile(int to, int from, off_t *at, size_t size) { return blind("sendfile", to, syscall(SYS_sendfile, to, from, at, size)); }
ssize_t sendfile64(int, int, off_t *, size_t) __attribute__((alias("sendfile")));
int fallocate(int fd, int mode, off_t at, off_t size) { return blind("fallocate", fd, syscall(SYS_fallocate, fd, mode, at, size)); }
int fallocate64(int, int, off_t, off_t) __attribute__((alias("fallocate")));
int posix_fallocate(int fd, off_t at, off_t size) { return fallocate(fd, 0, at, size) ? errno : 0; }
int posix_fallocate64(int, off_t, off_t) __attribute__((alias("posix_fallocate")));
ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int flags)
{
    return blind("pwritev2", fd, syscall(SYS_pwritev2, fd, parts, count, (long)at, 0L, flags));
}
ssize_t pwritev64v2(int, const struct iovec *, int, off_t, int) __attribute__((alias("pwritev2")));
#ifdef SYS_sync_file_range
int sync_file_range(int fd, off_t at, off_t size, unsigned flags) { return blind("sync_file_range", fd, syscall(SYS_sync_file_range, fd, at, size, flags)); }
#endif

static long blind_name(const char *call, const char *name, long result)
{
    int before = errno, fd = syscall(SYS_openat, AT_FDCWD, name, O_PATH | O_CLOEXEC);
    blind(call, fd, result);
    if (fd >= 0) syscall(SYS_close, fd);
    errno = before;
    return result;
}
int truncate(const char *name, off_t length) { return blind_name("truncate", name, syscall(SYS_truncate, name, length)); }
int truncate64(const char *, off_t) __attribute__((alias("truncate")));
/* These sync the watched files too, wherever the descriptor is. */
int syncfs(int fd) { return blind_name("syncfs", folder, syscall(SYS_syncfs, fd)); }
void sync(void) { blind_name("sync", folder, syscall(SYS_sync)); }
