#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Who sees what when: one mount of a share looks, another one or the host changes something.

    modes.py WHO HOST HERE THERE

HOST is the shared directory, HERE and THERE are two mounts of it with one cache mode. Each line is a cell of the tables
in docs/cache-modes.md; WHO is a column there. TAP on standard output, status 0 if all is as the table says.

Calls are the bare ones: a stat of a file that was read since the last one has the guest ask anew, and much of Python asks
for one in passing.
"""
import contextlib
import ctypes
import errno
import mmap
import os
import sys
import time

NOW, SECOND, KEPT, REFUSED = "at once", "within a second", "not for a day", "refused"
DEADLINE = 100

#          what                     never    auto     metadata  always   writeback
TABLE = {
    "size": (NOW, SECOND, KEPT, KEPT, KEPT),
    "time": (NOW, SECOND, KEPT, KEPT, KEPT),
    "mode": (NOW, SECOND, KEPT, KEPT, SECOND),
    "owner": (NOW, SECOND, KEPT, KEPT, SECOND),
    "contents, opened again": (NOW, NOW, NOW, KEPT, NOW),
    "contents, held open": (NOW, SECOND, NOW, KEPT, KEPT),
    "what is appended, opened again": (NOW, SECOND, NOW, KEPT, KEPT),
    "contents, mapped": (REFUSED, KEPT, REFUSED, KEPT, KEPT),
    "contents, mapped again": (REFUSED, NOW, REFUSED, KEPT, NOW),
    "a new name": (NOW, NOW, NOW, NOW, NOW),
    "a name that is gone": (NOW, SECOND, KEPT, KEPT, SECOND),
    "another file of that name": (NOW, SECOND, KEPT, KEPT, SECOND),
    "a new name in a listing": (NOW, NOW, KEPT, KEPT, NOW),
}
COLUMNS = ["never", "auto", "metadata", "always", "writeback", "never-mmap", "metadata-mmap"]
#          what it writes others see
OWN = {
    "written": (NOW, NOW, NOW, NOW, KEPT),
    "written and closed": (NOW, NOW, NOW, NOW, NOW),
    "written and synced": (NOW, NOW, NOW, NOW, NOW),
    "truncated": (NOW, NOW, NOW, NOW, NOW),
    "mapped, changed and synced": (REFUSED, NOW, REFUSED, NOW, NOW),
}
MAPPED = {"contents, mapped": KEPT, "contents, mapped again": NOW, "mapped, changed and synced": NOW}


def expected(table, what, column):
    """Of a column that allows mapping what is not its own in the table."""
    if column.endswith("-mmap"):
        return MAPPED.get(what, table[what][COLUMNS.index(column.removesuffix("-mmap"))])
    return table[what][COLUMNS.index(column)]


def put(path, text, flags=os.O_TRUNC):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o644)
    try:
        os.write(fd, text)
    finally:
        os.close(fd)


def get(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


@contextlib.contextmanager
def opened(path):
    fd = os.open(path, os.O_RDWR)
    try:
        yield fd
    finally:
        os.close(fd)


class Refused(Exception):
    """There is no such thing here."""


LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
LIBC.msync.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
PAGE, MS_SYNC = 4096, 4


@contextlib.contextmanager
def map_shared(fd):
    """The bytes of a page."""
    at = LIBC.mmap(None, PAGE, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd, 0)
    if at == ctypes.c_void_p(-1).value:
        raise Refused() if ctypes.get_errno() == errno.ENODEV else OSError(ctypes.get_errno(), "mmap")
    try:
        yield (ctypes.c_char * PAGE).from_address(at)
    finally:
        LIBC.munmap(at, PAGE)


def later(look, new, want):
    """How late look() gives @new, if not at once. The day is not waited for: what lasts longer than a second is it."""
    end = time.monotonic() + (1.3 if want == KEPT else DEADLINE)
    while time.monotonic() < end:
        if look() == new:
            return SECOND
        time.sleep(0.02)
    return KEPT


class Cells:
    """What is looked at by @here, and changed by @there."""

    def __init__(self, here, there, want):
        self.here, self.there, self.want = here, there, want
        self.looked = time.monotonic() # when what was changed was looked at first

    def when(self, look, old, new):
        """How late look() gives @new; it has been @old."""
        got = look()
        self.looked = time.monotonic()
        if got == new:
            return NOW
        if got != old:
            return f"{got!r}, which is neither {old!r} nor {new!r}"
        return later(look, new, self.want)

    def of_file(self, name, look, change, old, new):
        put(os.path.join(self.there, name), b"old")
        seen = os.path.join(self.here, name)
        if look(seen) != old:
            return f"{look(seen)!r} at first"
        change(os.path.join(self.there, name))
        return self.when(lambda: look(seen), old, new)

    def size(self):
        return self.of_file("size", lambda p: os.stat(p).st_size, lambda p: put(p, b"newer"), 3, 5)

    def time(self):
        def age(path):
            os.utime(path, (1000, 1000))
        put(os.path.join(self.there, "time"), b"old")
        old = os.stat(os.path.join(self.here, "time")).st_mtime
        age(os.path.join(self.there, "time"))
        return self.when(lambda: os.stat(os.path.join(self.here, "time")).st_mtime, old, 1000)

    def mode(self):
        return self.of_file("mode", lambda p: os.stat(p).st_mode & 0o777, lambda p: os.chmod(p, 0o600), 0o644, 0o600)

    def owner(self):
        return self.of_file("owner", lambda p: os.stat(p).st_uid, lambda p: os.chown(p, 1234, 1234), os.geteuid(), 1234)

    def contents_opened_again(self):
        return self.of_file("again", get, lambda p: put(p, b"new", 0), b"old", b"new")

    def contents_held_open(self):
        put(os.path.join(self.there, "held"), b"old")
        with opened(os.path.join(self.here, "held")) as fd:
            if os.pread(fd, 3, 0) != b"old":
                return "not even old"
            put(os.path.join(self.there, "held"), b"new", 0)
            return self.when(lambda: os.pread(fd, 3, 0), b"old", b"new")

    def what_is_appended_opened_again(self):
        return self.of_file("appended", get, lambda p: put(p, b"er", os.O_APPEND), b"old", b"older")

    def first_of_map(self, name):
        with opened(os.path.join(self.here, name)) as fd, map_shared(fd) as page:
            return page[:3]

    def contents_mapped(self):
        put(os.path.join(self.there, "mapped"), b"old" + bytes(PAGE - 3))
        with opened(os.path.join(self.here, "mapped")) as fd, map_shared(fd) as page:
            if page[:3] != b"old":
                return "not even old"
            put(os.path.join(self.there, "mapped"), b"new", 0)
            return self.when(lambda: page[:3], b"old", b"new")

    def contents_mapped_again(self):
        put(os.path.join(self.there, "remapped"), b"old" + bytes(PAGE - 3))
        if self.first_of_map("remapped") != b"old":
            return "not even old"
        put(os.path.join(self.there, "remapped"), b"new", 0)
        return self.when(lambda: self.first_of_map("remapped"), b"old", b"new")

    def a_new_name(self):
        seen = os.path.join(self.here, "name")
        if os.path.exists(seen):
            return "there at first"
        put(os.path.join(self.there, "name"), b"")
        return self.when(lambda: os.path.exists(seen), False, True)

    def a_name_that_is_gone(self):
        return self.of_file("gone", os.path.exists, os.unlink, True, False)

    def another_file_of_that_name(self):
        other = os.path.join(self.there, "other")
        put(other, b"another")
        return self.of_file("replaced", lambda p: os.stat(p).st_size, lambda p: os.rename(other, p), 3, 7)

    def a_new_name_in_a_listing(self):
        where = os.path.join(self.there, "dir")
        os.mkdir(where)
        put(os.path.join(where, "one"), b"")
        seen = os.path.join(self.here, "dir")
        for _ in range(3): # the first asks for attributes as it goes, and is not kept
            if os.listdir(seen) != ["one"]:
                return "not one at first"
        put(os.path.join(where, "two"), b"")
        return self.when(lambda: sorted(os.listdir(seen)), ["one"], ["one", "two"])

    # What is done here is seen on the host, which keeps nothing.

    def done(self, name, act):
        put(os.path.join(self.there, name), b"old" + bytes(4093))
        with opened(os.path.join(self.here, name)) as fd:
            act(fd)
            return self.when(lambda: get(os.path.join(self.there, name))[:3], b"old", b"new")

    def written(self):
        return self.done("written", lambda fd: os.pwrite(fd, b"new", 0))

    def written_and_closed(self):
        def act(fd):
            os.pwrite(fd, b"new", 0)
            os.close(os.dup(fd)) # close(2) of any descriptor
        return self.done("closed", act)

    def written_and_synced(self):
        def act(fd):
            os.pwrite(fd, b"new", 0)
            os.fsync(fd)
        return self.done("synced", act)

    def truncated(self):
        def act(fd):
            os.ftruncate(fd, 2)
        put(os.path.join(self.there, "cut"), b"old")
        with opened(os.path.join(self.here, "cut")) as fd:
            act(fd)
            return self.when(lambda: get(os.path.join(self.there, "cut")), b"old", b"ol")

    def mapped_changed_and_synced(self):
        def act(fd):
            with map_shared(fd) as page:
                page[:3] = b"new"
                if LIBC.msync(ctypes.addressof(page), PAGE, MS_SYNC) != 0:
                    raise OSError(ctypes.get_errno(), "msync")
        return self.done("flushed", act)


def result(cells, what):
    try:
        return getattr(cells, what.replace(",", "").replace(" ", "_"))()
    except Refused:
        return REFUSED


def attempt(name, what, host, here, changed, want):
    """The result, and when it was looked for."""
    os.mkdir(os.path.join(host, name))
    cells = Cells(os.path.join(here, name), os.path.join(changed, name), want)
    return result(cells, what), cells.looked


def main(column, host, here, there):
    count = failed = 0
    for by, changed, table in (("another mount", there, TABLE), ("the host", host, TABLE), ("this mount", host, OWN)):
        for what in table:
            count += 1
            want = expected(table, what, column)
            # What may be kept need not be: this host may have wanted the memory just then; or it was so busy that the
            # second was over before the second look.
            for again in range({KEPT: 5, SECOND: 50}.get(want, 1)):
                begun = time.monotonic()
                got, looked = attempt(f"{count}-{again}", what, host, here, changed, want)
                if got == want or (want == SECOND and (got != NOW or looked - begun < 1)):
                    break
            failed += got != want
            print(f"{'ok' if got == want else 'not ok'} {count} - {column}: {what}, by {by}: {want}"
                  + ("" if got == want else f", not {got}"), flush=True)
    print(f"1..{count}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
