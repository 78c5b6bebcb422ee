// Makes the n-th writing call of a process fail, come up short, or be its last. Preloaded into the process under test.
//
// The seam is the C library, below everything that writes: SQLite, tantivy, hnswlib, Python, uvloop. Calls count when
// they name a path under the prefix or a descriptor of such a file, and (if asked) when they concern Unix sockets.
// What goes around the C library by raw system calls is not seen: the rename of tantivy's `meta.json`.
//
// A fault may strike once, or from the n-th call on ("sticky": a disk that stays full). Which calls count depends on the
// kind of fault: a `write` cannot fail for want of descriptors. They may be limited to one site: one call on one sort of
// file, such as `pwrite index.db-wal`; with n = 0 every call that counts is reported, by its site.

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <initializer_list>

namespace {

enum Call { OPEN = 1, WRITE = 2, SYNC = 4, NAME = 8, SIZE = 16, SOCKET = 32, SEND = 64, READ_OPEN = 128 };
enum Effect { FAIL, SHORT, TORN, KILL };

struct Kind {
  const char *name;
  int calls;
  Effect effect;
  int error;
  bool sticky;
};

const int FILES = OPEN | WRITE | SYNC | NAME | SIZE;
const Kind KINDS[] = {
    {"kill", FILES | SEND, KILL, 0, false},
    {"torn", WRITE | SEND, TORN, 0, false},
    {"short", WRITE | SEND, SHORT, 0, false},
    {"eio", FILES, FAIL, EIO, false},
    {"dead", FILES, FAIL, EIO, true},
    {"enospc", OPEN | WRITE | NAME | SIZE | SYNC, FAIL, ENOSPC, false},
    {"full", OPEN | WRITE | SIZE, FAIL, ENOSPC, true},
    {"short_full", WRITE, SHORT, ENOSPC, true},
    {"eacces", OPEN | READ_OPEN | NAME, FAIL, EACCES, false},
    {"emfile", OPEN | READ_OPEN | SOCKET, FAIL, EMFILE, false},
    {"epipe", SEND, FAIL, EPIPE, false},
};

char prefix[PATH_MAX];
char report[PATH_MAX];
char site[PATH_MAX];
const Kind *kind = nullptr;
long nth = 0;
bool sockets = false;
std::atomic<long> seen{0};
std::atomic<bool> armed{false};
std::atomic<bool> struck{false};
bool to_end = false;  // Armed by environment: report each call.

void tell(const char *call, const char *what) {
  if (!report[0]) return;
  int fd = (int)syscall(SYS_openat, AT_FDCWD, report, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  char line[PATH_MAX + 100];
  int size = snprintf(line, sizeof line, "%ld %s %s\n", seen.load(), call, what);
  syscall(SYS_write, fd, line, (size_t)size);
  syscall(SYS_close, fd);
}

bool under(const char *path) { return strncmp(path, prefix, strlen(prefix)) == 0; }

bool path_of(int fd, char *out) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = syscall(SYS_readlink, link, out, PATH_MAX - 1);
  if (size <= 0) return false;
  out[size] = 0;
  return true;
}

bool is_socket(int fd) {
  struct stat found;
  return sockets && fstat(fd, &found) == 0 && S_ISSOCK(found.st_mode);
}

bool hexadecimal(char c) { return strchr("0123456789abcdef-", c) && c; }

// Whether this is the extension of one of the files of a segment of tantivy, which are all written alike.
bool is_part(const char *extension) {
  for (const char *part : {"fieldnorm", "term", "idx", "pos", "fast", "store"})
    if (!strcmp(extension, part)) return true;
  return false;
}

// `<call> <file below the prefix>`, where numbers, UUIDs and random names are stars: what a call is for.
void site_of(const char *name, const char *path, char *out, size_t size) {
  const char *from = under(path) ? path + strlen(prefix) : path;
  size_t at = (size_t)snprintf(out, size, "%s ", name);
  while (*from && at + 2 < size) {
    const char *to = from;
    bool digits = false;
    if (!strncmp(from, ".tmp", 4)) {
      for (to = from + 4; *to && *to != '/' && *to != '.'; to++) {
      }
      digits = true;
    } else if (at > 1 && out[at - 1] == '.' && out[at - 2] == '*' && is_part(from)) {
      at += (size_t)snprintf(out + at, size - at, "part");
      break;
    } else {
      for (; hexadecimal(*to); to++) digits |= *to >= '0' && *to <= '9';
    }
    if (digits) {
      out[at++] = '*';
      from = to;
    } else {
      out[at++] = *from++;
    }
  }
  out[at] = 0;
}

// Whether this call is struck; `what` is for the report.
bool strikes(int call, const char *name, const char *what) {
  if (!(kind->calls & call)) return false;
  if (struck) {
    if (kind->sticky) ++seen;
    return kind->sticky;
  }
  char own[PATH_MAX];
  if (site[0] || nth == 0) site_of(name, what, own, sizeof own);
  if (site[0] && strcmp(own, site)) return false;
  long number = ++seen;
  if (nth == 0 && to_end) tell("", own);
  if (nth == 0 || number != nth) return false;
  struck = true;
  tell(name, what);
  if (kind->effect == KILL) syscall(SYS_kill, (int)syscall(SYS_getpid), SIGKILL);
  return true;
}

bool strikes_path(int call, const char *name, int dir, const char *path) {
  if (!armed || !path) return false;
  char full[2 * PATH_MAX];
  if (path[0] == '/' || dir == AT_FDCWD) {
    snprintf(full, sizeof full, "%s", path);
  } else {
    char base[PATH_MAX];
    if (!path_of(dir, base)) return false;
    snprintf(full, sizeof full, "%s/%s", base, path);
  }
  return under(full) && strikes(call, name, full);
}

bool strikes_fd(int file_call, int socket_call, const char *name, int fd) {
  if (!armed) return false;
  char path[PATH_MAX];
  if (!path_of(fd, path)) return false;
  if (under(path)) return strikes(file_call, name, path);
  return socket_call && is_socket(fd) && strikes(socket_call, name, path);
}

template <typename F> F real(const char *name) { return reinterpret_cast<F>(dlsym(RTLD_NEXT, name)); }

int fail() {
  errno = kind->error;
  return -1;
}

// What a struck write of `size` bytes does: -1 with errno, or how many bytes to write; after TORN there is no after.
ssize_t portion(size_t size, long number) {
  if (kind->effect == FAIL || (kind->effect == SHORT && number > nth)) return fail();
  return (ssize_t)(size / 2);
}

void torn() {
  if (kind->effect == TORN) syscall(SYS_kill, (int)syscall(SYS_getpid), SIGKILL);
}

int call_of_open(int flags) { return (flags & (O_CREAT | O_WRONLY | O_RDWR | O_TRUNC)) ? OPEN : READ_OPEN; }

mode_t mode_of(int flags, va_list rest) { return (flags & (O_CREAT | __O_TMPFILE)) ? va_arg(rest, mode_t) : 0; }

void arm_kind(const char *name) {
  kind = nullptr;
  for (const Kind &known : KINDS)
    if (!strcmp(known.name, name)) kind = &known;
}

}  // namespace

