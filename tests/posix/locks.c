/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks of fcntl(2), of processes and of open files, and of flock(2). */
#include "posix.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Another process, which does what it is told: one task after the other, each with a result. */
struct task {
  enum { SET, WAIT, WAIT_OR_GIVE_UP, FLOCK, CLOSE, CLOSE_OTHER } what;
  short type;
  int start, len;
};

struct other {
  pid_t pid;
  int to, from;
};

static struct flock range(short type, int start, int len) {
  return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
}

static long set(int fd, int cmd, short type, int start, int len) {
  struct flock fl = range(type, start, len);
  return e(fcntl(fd, cmd, &fl));
}

static long do_task(const struct task *t, int fd, int *other) {
  switch (t->what) {
  case SET:
    return set(fd, F_SETLK, t->type, t->start, t->len);
  case WAIT:
    return set(fd, F_SETLKW, t->type, t->start, t->len);
  case WAIT_OR_GIVE_UP: {
    long rc = set(fd, F_SETLKW, t->type, t->start, t->len);
    if (rc == -EDEADLK)
      set(fd, F_SETLK, F_UNLCK, 0, 0);
    return rc;
  }
  case FLOCK:
    return e(flock(fd, t->type));
  case CLOSE:
    return e(close(fd));
  default:
    return e(close(*other));
  }
}

static void on_alarm(int signal) {
  (void)signal; /* only that a wait ends */
}

static void serve(const char *path, int from, int to) {
  int fd = open(path, O_RDWR), second = open(path, O_RDONLY);
  struct task t;
  struct sigaction action = {.sa_handler = on_alarm};
  sigaction(SIGALRM, &action, NULL);
  while (read(from, &t, sizeof t) == sizeof t) {
    long rc = do_task(&t, fd, &second);
    if (write(to, &rc, sizeof rc) != sizeof rc)
      break;
  }
  _exit(0);
}

static struct other start(const char *path) {
  int to[2], from[2];
  struct other o = {.pid = -1};
  IS(e(pipe2(to, O_CLOEXEC)) | e(pipe2(from, O_CLOEXEC)), 0);
  o.pid = fork();
  if (o.pid == 0) {
    close(to[1]);
    close(from[0]);
    serve(path, to[0], from[1]);
  }
  close(to[0]);
  close(from[1]);
  o.to = to[1];
  o.from = from[0];
  return o;
}

static void begin(struct other *o, struct task t) {
  IS(e(write(o->to, &t, sizeof t)), sizeof t);
}

static long result(struct other *o) {
  long rc = -EIO;
  return read(o->from, &rc, sizeof rc) == sizeof rc ? rc : -EIO;
}

static long ask(struct other *o, struct task t) {
  begin(o, t);
  return result(o);
}

static void end(struct other *o) {
  close(o->to);
  close(o->from);
  kill(o->pid, SIGKILL); /* others may have inherited its pipe, so it would not see the end */
  IS(waitpid(o->pid, NULL, 0) == o->pid, 1);
}

/* The process is in its task's system call: so it waits for a lock, or will as soon as its turn comes. */
static void is_waiting(const struct other *o) {
  char path[64];
  long number = -1;
  snprintf(path, sizeof path, "/proc/%d/syscall", o->pid);
  while (number != SYS_fcntl && number != SYS_flock) {
    FILE *f = fopen(path, "re");
    if (f == NULL)
      break;
    if (fscanf(f, "%ld", &number) != 1)
      number = -1; /* running */
    fclose(f);
  }
}

