#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles each source of the library and the daemon by itself, as a build without Meson's unity files does: a source
that leans on what its neighbours in such a file include fails here. It is read and not turned into code.

usage: sources_alone.py ROOT BUILD [COMPILER]      or      sources_alone.py --selftest
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

import source_tree

INCLUDED = re.compile(r'#include\s*[<"](/[^>"]+)[>"]')
DIRECTORIES = ("src", "daemon")


def flags_of(command):
    """What decides whether a source is right: where headers are, macros, the language."""
    words = shlex.split(command)
    return [word for word in words if re.match(r"-I.|-D.|-std=|-isystem.", word)]


def sources(root, build):
    """Each source that the build has in these directories: its flags."""
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        file = pathlib.Path(entry["directory"], entry["file"]).resolve()
        unity = "-unity" in file.name and build.resolve() in file.parents
        members = INCLUDED.findall(file.read_text(encoding="utf-8")) if unity else [file]
        for member in (pathlib.Path(name).resolve() for name in members):
            if any((root / directory).resolve() in member.parents for directory in DIRECTORIES):
                found.setdefault(member, flags_of(entry["command"]))
    return found


def check_source(compiler, build, source, flags):
    result = subprocess.run([compiler, "-fsyntax-only", "-w", *flags, source],
                            cwd=build, capture_output=True, text=True, check=False)
    return [] if result.returncode == 0 else [f"{source} does not compile alone:\n{result.stderr[:2000]}"]


def check(root, build, compiler):
    found = sources(root, build)
    complaints = [f"{path} is in no target of {build}" for path in source_tree.files(root, {".cpp"}, DIRECTORIES)
                  if (root / path).resolve() not in found]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(check_source, compiler, build, source, flags) for source, flags in found.items()]
        complaints += [complaint for job in jobs for complaint in job.result()]
    print(f"{len(found)} sources, each alone")
    return complaints


def selftest():
    fine = {"src/a.cpp": "#include <string>\nstd::string a() { return NAME; }\n",
            "src/b.cpp": "#include <string>\nstd::string b() { return NAME; }\n"}
    leaning = fine | {"src/b.cpp": "std::string b() { return NAME; }\n"}
    left_out = fine | {"src/c.cpp": ""}
    for tree, complaints in [(fine, []), (leaning, ["b.cpp does not compile alone"]), (left_out, ["c.cpp is in no target"])]:
        with tempfile.TemporaryDirectory() as directory:
            root, build = pathlib.Path(directory), pathlib.Path(directory, "build")
            source_tree.plant(root, tree)
            source_tree.plant(build, {
                "l.p/l-unity0.cpp": f"#include<{build.resolve()}/../src/a.cpp>\n#include<{build.resolve()}/../src/b.cpp>\n",
                "compile_commands.json": json.dumps([{
                    "directory": str(build), "file": "l.p/l-unity0.cpp",
                    "command": "c++ '-DNAME=\"n\"' -std=c++20 -O2 -o l.o -c l.p/l-unity0.cpp"}])})
            together = subprocess.run(["c++", "-fsyntax-only", '-DNAME="n"', build / "l.p/l-unity0.cpp"], check=False)
            if together.returncode != 0:
                sys.exit("self-test: what is planted does not compile together")
            source_tree.expect(check(root, build, "c++"), *complaints)


if __name__ == "__main__":
    if sys.argv[1] == "--selftest":
        selftest()
    else:
        wrong = check(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "c++")
        print("\n".join(wrong))
        sys.exit(1 if wrong else 0)