extern "C" {

// Begin to count; returns 0 if there is no such kind.
int faults_arm(const char *where, const char *kind_name, long number, int with_sockets, const char *report_path) {
  arm_kind(kind_name);
  if (!kind) return 0;
  snprintf(prefix, sizeof prefix, "%s", where);
  snprintf(report, sizeof report, "%s", report_path);
  nth = number;
  sockets = with_sockets;
  seen = 0;
  struck = false;
  armed = true;
  return 1;
}

// Stop; returns how many calls were counted.
long faults_disarm() {
  armed = false;
  return seen;
}

int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_of(flags, rest);
  va_end(rest);
  if (strikes_path(call_of_open(flags), "open", AT_FDCWD, path)) return fail();
  return real<int (*)(const char *, int, mode_t)>("open")(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_of(flags, rest);
  va_end(rest);
  if (strikes_path(call_of_open(flags), "open", AT_FDCWD, path)) return fail();
  return real<int (*)(const char *, int, mode_t)>("open64")(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_of(flags, rest);
  va_end(rest);
  if (strikes_path(call_of_open(flags), "openat", dir, path)) return fail();
  return real<int (*)(int, const char *, int, mode_t)>("openat")(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_of(flags, rest);
  va_end(rest);
  if (strikes_path(call_of_open(flags), "openat", dir, path)) return fail();
  return real<int (*)(int, const char *, int, mode_t)>("openat64")(dir, path, flags, mode);
}

ssize_t write(int fd, const void *data, size_t size) {
  auto next = real<ssize_t (*)(int, const void *, size_t)>("write");
  if (!strikes_fd(WRITE, SEND, "write", fd)) return next(fd, data, size);
  ssize_t part = portion(size, seen);
  if (part <= 0 && kind->effect == FAIL) return part;
  if (part < 0) return part;
  ssize_t done = part ? next(fd, data, (size_t)part) : next(fd, data, size);
  torn();
  return done;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
  auto next = real<ssize_t (*)(int, const void *, size_t, off64_t)>("pwrite64");
  if (!strikes_fd(WRITE, 0, "pwrite", fd)) return next(fd, data, size, at);
  ssize_t part = portion(size, seen);
  if (part < 0) return part;
  ssize_t done = next(fd, data, part ? (size_t)part : size, at);
  torn();
  return done;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
  auto next = real<ssize_t (*)(int, const struct iovec *, int)>("writev");
  if (!strikes_fd(WRITE, SEND, "writev", fd)) return next(fd, parts, count);
  if (portion(2, seen) < 0) return -1;
  struct iovec first = parts[0];
  if (first.iov_len > 1) first.iov_len /= 2;
  ssize_t done = next(fd, &first, 1);
  torn();
  return done;
}

ssize_t send(int fd, const void *data, size_t size, int flags) {
  auto next = real<ssize_t (*)(int, const void *, size_t, int)>("send");
  if (!strikes_fd(SEND, SEND, "send", fd)) return next(fd, data, size, flags);
  ssize_t part = portion(size, seen);
  if (part < 0) return part;
  ssize_t done = next(fd, data, part ? (size_t)part : size, flags);
  torn();
  return done;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  auto next = real<ssize_t (*)(int, const struct msghdr *, int)>("sendmsg");
  if (!strikes_fd(SEND, SEND, "sendmsg", fd)) return next(fd, message, flags);
  if (portion(2, seen) < 0) return -1;
  struct msghdr shorter = *message;
  struct iovec first = message->msg_iov[0];
  if (first.iov_len > 1) first.iov_len /= 2;
  shorter.msg_iov = &first;
  shorter.msg_iovlen = 1;
  ssize_t done = next(fd, &shorter, flags);
  torn();
  return done;
}

int fsync(int fd) {
  if (strikes_fd(SYNC, 0, "fsync", fd)) return fail();
  return real<int (*)(int)>("fsync")(fd);
}

int fdatasync(int fd) {
  if (strikes_fd(SYNC, 0, "fdatasync", fd)) return fail();
  return real<int (*)(int)>("fdatasync")(fd);
}

int ftruncate64(int fd, off64_t size) {
  if (strikes_fd(SIZE, 0, "ftruncate", fd)) return fail();
  return real<int (*)(int, off64_t)>("ftruncate64")(fd, size);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int rename(const char *from, const char *to) {
  if (strikes_path(NAME, "rename", AT_FDCWD, to)) return fail();
  return real<int (*)(const char *, const char *)>("rename")(from, to);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
  if (strikes_path(NAME, "renameat", to_dir, to)) return fail();
  return real<int (*)(int, const char *, int, const char *)>("renameat")(from_dir, from, to_dir, to);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
  if (strikes_path(NAME, "renameat2", to_dir, to)) return fail();
  return real<int (*)(int, const char *, int, const char *, unsigned)>("renameat2")(from_dir, from, to_dir, to, flags);
}

int unlink(const char *path) {
  if (strikes_path(NAME, "unlink", AT_FDCWD, path)) return fail();
  return real<int (*)(const char *)>("unlink")(path);
}

int unlinkat(int dir, const char *path, int flags) {
  if (strikes_path(NAME, "unlinkat", dir, path)) return fail();
  return real<int (*)(int, const char *, int)>("unlinkat")(dir, path, flags);
}

int rmdir(const char *path) {
  if (strikes_path(NAME, "rmdir", AT_FDCWD, path)) return fail();
  return real<int (*)(const char *)>("rmdir")(path);
}

int mkdir(const char *path, mode_t mode) {
  if (strikes_path(NAME, "mkdir", AT_FDCWD, path)) return fail();
  return real<int (*)(const char *, mode_t)>("mkdir")(path, mode);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
  if (strikes_path(NAME, "linkat", to_dir, to)) return fail();
  return real<int (*)(int, const char *, int, const char *, int)>("linkat")(from_dir, from, to_dir, to, flags);
}

int socket(int family, int type, int protocol) {
  if (armed && sockets && family == AF_UNIX && strikes(SOCKET, "socket", "unix")) return fail();
  return real<int (*)(int, int, int)>("socket")(family, type, protocol);
}

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags) {
  if (armed && sockets && strikes(SOCKET, "accept4", "unix")) return fail();
  return real<int (*)(int, struct sockaddr *, socklen_t *, int)>("accept4")(fd, address, size, flags);
}

// Arm by environment, in the process whose parent is named: not in the workers that a daemon starts.
__attribute__((constructor)) static void begin() {
  const char *parent = getenv("FAULTS_PARENT");
  if (!parent || atoi(parent) != (int)getppid()) return;
  const char *where = getenv("FAULTS_PREFIX"), *name = getenv("FAULTS_KIND"), *number = getenv("FAULTS_NTH");
  const char *to = getenv("FAULTS_REPORT"), *only = getenv("FAULTS_SITE");
  if (only) snprintf(site, sizeof site, "%s", only);
  to_end = true;
  if (where && name && number && to) faults_arm(where, name, atol(number), 1, to);
}

}  // extern "C"
