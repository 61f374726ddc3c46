#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs the build, moves the installed tree elsewhere, sees that its own programs start there, and builds and runs
the README's programs against it with nothing but pkg-config, as a user would.

usage: installed_tree.py ROOT BUILD      or      installed_tree.py --selftest
"""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

SECONDS = 60  # for one program of the README, which exchanges a few messages


def programs(text):
    """The C++ blocks of a Markdown text, each a whole program."""
    return re.findall(r"^```cpp\n(.*?)^```", text, re.M | re.S)


def run(command, **options):
    result = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, **options)
    if result.returncode != 0:
        words = " ".join(map(str, command))
        raise RuntimeError(f"{words}\nended with {result.returncode}\n{result.stdout[-2000:]}{result.stderr[-4000:]}")
    return result.stdout


def moved_installation(build, directory):
    """Installs into one place, renames it to another, and returns where portolan.pc is now."""
    run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", directory / "first"])
    (directory / "first").rename(directory / "second")
    found = list((directory / "second").rglob("portolan.pc"))
    if len(found) != 1:
        raise RuntimeError(f"installed pkg-config files: {found}")
    return found[0].parent


def start_installed(directory):
    """Each program that was installed says its version, with nobody to tell it where the library is."""
    programs = [each for each in (directory / "second").rglob("bin/*") if os.access(each, os.X_OK)]
    environment = {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"}
    for program in programs:
        run([program, "--version"], env=environment, timeout=SECONDS)
    return len(programs)


def build_and_run(text, directory, pkgconfig):
    environment = os.environ | {"PKG_CONFIG_PATH": str(pkgconfig)}
    flags = shlex.split(run(["pkg-config", "--cflags", "--libs", "portolan"], env=environment))
    for flag in flags:
        if flag.startswith(("-I", "-L")) and not pathlib.Path(flag[2:]).is_dir():
            raise RuntimeError(f"pkg-config names {flag}, which is not there any more")
    library = run(["pkg-config", "--variable=libdir", "portolan"], env=environment).strip()
    for number, program in enumerate(programs(text)):
        source, binary = directory / f"program{number}.cpp", directory / f"program{number}"
        source.write_text(program, encoding="utf-8")
        run(["c++", "-std=c++20", "-Wall", "-Wextra", "-Werror", source, "-o", binary, *flags])
        run([binary], env=os.environ | {"LD_LIBRARY_PATH": library}, timeout=SECONDS)


def check(root, build):
    text = (root / "README.md").read_text(encoding="utf-8")
    if not programs(text):
        raise RuntimeError("README.md holds no program")
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        pkgconfig = moved_installation(build, directory)
        started = start_installed(directory)
        build_and_run(text, directory, pkgconfig)
    print(f"{started} programs started where they are now, {len(programs(text))} of the README built and run")


SELFTEST_PROJECT = {
    "meson.build": "project('portolan', 'cpp', version: '1', default_options: ['pkgconfig.relocatable=%s'])\n"
                   "l = library('portolan', 'a.cpp', install: true)\ninstall_headers('a.hpp')\n"
                   "executable('tool', 'tool.cpp', link_with: l, install: true,\n"
                   "  install_rpath: '$ORIGIN/../' / get_option('libdir') / '%s')\n"
                   "import('pkgconfig').generate(l)\n",
    "tool.cpp": "int answer();\nint main() { return answer() == 0; }\n",
    "a.cpp": "int answer() { return 42; }\n",
    "a.hpp": "int answer();\n",
    "README.md": "```cpp\n#include <a.hpp>\nint main() { return answer() == %d ? 0 : 1; }\n```\n",
}


def selftest():
    for relocatable, rpath, answer, fails in [("true", ".", 42, None), ("false", ".", 42, "not there any more"),
                                              ("true", "none", 42, "ended with 127"), ("true", ".", 43, "ended with 1")]:
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            for path, text in SELFTEST_PROJECT.items():
                value = (relocatable, rpath) if path == "meson.build" else answer
                (root / path).write_text(text % value if "%" in text else text, encoding="utf-8")
            run(["meson", "setup", root / "build", root])
            run(["ninja", "-C", root / "build"])
            try:
                check(root, root / "build")
            except RuntimeError as error:
                if fails is None or fails not in str(error):
                    raise
            else:
                if fails:
                    sys.exit(f"self-test: nothing complains of '{fails}'")


def main():
    if sys.argv[1] == "--selftest":
        return selftest()
    try:
        check(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
    except RuntimeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