static void between_processes(void) {
  topic("F_SETLK");
  IS(file("l", 0644), 0);
  int fd = open("l", O_RDWR);
  struct other o = start("l");
  IS(set(fd, F_SETLK, F_WRLCK, 10, 10), 0);
  IS(ask(&o, (struct task){SET, F_RDLCK, 15, 1}), -EAGAIN);
  IS(ask(&o, (struct task){SET, F_WRLCK, 20, 5}), 0);
  IS(set(fd, F_SETLK, F_WRLCK, 0, 0), -EAGAIN);
  IS(set(fd, F_SETLK, F_RDLCK, 10, 5), 0);
  IS(ask(&o, (struct task){SET, F_RDLCK, 0, 15}), 0);
  IS(ask(&o, (struct task){SET, F_RDLCK, 0, 16}), -EAGAIN);
  IS(set(fd, F_SETLK, F_UNLCK, 12, 100), 0);
  IS(ask(&o, (struct task){SET, F_WRLCK, 12, 0}), 0);
  IS(set(fd, F_SETLK, F_RDLCK, 1000000, 1), -EAGAIN);
  topic("F_GETLK");
  struct flock fl = range(F_WRLCK, 0, 0);
  IS(e(fcntl(fd, F_GETLK, &fl)), 0);
  IS(fl.l_type, F_RDLCK);
  IS(fl.l_pid == o.pid, 1);
  IS(fl.l_start, 0);
  IS(fl.l_len, 12);
  fl = range(F_RDLCK, 5, 0);
  IS(e(fcntl(fd, F_GETLK, &fl)), 0);
  IS(fl.l_type, F_WRLCK);
  IS(fl.l_start, 12);
  IS(fl.l_len, 0);
  fl = range(F_RDLCK, 0, 12);
  IS(e(fcntl(fd, F_GETLK, &fl)), 0);
  IS(fl.l_type, F_UNLCK);
  topic("closing any descriptor");
  IS(ask(&o, (struct task){.what = CLOSE_OTHER}), 0);
  IS(set(fd, F_SETLK, F_WRLCK, 0, 0), 0);
  IS(ask(&o, (struct task){SET, F_RDLCK, 0, 1}), -EAGAIN);
  end(&o);
  topic("what can't be");
  IS(set(fd, F_SETLK, 77, 0, 0), -EINVAL);
  IS(set(fd, F_SETLK, F_RDLCK, -1, 0), -EINVAL);
  close(fd);
  fd = open("l", O_RDONLY);
  IS(set(fd, F_SETLK, F_WRLCK, 0, 0), -EBADF);
  IS(set(fd, F_SETLK, F_RDLCK, 0, 0), 0);
  close(fd);
}

static void waiting(void) {
  topic("F_SETLKW");
  int fd = open("l", O_RDWR);
  struct other o = start("l"), p = start("l");
  IS(set(fd, F_SETLK, F_WRLCK, 0, 10), 0);
  begin(&o, (struct task){WAIT, F_WRLCK, 5, 10});
  is_waiting(&o);
  IS(set(fd, F_SETLK, F_UNLCK, 0, 0), 0);
  IS(result(&o), 0);
  IS(set(fd, F_SETLK, F_RDLCK, 14, 1), -EAGAIN);
  begin(&p, (struct task){WAIT, F_WRLCK, 0, 0});
  is_waiting(&p);
  IS(ask(&o, (struct task){.what = CLOSE}), 0);
  IS(result(&p), 0);
  IS(set(fd, F_SETLK, F_RDLCK, 100, 1), -EAGAIN);
  topic("a holder that dies");
  begin(&o, (struct task){WAIT, F_WRLCK, 0, 0});
  IS(result(&o), -EBADF);
  end(&o);
  o = start("l");
  begin(&o, (struct task){WAIT, F_RDLCK, 0, 0});
  is_waiting(&o);
  IS(e(kill(p.pid, SIGKILL)), 0);
  IS(result(&o), 0);
  end(&p);
  end(&o);
  close(fd);
}

/* Of its own, as a virtual machine's Linux doesn't tell the server, and the program waits on. */
void test_interrupt(void) {
  IS(file("l", 0644), 0);
  int fd = open("l", O_RDWR);
  struct other o = start("l");
  topic("a signal");
  IS(set(fd, F_SETLK, F_WRLCK, 0, 0), 0);
  begin(&o, (struct task){WAIT, F_RDLCK, 0, 0});
  is_waiting(&o);
  IS(e(kill(o.pid, SIGALRM)), 0);
  IS(result(&o), -EINTR);
  IS(set(fd, F_SETLK, F_UNLCK, 0, 0), 0);
  IS(ask(&o, (struct task){SET, F_WRLCK, 0, 0}), 0);
  end(&o);
  close(fd);
}

