#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The pure layers need of libc only what any machine without an operating system has. Usage: purity.py BUILD"""
import sys

import project

ALLOWED = {
    "memcpy", "memmove", "memset", "memcmp", "memchr",
    "bcmp",  # clang's, for a memcmp() that only asks for equality
    "strlen", "strcmp", "strncmp", "strnlen", "strchr", "strrchr",
    "malloc", "calloc", "free", "aligned_alloc",
    "qsort", "bsearch",
    "vsnprintf",  # for messages as text
    "__assert_fail",
}
# What the compiler adds by itself: sanitizers, coverage, hardening.
ADDED = ("__asan_", "__ubsan_", "__tsan_", "__sanitizer_", "__gcov_", "__llvm_", "__stack_chk_",
         "_GLOBAL_OFFSET_TABLE_")


def is_allowed(name):
    plain = name.removeprefix("__").removesuffix("_chk")
    return name in ALLOWED or plain in ALLOWED or name.startswith(ADDED)


def main(build):
    objects = project.objects(build)
    own = {name for _, path in objects for name in project.defined(path)}
    faults = []
    for layer, path in objects:
        if layer in project.PURE:
            foreign = sorted(name for name in project.undefined(path) - own if not is_allowed(name))
            faults += [f"{layer}/{path.name.removesuffix('.o')} calls {name}" for name in foreign]
    project.report(faults)


if __name__ == "__main__":
    main(*sys.argv[1:])
