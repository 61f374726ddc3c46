#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants the faults of a list in a copy of the library, and has the cases of a test program notice each of them.

usage: mutants.py [--list FILE --program PROGRAM] ROOT DIRECTORY [FAULT...]      or      mutants.py --selftest

The copy in DIRECTORY is built once, with all faults in it and each switched on by PORTOLAN_MUTANT=name. With none on
the cases pass; with one on, the cases of each item that it names fail, one item at a time. An item is what the cases
have in brackets, M7, or words of their names, *like this*. A fault that no item notices names another program of
OTHERS, which has to say what it found. Without a list it is that of the conformance table. ROOT is not touched.

A case that fails says what is wrong. One that does not end says little more than that something is, and so may a slow
machine: what is noticed by nothing else is told apart, with where the case stood still. It counts as noticed all the same.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

LIST = "tests/conformance/mutants.txt"
LISTS = [LIST, "tests/port/faults.txt"]
COPIED = ["bench", "daemon", "docs", "include", "src", "tests", "meson.build", "meson_options.txt"]
PROGRAM = "tests/conformance/conformance-test"
# Which program, what it says, and which of its cases.
OTHERS = {
    "stress": ("tests/stress/stress-test", "sleeps with something to read"),
    "successor": ("tests/crash/crash-test", "the successor of a reader gets the message in hand again",
                  "-tc=the successor of a reader gets*"),
    "clone": ("tests/process/clone-test", "it hangs", "-tc=a bare clone beside busy threads*"),
    "copies": ("tests/process/clone-test", "does not keep its parent's death from the peer", "-tc=*death from the peer"),
    "crowded": ("tests/names/names-test", "a neighbour's descriptors keep",
                "-tc=*a neighbour's descriptors*"),
    "leaves": ("tests/crash/crash-test", "reads_as_one_leaves(", "-tc=a new end that leaves*"),
}
# Of a case that a fault has hang: more than the deadlines that are in the cases, so that those are what it ends by.
CASE_S = 45
PATIENCE_S = 300  # of all that an item names
WATCHDOG_EXIT = 124
FAILED = "ERROR:"  # what each assertion that fails says, and each wait in vain
STOOD_STILL = re.compile(r"^watchdog: hangs: .*; after (.+)$", re.M)
ITEM = re.compile(r"\*[^*]+\*|\S+")
NAME = re.compile(r"MUTANT\((\w+)\)")
SWITCH = b"""\
#pragma once
#include <cstdlib>
#include <cstring>
inline bool portolan_mutant(const char* name) noexcept {
  static const char* const planted = std::getenv("PORTOLAN_MUTANT");
  return planted != nullptr && std::strcmp(planted, name) == 0;
}
#define MUTANT(name) portolan_mutant(#name)
"""


class Block:
    def __init__(self, text):
        lines = text.splitlines()
        self.file = lines[0]
        self.old = [line[2:] for line in lines if line.startswith("- ")]
        self.new = [line[2:] for line in lines if line.startswith("+ ")]
        self.items = {}
        for line in lines[1:]:
            if not line.startswith(("- ", "+ ")):
                name, _, items = line.partition(":")
                self.items[name] = ITEM.findall(items)


def blocks_of(text):
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return [Block(block) for block in re.split(r"\n\s*\n", text.strip())]


def faults_of(blocks):
    """Name of each fault: its items."""
    faults = {}
    for block in blocks:
        for name in NAME.findall("\n".join(block.new)):
            faults.setdefault(name, [])
        for name, items in block.items.items():
            faults.setdefault(name, []).extend(items)
    return faults


def plant(source, blocks):
    """The source with all of the file's blocks in it. Whitespace does not count."""
    spans = []
    for block in blocks:
        wanted = r"\s+".join(re.escape(word) for word in " ".join(block.old).split())
        found = list(re.finditer(wanted, source))
        if len(found) != 1:
            raise ValueError(f"{block.file}: {len(found)} times, not once: {' '.join(block.old)}")
        if not NAME.search("\n".join(block.new)):
            raise ValueError(f"{block.file}: no MUTANT(name) in the place of: {' '.join(block.old)}")
        spans.append((found[0].start(), found[0].end(), "\n".join(block.new)))
    spans.sort()
    for before, after in zip(spans, spans[1:]):
        if before[1] > after[0]:
            raise ValueError(f"two faults in one place: {after[2]}")
    for start, end, new in reversed(spans):
        source = source[:start] + new + source[end:]
    return source


def by_file(blocks):
    files = {}
    for block in blocks:
        files.setdefault(block.file, []).append(block)
    return files


