#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What gdb shows of ports: of a process that it has stopped, and of the core dump of that one.

usage: printers_test.py GDB PRINTERS PROGRAM
Ends with 77, skipped, where processes may not be debugged.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

ID = r"channel [0-9a-f]{32}"
EXPECTED = {
    "channel.port1": rf'MessagePort \(open, {ID} "ledger", 1 unread, 2 unread by the peer\)',
    "channel.port2": rf'MessagePort \(open, {ID} "ledger", 2 unread, 1 unread by the peer\)',
    "half_closed": rf"MessagePort \(open, its peer is gone, {ID}, 1 unread, 1 unread by the peer\)",
    "closed": rf"MessagePort \(closed, {ID}\)",
    "unused": rf"MessagePort \(not used yet, {ID}\)",
    "detached": r"MessagePort \(detached\)",
    "channel": r"MessageChannel = \{port1 = MessagePort \(open, .*\), port2 = MessagePort \(open, .*\)\}",
}


def gdb(program, *commands):
    words = [program, "--batch", "-nx", "-iex", "set debuginfod enabled off", "-iex", "set auto-load off"]
    for command in commands:
        words += ["-ex", command]
    result = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=120)
    return result.stdout + result.stderr


def complaints(where, output):
    shown = dict(re.findall(r"^([\w.]+) is:(.*)$", output, re.M))
    for name, pattern in EXPECTED.items():
        if not re.fullmatch(pattern, shown.get(name, "")):
            yield f"{where}: {name} is shown as: {shown.get(name)}\n  and not as: {pattern}"


def main():
    program, printers, debuggee = sys.argv[1:]
    show = [f"source {printers}"]
    for name in EXPECTED:
        show += [f"echo {name} is:", f"output {name}", "echo \\n"]
    with tempfile.TemporaryDirectory() as directory:
        core = pathlib.Path(directory) / "core"
        live = gdb(program, f"file {debuggee}", "break stop_here", "run", *show, f"generate-core-file {core}", "kill")
        if re.search("ptrace.*not permitted|Could not trace", live):
            print("skipped: no process may be debugged here")
            return 77
        dead = gdb(program, f"file {debuggee}", f"core-file {core}", *show)
    wrong = [*complaints("live", live), *complaints("core dump", dead)]
    for complaint in wrong:
        print(complaint)
    if wrong:
        print(live, dead, sep="\n----\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
