#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Code in docs/*.md below a line <!-- FILE --> stands in FILE, word for word, so that what is read there compiles.

usage: quoted_code.py ROOT      or      quoted_code.py --selftest
"""
import pathlib
import re
import sys
import tempfile

QUOTED = re.compile(r"^<!-- ([\w./-]+) -->\n```cpp\n(.*?)^```$", re.M | re.S)


def complaints(root):
    root, quoted = pathlib.Path(root), 0
    for page in sorted((root / "docs").glob("**/*.md")):
        for name, code in QUOTED.findall(page.read_text(encoding="utf-8")):
            quoted += 1
            file = root / name
            if not file.is_file() or code not in file.read_text(encoding="utf-8"):
                yield f"{page.relative_to(root)}: what it quotes of {name} does not stand there"
    if quoted == 0:
        yield "docs: nothing is quoted"


def selftest():
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        (root / "docs").mkdir()
        (root / "a.cpp").write_text("int a;\nint b;\n", encoding="utf-8")
        page = root / "docs/page.md"
        page.write_text("<!-- a.cpp -->\n```cpp\nint b;\n```\n", encoding="utf-8")
        right = list(complaints(root))
        page.write_text("<!-- a.cpp -->\n```cpp\nint c;\n```\n", encoding="utf-8")
        wrong = list(complaints(root))
        page.write_text("```cpp\nint c;\n```\n", encoding="utf-8")
        nothing = list(complaints(root))
    return [] if not right and len(wrong) == 1 and len(nothing) == 1 else [f"self-test: {right}, {wrong}, {nothing}"]


if __name__ == "__main__":
    found = selftest() if sys.argv[1] == "--selftest" else list(complaints(sys.argv[1]))
    print("\n".join(found), end="\n" if found else "")
    sys.exit(1 if found else 0)
