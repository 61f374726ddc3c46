#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds a small project that has this tree as its Meson subproject, runs it, and sees that it brought no tests.

usage: subproject.py ROOT      or      subproject.py --selftest
"""
import json
import pathlib
import sys
import tempfile

import installed_tree

CONSUMER = """project('consumer', 'cpp', default_options: ['cpp_std=c++20', 'buildtype=plain'])
executable('consumer', 'main.cpp', dependencies: dependency('portolan'))
"""


def check(root):
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        program = installed_tree.programs((root / "README.md").read_text(encoding="utf-8"))[0]
        (directory / "main.cpp").write_text(program, encoding="utf-8")
        (directory / "meson.build").write_text(CONSUMER, encoding="utf-8")
        (directory / "subprojects").mkdir()
        (directory / "subprojects/portolan").symlink_to(root.resolve())
        build = directory / "build"
        installed_tree.run(["meson", "setup", build, directory])
        tests = json.loads(installed_tree.run(["meson", "introspect", "--tests", build]))
        if tests:
            raise RuntimeError(f"a subproject brings tests: {[test['name'] for test in tests]}")
        installed_tree.run(["ninja", "-C", build])
        installed_tree.run([build / "consumer"], timeout=installed_tree.SECONDS)


def selftest():
    project = ("project('portolan', 'cpp', version: '1')\n"
               "meson.override_dependency('portolan', declare_dependency(include_directories: '.'))\n")
    planted = "test('planted', find_program('true'))\n"
    for extra, fails in [("", None), (planted, "brings tests")]:
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            (root / "meson.build").write_text(project + extra, encoding="utf-8")
            (root / "a.hpp").write_text("", encoding="utf-8")
            (root / "README.md").write_text("```cpp\n#include <a.hpp>\nint main() {}\n```\n", encoding="utf-8")
            try:
                check(root)
            except RuntimeError as error:
                if fails is None or fails not in str(error):
                    raise
            else:
                if fails:
                    sys.exit(f"self-test: nothing complains of '{fails}'")


if __name__ == "__main__":
    try:
        selftest() if sys.argv[1] == "--selftest" else check(pathlib.Path(sys.argv[1]))
    except RuntimeError as error:
        sys.exit(str(error))
