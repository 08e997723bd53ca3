#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The hello world that a third party writes, whole, is at most 40 lines of code. Usage: hello.py FILE"""
import sys

import project

MOST = 40
WIDEST = 120


def main(path):
    text = project.read(path)
    lines = [line for line in project.without_comments(text).splitlines() if line.strip()]
    faults = [f"{len(lines)} lines of code"] if len(lines) > MOST else []
    faults += [f"line {i} is too wide" for i, line in enumerate(text.splitlines(), 1) if len(line) > WIDEST]
    print(f"{len(lines)} lines of code")
    project.report(faults)


if __name__ == "__main__":
    main(*sys.argv[1:])
