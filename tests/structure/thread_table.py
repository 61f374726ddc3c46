#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the table of threads in docs/events.md equal to the checks of debug builds in src/port, in both directions.

usage: thread_table.py ROOT | thread_table.py --selftest

A row whose last cell is "yes" is about a check, and begins with its function in backticks. A check names its function:
check_thread("run") is EventLoop::run, check_loop_thread("start") is MessagePort::start, "Reply::get" says it itself.
"""
import pathlib
import re
import tempfile

import source_tree

TABLE = "docs/events.md"
CHECK = re.compile(r"\b(check_thread|check_loop_thread|Running running)\(([^;{}]*?)\);", re.S)
CLASS_OF = {"check_thread": "EventLoop", "Running running": "EventLoop", "check_loop_thread": "MessagePort"}


def checks_of(root):
    found = {}
    for path in source_tree.files(root, (".cpp",), ("src/port",)):
        for call, arguments in CHECK.findall(source_tree.read(root, path)):
            for name in re.findall(r'"([\w:]+)"', arguments):
                found.setdefault(name if "::" in name else f"{CLASS_OF[call]}::{name}", path)
    return found


def check(root):
    checks = checks_of(root)
    complaints, told = [], set()
    for cells in source_tree.table(source_tree.read(root, TABLE), "function"):
        name = re.match(r"`([\w:]+)`", cells[0])
        if name is None or len(cells) != 3:
            complaints.append(f"{TABLE}: a row without a function or a cell: {cells[0]}")
        elif cells[2] == "yes":
            told.add(name.group(1))
            if name.group(1) not in checks:
                complaints.append(f"{TABLE}: {name.group(1)} is checked nowhere")
        elif name.group(1) in checks:
            complaints.append(f"{TABLE}: {name.group(1)} is checked, and the table says that it is not")
            told.add(name.group(1))
    for name in sorted(set(checks) - told):
        complaints.append(f"{checks[name]}: {name} is checked, and {TABLE} has no row for it")
    if not told:
        complaints.append(f"{TABLE}: no row says what is checked")
    return complaints


def selftest():
    rows = ["| function | thread | debug builds check |", "|---|---|---|", "| `EventLoop::run` | loop's | yes |",
            "| `EventLoop::set_timeout` | loop's | yes |", "| `MessagePort::start` (x) | loop's | yes |",
            "| `MessagePort::close` | any | - |"]
    code = ('Running running(*this, "run");\ncheck_thread(once ? "set_timeout" : "run");\ncheck_loop_thread("start");\n')
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        source_tree.plant(root, {TABLE: "\n".join(rows), "src/port/a.cpp": code})
        source_tree.expect(check(root))
        source_tree.plant(root, {"src/port/a.cpp": code + 'check_loop_thread("close");\ncheck_thread("clear");\n'})
        source_tree.expect(check(root), "MessagePort::close is checked, and the table", "EventLoop::clear is checked, and")
        source_tree.plant(root, {"src/port/a.cpp": code.replace('"start"', '"begin"')})
        source_tree.expect(check(root), "MessagePort::start is checked nowhere", "MessagePort::begin is checked, and")


if __name__ == "__main__":
    source_tree.run(check, selftest)
