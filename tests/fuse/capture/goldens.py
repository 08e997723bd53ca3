#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Picks golden messages out of records: goldens.py OUT NAME=RECORD=ORIGIN...

The names are guest (an older kernel over virtio-fs), new (a newer one) and fusedev. Each file that is written says where
it comes from, what has to be found in it, and the bytes. What has to be found is known from the arguments of calls.c,
fusedev.c and sample.c, or is read here at an offset of the protocol's description: not with the library's own codec.
"""
import pathlib
import struct
import sys

REQUEST, REPLY = 1, 2

OPCODES = {
    "LOOKUP": 1, "FORGET": 2, "GETATTR": 3, "SETATTR": 4, "READLINK": 5, "SYMLINK": 6, "MKNOD": 8, "MKDIR": 9,
    "UNLINK": 10, "RMDIR": 11, "RENAME": 12, "LINK": 13, "OPEN": 14, "READ": 15, "WRITE": 16, "STATFS": 17,
    "RELEASE": 18, "FSYNC": 20, "SETXATTR": 21, "GETXATTR": 22, "LISTXATTR": 23, "REMOVEXATTR": 24, "FLUSH": 25,
    "INIT": 26, "OPENDIR": 27, "READDIR": 28, "RELEASEDIR": 29, "FSYNCDIR": 30, "GETLK": 31, "SETLK": 32,
    "SETLKW": 33, "ACCESS": 34, "CREATE": 35, "INTERRUPT": 36, "BMAP": 37, "DESTROY": 38, "IOCTL": 39, "POLL": 40,
    "NOTIFY_REPLY": 41, "BATCH_FORGET": 42, "FALLOCATE": 43, "READDIRPLUS": 44, "RENAME2": 45, "LSEEK": 46,
    "COPY_FILE_RANGE": 47, "SYNCFS": 50, "TMPFILE": 51, "STATX": 52, "COPY_FILE_RANGE_64": 53,
}


def u32(field, offset):
    return field, "<I", offset


def u64(field, offset):
    return field, "<Q", offset


ENTRY = ["reply.entry.attr.uid 1000", "reply.entry.attr.gid 1001", "reply.entry.attr.mtime.sec 1582979696",
         "reply.entry.attr.mtime.nsec 123456789", "reply.entry.attr.blksize 4096", "reply.entry.attr.nlink 1"]
CREATED = ["reply.create.entry.attr.uid 1000", "reply.create.entry.attr.ctime.nsec 123456789"]
ATTR = ["reply.attr.attr.uid 1000", "reply.attr.attr.size 7", "reply.attr.attr.atime.sec 1582979696"]

# File, record, opcode, what the request has in it, and what has to be found.
GOLDENS = [
    ("init", "guest", "INIT", b"", ["init.major 7", u32("init.minor", 44), u32("init.max_readahead", 48),
                                    "reply.init.major 7", "reply.init.max_write 1048576", "reply.init.time_gran 1"]),
    ("lookup", "guest", "LOOKUP", b"file\0",
     ["lookup.name file", *ENTRY, "reply.entry.attr.mode 0100644", "reply.entry.attr.ino 2"]),
    ("lookup-absent", "guest", "LOOKUP", b"new\0", ["lookup.name new", "reply.error -2"]),
    ("forget", "guest", "FORGET", b"", ["forget.nlookup 1"]),
    ("getattr", "guest", "GETATTR", b"", ["getattr.has_handle 0", *ATTR, "reply.attr.attr.mode 040777"]),
    ("getattr-handle", "fusedev", "GETATTR", b"\1\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0",
     ["getattr.has_handle 1", "getattr.handle 7", "reply.attr.attr.mode 0100644", "reply.attr.attr.ino 2"]),
    ("setattr", "guest", "SETATTR", struct.pack("<QQ", 1000000000, 1000000001),
     ["setattr.valid 0x30", "setattr.atime.sec 1000000000", "setattr.mtime.sec 1000000001", "setattr.atime.nsec 5",
      "setattr.mtime.nsec 6", *ATTR]),
    ("setattr-size", "guest", "SETATTR", b"\x48\2\0\0\0\0\0\0",
     ["setattr.valid 0x8", "setattr.has_handle 1", u64("setattr.handle", 48), "setattr.size 4", *ATTR]),
    ("readlink", "guest", "READLINK", b"", ["reply.readlink.len 6"]),
    ("symlink", "guest", "SYMLINK", b"", ["symlink.name link", "symlink.target target", *ENTRY,
                                          "reply.entry.attr.mode 0120777"]),
    ("mknod", "guest", "MKNOD", b"", ["mknod.name fifo", "mknod.mode 010600", "mknod.umask 027", "mknod.rdev_major 0",
                                      *ENTRY, "reply.entry.attr.mode 010600"]),
    ("mkdir", "guest", "MKDIR", b"", ["mkdir.name sub", "mkdir.mode 0750", "mkdir.umask 027", *ENTRY,
                                      "reply.entry.attr.mode 040750"]),
    ("unlink", "guest", "UNLINK", b"", ["unlink.name again"]),
    ("rmdir", "guest", "RMDIR", b"", ["rmdir.name sub"]),
    ("rename", "guest", "RENAME", b"", ["rename.name hard", "rename.new_name moved", "rename.new_parent 1",
                                        "rename.flags 0"]),
    ("rename2", "guest", "RENAME2", b"", ["rename.name moved", "rename.new_name again", "rename.new_parent 1",
                                          "rename.flags 1"]),
    ("link", "guest", "LINK", b"", ["link.name hard", u64("link.node", 40), *ENTRY]),
    ("open", "guest", "OPEN", b"", ["open.flags 0100002", "open.open_flags 0", "reply.open.flags 1"]),
    ("read", "guest", "READ", b"", [u64("read.handle", 40), "read.offset 1", "read.size 5", "read.flags 0100002",
                                    "reply.read.size 5"]),
    ("write", "guest", "WRITE", b"hello", [u64("write.handle", 40), "write.offset 10", "write.size 5",
                                           "write.flags 0100002", "reply.write.size 5"]),
    ("statfs", "guest", "STATFS", b"", ["reply.statfs.blocks 1000", "reply.statfs.bfree 900", "reply.statfs.bavail 800",
                                        "reply.statfs.files 70", "reply.statfs.ffree 60", "reply.statfs.namelen 255",
                                        "reply.statfs.bsize 4096", "reply.statfs.frsize 4096"]),
    ("release", "guest", "RELEASE", b"", [u64("release.handle", 40), "release.release_flags 0",
                                          u32("release.flags", 48)]),
    ("fsync", "guest", "FSYNC", b"", [u64("fsync.handle", 40), "fsync.data_only 0"]),
    ("fsync-data", "guest", "FSYNC", b"\1\0\0\0\0\0\0\0", [u64("fsync.handle", 40), "fsync.data_only 1"]),
    ("setxattr", "guest", "SETXATTR", b"", ["setxattr.name user.golden", "setxattr.flags 1", "setxattr.value.size 5"]),
    ("getxattr", "guest", "GETXATTR", b"\x20\0\0\0\0\0\0\0user", ["getxattr.name user.golden", "getxattr.size 32",
                                                                 "reply.xattr.size 7"]),
    ("getxattr-size", "guest", "GETXATTR", b"\0\0\0\0\0\0\0\0user", ["getxattr.name user.golden", "getxattr.size 0",
                                                                     "reply.xattr.size 7"]),
    ("listxattr", "guest", "LISTXATTR", b"\x40\0\0\0\0\0\0\0", ["listxattr.size 64", "reply.xattr.size 12"]),
    ("listxattr-size", "guest", "LISTXATTR", b"\0\0\0\0\0\0\0\0", ["listxattr.size 0", "reply.xattr.size 12"]),
    ("removexattr", "guest", "REMOVEXATTR", b"", ["removexattr.name user.golden"]),
    ("flush", "guest", "FLUSH", b"", [u64("flush.handle", 40), u64("flush.lock_owner", 56)]),
    ("opendir", "guest", "OPENDIR", b"", ["opendir.flags 0300000", "reply.open.flags 0"]),
    ("readdir", "guest", "READDIR", b"", [u64("readdir.handle", 40), "readdir.offset 1", "readdir.size 4096",
                                          "reply.read.size 32"]),
    ("readdirplus", "guest", "READDIRPLUS", b"", [u64("readdir.handle", 40), "readdir.offset 0", "readdir.size 4096",
                                                  "reply.read.size 160"]),
    ("releasedir", "guest", "RELEASEDIR", b"", [u64("release.handle", 40), u32("release.flags", 48)]),
    ("fsyncdir", "guest", "FSYNCDIR", b"", [u64("fsync.handle", 40), "fsync.data_only 0"]),
    ("getlk", "guest", "GETLK", b"", [u64("lk.handle", 40), u64("lk.owner", 48), "lk.lock.start 1", "lk.lock.end 9",
                                      "lk.lock.type 1", "lk.flock 0", "reply.getlk.lock.type 1",
                                      "reply.getlk.lock.start 1", "reply.getlk.lock.end 9", "reply.getlk.lock.pid 42"]),
    ("setlk", "guest", "SETLK", b"", [u64("lk.owner", 48), "lk.lock.start 2", "lk.lock.end 9", "lk.lock.type 0",
                                      u32("lk.lock.pid", 76)]),
    ("setlkw", "guest", "SETLKW", b"", [u64("lk.owner", 48), "lk.lock.start 2", "lk.lock.end 9", "lk.lock.type 1"]),
    ("access", "fusedev", "ACCESS", b"\4\0\0\0\0\0\0\0", ["access.mask 4"]),
    ("create", "guest", "CREATE", b"", ["create.name new", "create.flags 0100302", "create.mode 0100640",
                                        "create.umask 027", *CREATED, "reply.create.entry.attr.mode 0100640",
                                        "reply.create.open.flags 0"]),
    ("interrupt", "fusedev", "INTERRUPT", b"", [u64("interrupt.unique", 40)]),
    ("bmap", "fusedev", "BMAP", b"", ["bmap.block 3", "bmap.blocksize 4096", "reply.bmap.block 77"]),
    ("destroy", "guest", "DESTROY", b"", []),
    ("ioctl", "guest", "IOCTL", b"", [u64("ioctl.handle", 40), "ioctl.flags 0", "ioctl.cmd 0xc0087601",
                                      "ioctl.data.size 8", "ioctl.out_size 8", "reply.ioctl.result 0",
                                      "reply.ioctl.size 7"]),
    ("poll", "guest", "POLL", b"", [u64("poll.handle", 40), u64("poll.kh", 48), "poll.flags 0", u32("poll.events", 60),
                                    "reply.poll.revents 5"]),
    ("notify_reply", "fusedev", "NOTIFY_REPLY", b"", ["notify_reply.offset 1", "notify_reply.size 4"]),
    ("batch_forget", "fusedev", "BATCH_FORGET", b"", ["batch_forget.count 3"]),
    ("fallocate", "guest", "FALLOCATE", b"", [u64("fallocate.handle", 40), "fallocate.offset 4096",
                                              "fallocate.length 8192", "fallocate.mode 1"]),
    ("lseek", "guest", "LSEEK", b"", [u64("lseek.handle", 40), "lseek.offset 2", "lseek.whence 4",
                                      "reply.lseek.offset 7"]),
    ("copy_file_range", "guest", "COPY_FILE_RANGE", b"",
     [u64("copy_file_range.handle", 40), u64("copy_file_range.handle_out", 64), "copy_file_range.offset 1",
      "copy_file_range.offset_out 2", u64("copy_file_range.node_out", 56), "copy_file_range.len 1",
      "reply.copy_file_range.size 1"]),
    ("syncfs", "guest", "SYNCFS", b"", []),
    ("tmpfile", "guest", "TMPFILE", b"", ["tmpfile.mode 0100600", "tmpfile.umask 027", *CREATED,
                                          "reply.create.entry.attr.mode 0100600"]),
    ("init-new", "new", "INIT", b"", ["init.major 7", u32("init.minor", 44), "reply.init.major 7"]),
    ("statx", "new", "STATX", b"", ["statx.has_handle 0", u32("statx.mask", 60),
                                    "reply.statx.statx.attr.mode 0100644", "reply.statx.statx.btime.nsec 123456789",
                                    "reply.statx.statx.mask 0xfff"]),
    ("copy_file_range_64", "new", "COPY_FILE_RANGE_64", b"",
     [u64("copy_file_range.handle", 40), "copy_file_range.offset 1", "copy_file_range.offset_out 2",
      "copy_file_range.len 1", "reply.copy_file_range.size 1"]),
]


class Record:
    """The messages of one file: requests in order, replies by their number."""

    def __init__(self, path, origin):
        self.origin, self.requests, self.replies = origin, [], {}
        data = pathlib.Path(path).read_bytes()
        magic, order, _, at = struct.unpack_from("<8sIHH", data)
        assert magic == b"vfsrec\r\n" and order == 0x01020304, f"{path}: no record of this machine"
        while at < len(data):
            size, kind, _, _, number, length, _ = struct.unpack_from("<IHHQQQQ", data, at)
            message = data[at + 40:at + size]
            assert len(message) == length, f"{path}: a message is cut off: record with --record-data"
            if kind == REQUEST:
                self.requests.append((number, message))
            else:
                self.replies[number] = message
            at += size
        init, answer = self.find("INIT", b"")
        self.minor = min(struct.unpack_from("<I", init, 44)[0], 45)
        self.flags, second = struct.unpack_from("<I16xI", answer, 16 + 12)
        if self.flags & 1 << 30:  # INIT_EXT
            self.flags |= second << 32

    def find(self, opcode, part):
        for number, message in self.requests:
            if struct.unpack_from("<I", message, 4)[0] == OPCODES[opcode] and part in message[40:]:
                return message, self.replies.get(number, b"")
        sys.exit(f"no {opcode} with {part!r}")


def lines_of(message):
    return [message[at:at + 8].hex(" ") for at in range(0, len(message), 8)]


def write(folder, golden, record):
    name, _, opcode, part, expected = golden
    request, reply = record.find(opcode, part)
    nodeid, uid, gid, pid = struct.unpack_from("<QIII", request, 16)
    lines = [f"# {record.origin}", f"minor {record.minor}", f"flags {record.flags:#x}", f"nodeid {nodeid:#x}", f"uid {uid}", f"gid {gid}",
             f"pid {pid}"]
    for each in expected:
        if isinstance(each, tuple):
            field, form, offset = each
            each = f"{field} {struct.unpack_from(form, request, offset)[0]:#x}"
        lines.append(each)
    lines += ["bytes", *lines_of(request)]
    if reply:
        lines += ["reply", *lines_of(reply)]
    (folder / f"{name}.hex").write_text("\n".join(lines) + "\n", encoding="ascii")


def main(folder, *sources):
    records = {}
    for source in sources:
        name, path, origin = source.split("=", 2)
        records[name] = Record(path, origin)
    for golden in GOLDENS:
        if golden[1] in records:
            write(pathlib.Path(folder), golden, records[golden[1]])


if __name__ == "__main__":
    main(*sys.argv[1:])
