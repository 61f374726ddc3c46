#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions of one operation, counted by callgrind and held below the limits of limits.txt.

usage: count.py PROGRAM [--all]       --all: prints what is counted, checks nothing

Counts repeat exactly for one build on one machine, whatever else it is doing; the C library's copying differs between
processors and a compiler's next version between builds, so the limits leave a twentieth.
Exit status: 0 all below, 1 not, 77 valgrind is missing.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

LIMITS = pathlib.Path(__file__).with_name("limits.txt")
FEW, MANY = 256, 2304  # multiples of each operation's batch
SLACK = 1.05


def instructions(program, operation, count):
    with tempfile.NamedTemporaryFile() as out:
        done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=" + out.name, program, operation,
                               str(count)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              # Meson has malloc fill what it hands out, with an instruction counted for each byte.
                              env=dict(os.environ, MALLOC_PERTURB_="0"))
    found = re.search(r"Collected : (\d+)", done.stdout)
    if done.returncode != 0 or not found:
        sys.exit(f"{operation}: callgrind failed\n{done.stdout}")
    return int(found.group(1))


def main():
    program = sys.argv[1]
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed (Debian: apt install valgrind)")
        return 77
    operations = subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    limits = dict((name, int(limit)) for name, limit in
                  (line.split() for line in LIMITS.read_text().splitlines() if line and not line.startswith("#")))
    failed = sorted(set(limits) ^ set(operations))
    for name in failed:
        print(f"{name}: not in both {LIMITS.name} and the program")
    for operation in operations:
        each = (instructions(program, operation, MANY) - instructions(program, operation, FEW)) / (MANY - FEW)
        limit = limits.get(operation, 0)
        high = "--all" not in sys.argv and each > limit * SLACK
        print(f"{operation:24} {each:8.1f}   limit {limit}{'   TOO MANY' if high else ''}", flush=True)
        failed += [operation] if high else []
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
