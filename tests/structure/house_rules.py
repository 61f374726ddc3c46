#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules of the house that a machine can hold: file sizes, licence lines, file names, no leftovers, and no path that
only works on one machine or leads out of this tree. Links between documents lead somewhere.

usage: house_rules.py ROOT      or      house_rules.py --selftest
"""
import pathlib
import re
import tempfile

import source_tree

LINE_LIMIT = 400
CODE = {".hpp", ".cpp", ".py", ".sh", ".pml", ".inc"}
SPDX = "SPDX-License-Identifier: Apache-2.0"
# Spelt so that this file does not hold them itself.
LEFTOVER = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
CATCH_ALL = re.compile(r"(?:^|_)(?:utils?|common|helpers?|misc|managers?)(?:_|$)")
# Where an absolute path may lead: what every Debian has, and `/nonexistent`, which it promises not to have.
SYSTEM = "bin|boot|dev|etc|lib|nonexistent|opt|proc|run|sbin|sys|tmp|usr|var"
ABSOLUTE = re.compile(r"(?<![\w.$}~<>*:\])/\\-])/(?!(?:%s)\b)([a-z][\w-]*)/[\w.]" % SYSTEM)
CLIMB = re.compile(r"(?<![\w./])((?:\.\./)+)([\w.-]*)")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
TOP = ("README.md", "dev", ".ci/run", "meson.build", "meson_options.txt", ".clang-tidy")


def check_text(root, path, text):
    complaints = []
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{path}:{number}"
        if LEFTOVER.search(line):
            complaints.append(f"{where}: left over: {line.strip()}")
        if match := ABSOLUTE.search(line):
            complaints.append(f"{where}: a path of one machine: {match.group()}")
        for climb in CLIMB.finditer(line):
            if climb.group(1).count("../") > len(path.parts) - 1:
                complaints.append(f"{where}: leads out of the tree: {climb.group()}")
    if path.suffix == ".md":
        for link in LINK.findall(re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)):
            if not (root / path.parent / link).exists():
                complaints.append(f"{path}: links to {link}, which is not there")
    return complaints


def check_code(path, text):
    complaints = []
    lines = text.splitlines()
    if len(lines) > LINE_LIMIT:
        complaints.append(f"{path}: {len(lines)} lines, more than {LINE_LIMIT}")
    if SPDX not in "\n".join(lines[:2]):
        complaints.append(f"{path}: no licence line")
    if not re.fullmatch(r"[a-z0-9_]+\.\w+", path.name):
        complaints.append(f"{path}: a file name is in snake case")
    if CATCH_ALL.search(path.stem):
        complaints.append(f"{path}: name it for what it does")
    if path.suffix == ".hpp" and "#pragma once" not in lines:
        complaints.append(f"{path}: no #pragma once")
    return complaints


def check(root):
    complaints = []
    for path in source_tree.files(root, CODE):
        complaints += check_code(path, source_tree.read(root, path))
    texts = source_tree.files(root, CODE | {".md", ".build", ".map", ".dot"})
    texts += [pathlib.Path(name) for name in TOP if (root / name).is_file()]
    for path in texts:
        complaints += check_text(root, path, source_tree.read(root, path))
    return complaints


def selftest():
    fine = f"// {SPDX}\n#pragma once\n// reads /proc/self/fd and <a/b.hpp>, 1/2, see ../docs/a.md\n"
    faults = [
        ({}, []),
        ({"src/b.cpp": f"// {SPDX}\n" + "\n" * LINE_LIMIT}, ["more than 400"]),
        ({"src/b.cpp": "int a;\n"}, ["no licence line"]),
        ({"src/b.hpp": f"// {SPDX}\n"}, ["no #pragma once"]),
        ({"src/B.cpp": f"// {SPDX}\n"}, ["snake case"]),
        ({"src/ring_utils.cpp": f"// {SPDX}\n"}, ["name it for what it does"]),
        ({"src/b.cpp": f"// {SPDX}\n// TO" "DO later\n"}, ["left over"]),
        ({"docs/b.md": "look at /home/" "me/notes\n"}, ["of one machine"]),
        ({"docs/b.md": "look at ../" "../notes\n"}, ["out of the tree"]),
        ({"docs/b.md": "[a](a.md) [b](missing.md)\n```\n[](c)\n```\n"}, ["missing.md, which is not there"]),
    ]
    for fault, complaints in faults:
        with tempfile.TemporaryDirectory() as directory:
            source_tree.plant(directory, {"src/a.hpp": fine, "docs/a.md": "fine\n"} | fault)
            source_tree.expect(check(pathlib.Path(directory)), *complaints)


if __name__ == "__main__":
    source_tree.run(check, selftest)
