#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A layer includes and calls only layers below it. Usage: layers.py SOURCE BUILD"""
import pathlib
import sys

import project


def check_installed_header(layer, where, name):
    """Of an installed header that a file of @layer includes."""
    if name == project.UMBRELLA:
        return [f"{where}: the umbrella header is for programs"]
    if name not in project.HEADERS:
        return [f"{where}: no layer is known for <virtiofs/{name}>; say it in project.py"]
    other = project.HEADERS[name]
    return [] if project.allowed(layer, other) else [f"{where}: {layer} includes <virtiofs/{name}> of {other}"]


def check_lib_file(source, path):
    layer = project.layer_of(source, path)
    where = path.relative_to(source)
    if layer not in project.LAYERS:
        return [f"{where}: {layer} is no layer"]
    faults = []
    for kind, name in project.INCLUDE.findall(project.read(path)):
        if name.startswith("virtiofs/"):
            faults += check_installed_header(layer, where, name.removeprefix("virtiofs/"))
        elif kind == '"':
            target = pathlib.Path(source) / "lib" / name
            if not target.exists():
                faults.append(f'{where}: "{name}" is not there below lib/')
                continue
            other = project.layer_of(source, target)
            own = path.parent.relative_to(pathlib.Path(source) / "lib")
            if layer == "backends" and target.parent != path.parent:
                faults.append(f'{where}: a backend includes "{name}", which is not its own ({own})')
            elif not project.allowed(layer, other):
                faults.append(f"{where}: {layer} includes {name} of {other}")
    return faults


def check_header(source, path):
    """Of an installed header: what it includes."""
    where = path.relative_to(source)
    if path.name == project.UMBRELLA:
        return []
    if path.name not in project.HEADERS:
        return [f"{where}: no layer is known for it; say it in project.py"]
    faults = []
    for kind, name in project.INCLUDE.findall(project.read(path)):
        if name.startswith("virtiofs/"):
            faults += check_installed_header(project.HEADERS[path.name], where, name.removeprefix("virtiofs/"))
        elif kind == '"':
            faults.append(f'{where}: "{name}" is not installed')
    return faults


def check_example(source, path):
    """Examples are what anybody could write: installed headers, the system's, and files beside them."""
    where = path.relative_to(source)
    faults = []
    for kind, name in project.INCLUDE.findall(project.read(path)):
        if name.startswith("virtiofs/"):
            if not (pathlib.Path(source) / "include" / name).exists():
                faults.append(f"{where}: <{name}> is not installed")
        elif kind == '"' and not (path.parent / name).exists():
            faults.append(f'{where}: "{name}" is neither installed nor beside it')
        elif kind == "<" and (pathlib.Path(source) / "lib" / name).exists():
            faults.append(f"{where}: <{name}> is the library's own")
    return faults


def edges(source, path):
    for kind, name in project.INCLUDE.findall(project.read(path)):
        folder = "include" if name.startswith("virtiofs/") else "lib"
        target = pathlib.Path(source) / folder / name
        if (kind == '"' or folder == "include") and target.exists():
            yield target


def find_cycle(source, files):
    """The first include cycle, as a list of files; None if there is none."""
    done, stack = set(), []

    def visit(path):
        if path in stack:
            return stack[stack.index(path):] + [path]
        if path in done:
            return None
        stack.append(path)
        for target in edges(source, path):
            cycle = visit(target)
            if cycle:
                return cycle
        stack.pop()
        done.add(path)
        return None

    for path in files:
        cycle = visit(path)
        if cycle:
            return cycle
    return None


def check_calls(source, build):
    """What the linker sees. A function belongs to the layer whose object defines it."""
    objects = project.objects(build)
    owner = {name: layer for layer, path in objects for name in project.defined(path)}
    public = project.declared(source)
    faults = []
    for layer, path in objects:
        where = f"{layer}/{path.name.removesuffix('.o')}"
        for name in sorted(project.undefined(path) & owner.keys()):
            other = owner[name]
            if not project.allowed(layer, other):
                faults.append(f"{where}: {layer} calls {name} of {other}")
            elif layer in ("daemon", "backends") and other != layer and name not in public:
                faults.append(f"{where}: calls {name} of {other}, which no installed header has")
    return faults


def main(source, build):
    source = pathlib.Path(source).resolve()
    lib, headers = project.sources(source / "lib"), project.sources(source / "include")
    faults = []
    for path in lib:
        faults += check_lib_file(source, path)
    for path in headers:
        faults += check_header(source, path)
    for path in project.sources(source / "examples"):
        faults += check_example(source, path)
    cycle = find_cycle(source, lib + headers)
    if cycle:
        faults.append("include cycle: " + " -> ".join(str(p.relative_to(source)) for p in cycle))
    project.report(faults + check_calls(source, build))


if __name__ == "__main__":
    main(*sys.argv[1:])