def cannot_be_planted(root, listed):
    """A complaint for each file of the list in which its faults have no place any more."""
    complaints = []
    for name, blocks in by_file(blocks_of((root / listed).read_text(encoding="utf-8"))).items():
        try:
            plant((root / name).read_text(encoding="utf-8"), blocks)
        except (OSError, ValueError) as error:
            complaints.append(f"{listed}: {error}")
    return complaints


def write_if_new(path, content):
    """So that what has not changed is not built again."""
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def copy_tree(root, tree, blocks):
    files = by_file(blocks)
    for name in COPIED:
        top = root / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if not path.is_file() or "__pycache__" in path.parts:
                continue
            relative = path.relative_to(root)
            content = path.read_bytes()
            if str(relative) in files:
                content = plant(content.decode(), files.pop(str(relative))).encode()
            write_if_new(tree / relative, content)
    for name in files:
        raise ValueError(f"{name}: no such file")


def build(tree, directory, programs):
    switch = directory.parent / "mutant.hpp"
    write_if_new(switch, SWITCH)
    if not (directory / "build.ninja").is_file():
        # Not optimised: it is built once and run for a second a fault.
        subprocess.run(["meson", "setup", str(directory), str(tree), "-Dexamples=false", "-Doptimization=0",
                        "-Ddebug=false", "-Dunity=on", "-Dunity_size=6", "-Dwerror=false", f"-Dcpp_args=-include{switch}"], check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "--quiet", "-C", str(directory), *programs], check=True)


class Outcome:
    """Of a program: its exit status, None if it had to be killed, and what it said."""

    def __init__(self, status, said):
        self.status = status
        self.said = said

    def fails(self):
        return self.status != 0

    def does_not_end(self):
        return FAILED not in self.said and self.status in (None, WATCHDOG_EXIT)

    def where(self):
        found = STOOD_STILL.findall(self.said)
        return f", which stood still after {found[-1]}" if found else ""


def run(program, arguments, fault=""):
    """Until it ends, or an assertion fails under a fault: what comes after that says no more."""
    environment = dict(os.environ, PORTOLAN_MUTANT=fault)
    if fault:
        environment["PORTOLAN_CASE_SECONDS"] = str(CASE_S)
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen([str(program), *arguments], env=environment, stdout=output, stderr=output,
                                   start_new_session=True)
        end = time.monotonic() + PATIENCE_S
        status, failed = None, False
        while status is None and not failed and time.monotonic() < end:
            try:
                status = process.wait(0.2)
            except subprocess.TimeoutExpired:
                failed = bool(fault) and FAILED in said_in(output)
        try:
            os.killpg(process.pid, signal.SIGKILL)  # with the children that a fault has left
        except ProcessLookupError:
            pass
        process.wait()
        return Outcome(status, said_in(output))


def said_in(output):
    # Not by its position, which the program writes at.
    size = os.fstat(output.fileno()).st_size
    return os.pread(output.fileno(), size, 0).decode(errors="replace")


def says(program, fault, words, *arguments):
    """Whether the program fails and says so in these words."""
    done = subprocess.run([str(program), *arguments], env=dict(os.environ, PORTOLAN_MUTANT=fault), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300)
    return done.returncode != 0 and words in done.stdout


def filter_of(item):
    return item if item.startswith("*") else f"*[{item}]*"


def check(directory, name, faults):
    """The complaints, and the faults that are noticed only by a case that does not end."""
    program = directory / name
    failed, unended = [], []
    filters = {filter_of(item) for items in faults.values() for item in items if item not in OTHERS}
    if filters and run(program, [f"-tc={','.join(sorted(filters))}"]).fails():
        failed.append("without a fault: the cases fail")
    listed = subprocess.run([str(program), "-ltc"], stdout=subprocess.PIPE, text=True, check=True).stdout

    # The crowd of one run is a crowd for another of the same user.
    alone = {item: threading.Lock() for item in OTHERS}

    def complaint(fault, item):
        if not item:
            return f"{fault}: no item notices it"
        if item in OTHERS:
            name, words, *arguments = OTHERS[item]
            with alone[item]:
                noticed = says(directory / name, fault, words, *arguments)
            if not noticed:
                return f"{fault}: {name} does not say that it {words}"
            print(f"{fault}: noticed by {item}", flush=True)
            return None
        if filter_of(item).strip("*") not in listed:
            return f"{fault}: no case shows {item}"
        outcome = run(program, [f"-tc={filter_of(item)}"], fault)
        if not outcome.fails():
            return f"{fault}: the cases of {item} do not notice it"
        if outcome.does_not_end():
            unended.append(fault)
            print(f"{fault}: noticed only by a case that did not end, of {item}{outcome.where()}", flush=True)
            return None
        print(f"{fault}: noticed by {item}", flush=True)
        return None

    # A case waits for its processes more than it computes, and some faults have it hang.
    with concurrent.futures.ThreadPoolExecutor(2 * os.cpu_count()) as pool:
        jobs = [pool.submit(complaint, fault, item) for fault, items in sorted(faults.items()) for item in items or [""]]
        return failed + [job.result() for job in jobs if job.result()], sorted(unended)