static void rings(void) {
  topic("two who wait for each other");
  int fd = open("l", O_RDWR);
  struct other o = start("l");
  IS(set(fd, F_SETLK, F_WRLCK, 0, 1), 0);
  IS(ask(&o, (struct task){SET, F_WRLCK, 1, 1}), 0);
  begin(&o, (struct task){WAIT_OR_GIVE_UP, F_WRLCK, 0, 1});
  is_waiting(&o);
  /* Whoever comes second is told, which need not be us: he may be on his way. Then he gives up what he has for us. */
  long ours = set(fd, F_SETLKW, F_WRLCK, 1, 1), first = ours;
  if (ours == 0)
    first = result(&o);
  IS(first, -EDEADLK);
  IS(set(fd, F_SETLK, F_UNLCK, 0, 0), 0);
  IS(ours == 0 ? 0 : result(&o), 0);
  end(&o);
  close(fd);
}

static void open_files(void) {
  topic("F_OFD_SETLK");
  struct other o = start("l"); /* first, or it would have our open files too */
  int one = open("l", O_RDWR), two = open("l", O_RDWR), dup_of_one = dup(one);
  IS(set(one, F_OFD_SETLK, F_WRLCK, 0, 10), 0);
  IS(set(two, F_OFD_SETLK, F_WRLCK, 5, 1), -EAGAIN);
  IS(set(dup_of_one, F_OFD_SETLK, F_WRLCK, 5, 1), 0);
  IS(set(two, F_SETLK, F_RDLCK, 5, 1), -EAGAIN);
  IS(ask(&o, (struct task){SET, F_RDLCK, 5, 1}), -EAGAIN);
  begin(&o, (struct task){WAIT, F_RDLCK, 5, 1});
  is_waiting(&o);
  close(two);
  two = open("l", O_RDWR);
  close(one); /* not the last of that open file */
  IS(set(two, F_OFD_SETLK, F_RDLCK, 0, 1), -EAGAIN);
  close(dup_of_one);
  IS(result(&o), 0);
  IS(set(two, F_OFD_SETLKW, F_WRLCK, 6, 0), 0);
  IS(set(two, F_OFD_SETLK, F_WRLCK, 5, 1), -EAGAIN);
  end(&o);
  IS(set(two, F_OFD_SETLK, F_UNLCK, 0, 0), 0); /* the last close(2) of an open file doesn't wait until its locks go */
  close(two);
}

static void whole_files(void) {
  topic("flock");
  struct other o = start("l"), p = start("l");
  int one = open("l", O_RDWR), two = open("l", O_RDONLY), dup_of_one = dup(one);
  IS(e(flock(one, LOCK_EX)), 0);
  IS(e(flock(two, LOCK_SH | LOCK_NB)), -EAGAIN);
  IS(e(flock(dup_of_one, LOCK_EX | LOCK_NB)), 0);
  IS(ask(&o, (struct task){FLOCK, LOCK_SH | LOCK_NB, 0, 0}), -EAGAIN);
  IS(set(two, F_SETLK, F_RDLCK, 0, 0), 0);
  IS(e(flock(one, LOCK_SH)), 0);
  IS(e(flock(two, LOCK_SH | LOCK_NB)), 0);
  IS(e(flock(two, LOCK_EX | LOCK_NB)), -EAGAIN);
  begin(&o, (struct task){FLOCK, LOCK_EX, 0, 0});
  is_waiting(&o);
  close(one);
  IS(e(flock(two, LOCK_UN)), 0);
  IS(e(flock(dup_of_one, LOCK_UN)), 0);
  IS(result(&o), 0);
  IS(e(flock(two, LOCK_SH | LOCK_NB)), -EAGAIN);
  end(&o);
  IS(e(flock(two, LOCK_EX)), 0);
  begin(&p, (struct task){FLOCK, LOCK_SH, 0, 0});
  is_waiting(&p);
  close(two); /* the last of it */
  IS(result(&p), 0);
  end(&p);
  close(dup_of_one);
}

void test_locks(void) {
  between_processes();
  waiting();
  rings();
  open_files();
  whole_files();
}
