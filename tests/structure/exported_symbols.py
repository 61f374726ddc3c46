#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sees that libportolan.so exports names of namespace portolan and no others.

usage: exported_symbols.py LIBRARY      or      exported_symbols.py --selftest
"""
import pathlib
import re
import subprocess
import tempfile

import source_tree

OURS = re.compile(r"(?:(?:vtable|VTT|typeinfo|typeinfo name|guard variable) for )?portolan::")


def check(library):
    listing = subprocess.run(["nm", "--dynamic", "--demangle", "--defined-only", library],
                             capture_output=True, text=True, check=True).stdout
    names = [line.split(" ", 2)[2] for line in listing.splitlines()]
    print(f"{len(names)} exported symbols")
    if not names:
        return ["it exports nothing"]
    return [f"exported: {name}" for name in names if not OURS.match(name)]


def selftest():
    source = "namespace portolan { struct A { virtual ~A(); }; A::~A() {} }\n"
    with tempfile.TemporaryDirectory() as directory:
        for text, complaints in [(source, []), ("", ["it exports nothing"]),
                                 (source + "int planted() { return 1; }", ["planted()"])]:
            code, library = pathlib.Path(directory, "a.cpp"), pathlib.Path(directory, "a.so")
            code.write_text(text, encoding="utf-8")
            subprocess.run(["c++", "-shared", "-fPIC", code, "-o", library], check=True)
            source_tree.expect(check(library), *complaints)


if __name__ == "__main__":
    source_tree.run(check, selftest)