def selftest():
    good = blocks_of("# comment\nsrc/a.cpp\n- if (x)\n- y();\n+ if (x || MUTANT(always)) y();\nalways: M1 M2\n")
    assert plant("void f() {\n  if (x)\n    y();\n}\n", good) == "void f() {\n  if (x || MUTANT(always)) y();\n}\n"
    assert faults_of(good) == {"always": ["M1", "M2"]}
    assert blocks_of("a\nn: *a case* M1 *another one*")[0].items == {"n": ["*a case*", "M1", "*another one*"]}
    for source, text in [("nothing of it", "a\n- if (x)\n+ MUTANT(n)\nn: M1"), ("if (x) if (x)", "a\n- if (x)\n+ MUTANT(n)\nn: M1"),
                         ("if (x)", "a\n- if (x)\n+ nobody\nn: M1"),
                         ("if (x) y();", "a\n- if (x)\n+ MUTANT(n)\nn: M1\n\na\n- (x) y();\n+ MUTANT(m)\nm: M2")]:
        try:
            plant(source, blocks_of(text))
        except ValueError:
            continue
        sys.exit(f"planted without a complaint: {text}")
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        (root / "list").write_text("a\n- x\n+ MUTANT(n)\n\nb\n- x\n+ MUTANT(m)\n\nnowhere\n- x\n+ MUTANT(l)\n")
        (root / "a").write_text("x")
        (root / "b").write_text("y")
        found = cannot_be_planted(root, "list")
        assert len(found) == 2 and "b: 0 times" in found[0] and "nowhere" in found[1], found
    # A program that notices one fault and not another.
    with tempfile.TemporaryDirectory() as directory:
        program, other = pathlib.Path(directory) / PROGRAM, pathlib.Path(directory) / OTHERS["stress"][0]
        for each in [program, other]:
            each.parent.mkdir(parents=True)
        other.write_text('#!/bin/sh\necho "end 0 sleeps with something to read"\n[ "$PORTOLAN_MUTANT" != asleep ]\n')
        other.chmod(0o755)
        program.write_text('#!/bin/sh\n[ "$1" = -ltc ] && echo "[M1] a [M2] b" && exit 0\n'
                           'case $PORTOLAN_MUTANT in seen) exit 1;; hung) echo "watchdog: hangs: x; after y.cpp:1"; exit 124;; '
                           'late) echo "y.cpp:1: ERROR: x"; exec sleep 1000;; esac\n')
        program.chmod(0o755)
        found, unended = check(pathlib.Path(directory), PROGRAM, {
            "seen": ["M1", "*] a*"], "unseen": ["M1"], "hung": ["M1"], "late": ["M1"], "no_case": ["M3"], "no_words": ["*c*"], "idle": [],
            "asleep": ["stress"], "awake": ["stress"]})
    assert found == ["awake: tests/stress/stress-test does not say that it sleeps with something to read",
                     "idle: no item notices it", "no_case: no case shows M3",
                     "no_words: no case shows *c*",
                     "unseen: the cases of M1 do not notice it"], found
    assert unended == ["hung"], unended
    assert Outcome(WATCHDOG_EXIT, "watchdog: hangs: x; after y.cpp:1\n").where().endswith("after y.cpp:1")
    assert not Outcome(WATCHDOG_EXIT, "y.cpp:1: ERROR: x\nwatchdog: hangs: x\n").does_not_end()


def main():
    if sys.argv[1:] == ["--selftest"]:
        return selftest()
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", default=LIST)
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("fault", nargs="*")
    given = parser.parse_args()
    root, directory = given.root.resolve(), given.directory.resolve()
    blocks = blocks_of((root / given.list).read_text(encoding="utf-8"))
    directory.mkdir(parents=True, exist_ok=True)
    copy_tree(root, directory / "tree", blocks)
    faults = faults_of(blocks)
    if given.fault:
        faults = {name: faults[name] for name in given.fault}
    others = {OTHERS[item][0] for items in faults.values() for item in items if item in OTHERS}
    build(directory / "tree", directory / "build", [given.program, *sorted(others)])
    failed, unended = check(directory / "build", given.program, faults)
    print("\n".join(failed))
    print(f"noticed only by a case that did not end: {len(unended)}{': ' if unended else ''}{' '.join(unended)}")
    print(f"{len(faults)} faults, {len(failed)} not noticed as they should be")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
