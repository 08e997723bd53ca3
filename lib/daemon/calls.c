/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/calls.h"

#include <stddef.h>

const char *const virtiofs_daemon_calls[] = {
    /* of files: what the passthrough backend does for a guest */
    "close", "copy_file_range", "fallocate", "fchmod", "fchmodat", "fchown", "fchown32", "fchownat", "fdatasync",
    "fgetxattr", "flistxattr", "flock", "fremovexattr", "fsetxattr", "fstat", "fstat64", "fstatat64", "fstatfs",
    "fstatfs64", "fsync", "ftruncate", "ftruncate64", "getdents", "getdents64", "getxattr", "lgetxattr", "linkat",
    "listxattr", "llistxattr", "lremovexattr", "lseek", "_llseek", "lsetxattr", "mkdirat", "mknodat",
    "name_to_handle_at", "newfstatat", "open", "open_by_handle_at", "openat", "openat2", "pread64", "preadv", "preadv2",
    "pwrite64", "pwritev", "pwritev2", "read", "readlinkat", "readv", "removexattr", "renameat", "renameat2",
    "setxattr", "statfs", "statfs64", "statx", "symlinkat", "sync_file_range", "sync_file_range2", "syncfs", "unlinkat",
    "utimensat", "utimensat_time64", "write", "writev",
    /* its socket's, without a parent that does it */
    "unlink",
    /* of ids: a thread acts as a guest's user */
    "capget", "capset", "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32", "getgroups",
    "getgroups32", "getresgid", "getresgid32", "getresuid", "getresuid32", "getuid", "getuid32", "setgroups",
    "setgroups32", "setresgid", "setresgid32", "setresuid", "setresuid32",
    /* of descriptors to wait for */
    "dup", "dup2", "dup3", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd2", "memfd_create",
    "pipe2", "poll", "ppoll", "ppoll_time64", "timerfd_create", "timerfd_gettime", "timerfd_gettime64",
    "timerfd_settime", "timerfd_settime64",
    /* of sockets that are there already: front-ends, those who ask for metrics, the log */
    "accept", "accept4", "getpeername", "getsockname", "getsockopt", "recv", "recvfrom", "recvmsg", "send", "sendmsg",
    "sendto", "setsockopt", "shutdown", "socketcall",
    /* of memory */
    "brk", "madvise", "mremap", "munmap",
    /* of threads, time and the process */
    "clock_getres", "clock_getres_time64", "clock_gettime", "clock_gettime64", "clock_nanosleep",
    "clock_nanosleep_time64", "exit", "exit_group", "futex", "futex_time64", "getcpu", "getpid", "getrandom",
    "getrlimit", "getrusage", "gettid", "gettimeofday", "membarrier", "nanosleep", "restart_syscall", "rseq",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64",
    "sched_getaffinity", "sched_yield", "set_robust_list", "sigaltstack", "sigreturn", "sysinfo", "time", "ugetrlimit",
    "umask", "uname", NULL};

/* realpath(3) of where it is, and the kernel's end of the mount. */
const char *const virtiofs_daemon_calls_to_mount[] = {"getcwd",   "ioctl", "lstat",  "lstat64", "mount",
                                                      "readlink", "stat",  "stat64", "umount2", NULL};

/* One that a dead server has left is tried, and its process looked for. */
const char *const virtiofs_daemon_calls_to_listen[] = {"bind",   "chmod",    "chown",  "chown32", "connect", "kill",
                                                       "lchown", "lchown32", "listen", "socket",  NULL};

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

const char *const virtiofs_daemon_calls_of_sanitizers[] = {
#ifdef SANITIZED
    "access",    "arch_prctl", "clone",    "faccessat",     "faccessat2",     "getppid",     "ioctl",  "kill",
    "mincore",   "mmap",       "mmap2",    "mprotect",      "msync",          "personality", "pipe",   "prctl",
    "prlimit64", "ptrace",     "readlink", "rt_sigpending", "sched_getparam", "stat",        "waitid", "wait4",
#endif
    NULL};

const char *const virtiofs_daemon_calls_not_there[] = {"clone3",     "close_range", "epoll_pwait2",
                                                       "faccessat2", "futex_waitv", NULL};
