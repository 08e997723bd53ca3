/* What the probes share. Each probe is a small program that tries one thing with the files it is
 * given and says, when it isn't so, what it expected and what came. */
#ifndef PROBE_H
#define PROBE_H

#define PROBE_OK 0
#define PROBE_FAILED 1

/* Prints "expected ..: got .." and gives PROBE_FAILED. */
int probe_failed(const char *expected, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for a call that failed: the error's name stands for what came. */
int probe_error(const char *call);
/* True, and silent, if the bytes are the same; false after saying where they differ. */
int probe_same(const char *what, const char *expected, const char *got, unsigned long len);

int probe_mmap_read(int argc, char **argv);
int probe_mmap_write(int argc, char **argv);
int probe_mmap_change(int argc, char **argv);
int probe_append(int argc, char **argv);
int probe_unlinked(int argc, char **argv);
int probe_truncate_open(int argc, char **argv);
int probe_positions(int argc, char **argv);
int probe_fallocate(int argc, char **argv);
int probe_punch_hole(int argc, char **argv);
int probe_seek_holes(int argc, char **argv);
int probe_rename_noreplace(int argc, char **argv);
int probe_rename_exchange(int argc, char **argv);
int probe_readdir_seek(int argc, char **argv);
int probe_readdir_remove(int argc, char **argv);
int probe_times(int argc, char **argv);
int probe_fsync(int argc, char **argv);
int probe_open_many(int argc, char **argv);
int probe_direct(int argc, char **argv);
int probe_parallel(int argc, char **argv);
int probe_locks(int argc, char **argv);
int probe_flock_refused(int argc, char **argv);
int probe_flock_wait(int argc, char **argv);
int probe_socket(int argc, char **argv);
int probe_errors(int argc, char **argv);

#endif
