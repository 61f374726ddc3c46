#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles every public header alone with gcc, and those that include the others with clang as well where it is
installed, under the strictest warnings this project promises, and sees that Boost comes in only through the headers that say so.

usage: public_headers.py ROOT      or      public_headers.py --selftest
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import source_tree

WARNINGS = "-std=c++20 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror".split()
BOOST = re.compile(r"(?:value_\w+|values|portolan|asio(?:_\w+)?)\.hpp")  # portolan.hpp is everything, values.hpp included
OUTERMOST = re.compile(r"(?:portolan|port|values|value|asio|coroutine)\.hpp")


def check_header(root, compiler, header):
    with tempfile.TemporaryDirectory() as directory:
        source = pathlib.Path(directory, "alone.cpp")
        source.write_text(f"#include <portolan/{header}>\n#include <portolan/{header}>\n", encoding="utf-8")
        dependencies = pathlib.Path(directory, "alone.d")
        result = subprocess.run(
            [compiler, *WARNINGS, "-fsyntax-only", "-I", root / "include", "-MD", "-MF", dependencies, source],
            capture_output=True, text=True, check=False)
        if result.returncode != 0:
            return [f"{header} does not compile alone with {compiler}:\n{result.stderr[:2000]}"]
        boost = re.search(r"\S*/boost/\S+", dependencies.read_text(encoding="utf-8"))
        if boost and not BOOST.fullmatch(header):
            return [f"{header} brings in {boost.group()}"]
    return []


def check(root):
    headers = [str(path.relative_to("include/portolan")) for path in source_tree.files(root, {".hpp"}, ["include"])]
    if not headers:
        return ["nothing to do: no headers"]
    pairs = [("g++", header) for header in headers]
    if shutil.which("clang++"):
        pairs += [("clang++", header) for header in headers if OUTERMOST.fullmatch(header)]
    print(f"{len(headers)} headers, {len(pairs)} times")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(check_header, root, compiler, header) for compiler, header in pairs]
        return [complaint for job in jobs for complaint in job.result()]


def selftest():
    fine = "#pragma once\n#include <string>\ninline std::string name() { return {}; }\n"
    faults = [
        (fine, []),
        (fine.replace("#include <string>\n", ""), ["does not compile alone"]),
        (fine + "inline int narrow(long wide) { return wide; }\n", ["does not compile alone"]),
        (fine.replace("<string>", "<string>\n#include <boost/version.hpp>"), ["brings in"]),
    ]
    for text, complaints in faults:
        with tempfile.TemporaryDirectory() as directory:
            source_tree.plant(directory, {"include/portolan/a.hpp": text})
            source_tree.expect(check(pathlib.Path(directory)), *complaints)
    if shutil.which("clang++"):
        with tempfile.TemporaryDirectory() as directory:
            source_tree.plant(directory, {"include/portolan/port.hpp": "#ifdef __clang__\n#error\n#endif\n"})
            source_tree.expect(check(pathlib.Path(directory)), "does not compile alone with clang++")


if __name__ == "__main__":
    source_tree.run(check, selftest)
