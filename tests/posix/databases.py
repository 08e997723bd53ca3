#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""SQLite on mounts of a share: with a write-ahead log, which is shared memory, within one mount; and between mounts and
the host by locks.

    databases.py wal|no-wal|shared HOST ONE OTHER

One line on standard output, status 0 if it is "ok ...".
"""
import multiprocessing
import os
import sqlite3
import sys

WORKERS, ROUNDS, TIMEOUT = 3, 60, 200


def connect(path):
    return sqlite3.connect(path, timeout=TIMEOUT, isolation_level=None)


def add(path, worker, begin):
    """Each round reads a sum and writes it back, and appends a line: nothing may be lost in between."""
    db = connect(path)
    begin.wait()
    for i in range(ROUNDS):
        db.execute("BEGIN IMMEDIATE")
        total = db.execute("SELECT total FROM sum").fetchone()[0]
        db.execute("UPDATE sum SET total = ?", (total + 1,))
        db.execute("INSERT INTO lines VALUES (?, ?, ?)", (worker, i, "x" * 300))
        db.execute("COMMIT")
    db.close()


def make(path, journal):
    db = connect(path)
    mode = db.execute(f"PRAGMA journal_mode = {journal}").fetchone()[0]
    db.execute("CREATE TABLE sum (total INTEGER)")
    db.execute("INSERT INTO sum VALUES (0)")
    db.execute("CREATE TABLE lines (worker INTEGER, round INTEGER, text TEXT)")
    db.close()
    return mode


def check(path, workers):
    db = connect(path)
    sound = db.execute("PRAGMA integrity_check").fetchone()[0]
    total = db.execute("SELECT total FROM sum").fetchone()[0]
    lines = db.execute("SELECT count(*), count(DISTINCT worker * 1000 + round) FROM lines").fetchone()
    db.close()
    want = workers * ROUNDS
    if sound == "ok" and total == want and lines == (want, want):
        return None
    return f"{sound}, a sum of {total} and {lines} lines, not {want}"


def run(paths):
    context = multiprocessing.get_context("spawn")
    begin = context.Event()
    workers = [context.Process(target=add, args=(path, i, begin)) for i, path in enumerate(paths)]
    for worker in workers:
        worker.start()
    begin.set()
    for worker in workers:
        worker.join()
    bad = [w.exitcode for w in workers if w.exitcode != 0]
    return f"{len(bad)} processes failed" if bad else None


def use(kind, host, one, other):
    if kind == "no-wal":
        try:
            make(os.path.join(one, "db"), "WAL")
        except sqlite3.OperationalError:
            return None
        return "a write-ahead log without shared memory"
    if kind == "wal":
        mode = make(os.path.join(one, "db"), "WAL")
        if mode != "wal":
            return f"the journal's mode is {mode}"
        paths = [os.path.join(one, "db")] * WORKERS
    else:
        make(os.path.join(one, "db"), "DELETE")
        paths = [os.path.join(where, "db") for where in (host, one, other)]
    return run(paths) or check(os.path.join(one, "db"), len(paths)) or check(os.path.join(host, "db"), len(paths))


def main(kind, *dirs):
    fault = use(kind, *dirs)
    print(f"ok sqlite: {kind}" if fault is None else f"not ok sqlite: {kind}: {fault}")
    return fault is not None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
