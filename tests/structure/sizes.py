#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""No god files and no god functions. Usage: sizes.py SOURCE. Skipped (77) without Universal Ctags."""
import pathlib
import shutil
import subprocess
import sys

import project

FOLDERS = ["lib", "examples", "tests", "fuzz"]
MOST_LINES = 500
LONGEST_FUNCTION = 60


def functions(path):
    """Name, first and last line of each."""
    command = ["ctags", "-f", "-", "--languages=C", "--langmap=C:.c.h", "--kinds-C=f", "--fields=ne", str(path)]
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        fields = dict(f.split(":", 1) for f in line.split("\t") if f.startswith(("line:", "end:")))
        if "end" in fields:
            yield line.split("\t")[0], int(fields["line"]), int(fields["end"])


def has_ctags():
    if not shutil.which("ctags"):
        return False
    return "Universal" in subprocess.run(["ctags", "--version"], check=True, capture_output=True, text=True).stdout


def main(source):
    if not has_ctags():
        print("no Universal Ctags")
        sys.exit(77)
    source = pathlib.Path(source).resolve()
    faults = []
    for folder in FOLDERS:
        for path in project.sources(source / folder):
            where = path.relative_to(source)
            lines = project.read(path).count("\n")
            if lines > MOST_LINES:
                faults.append(f"{where}: {lines} lines")
            for name, first, last in functions(path):
                if last - first + 1 > LONGEST_FUNCTION:
                    faults.append(f"{where}:{first}: {name}() has {last - first + 1} lines")
    project.report(faults)


if __name__ == "__main__":
    main(*sys.argv[1:])
