#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The shared library has the probes that docs/monitoring.md tells of, with as many arguments. Usage: probes.py BUILD"""
import collections
import pathlib
import re
import subprocess
import sys

import project

ARGUMENTS = {"take": 4, "dispatch": 5, "reply": 7}


def main(build):
    library = pathlib.Path(build) / "lib" / "libvirtiofs.so"
    notes = subprocess.run(["readelf", "-n", "-W", str(library)], check=True, capture_output=True, text=True).stdout
    pattern = re.compile(r"Provider: (\S+)\s+Name: (\S+)\s+Location:.*?\s+Arguments: *([^\n]*)")
    found = collections.Counter()
    faults = []
    for provider, name, arguments in pattern.findall(notes):
        # "4@%esi", "-4@$0", "8@8(%rsp)", "-4@-20(%rbp)"
        count = len(re.findall(r"-?[0-9]+@", arguments))
        found[name] += 1
        if provider != "virtiofs" or name not in ARGUMENTS:
            faults.append(f"{provider}:{name} is not told of")
        elif count != ARGUMENTS[name]:
            faults.append(f"{name} has {count} arguments, not {ARGUMENTS[name]}: {arguments}")
    faults += [f"there is no {name}" for name in ARGUMENTS if not found[name]]
    project.report(faults)


if __name__ == "__main__":
    main(*sys.argv[1:])
