# SPDX-License-Identifier: Apache-2.0
"""The source tree as the structure tests see it: its files, and C++ text with comments and strings blanked."""
import pathlib
import re
import sys

CODE_DIRECTORIES = ("include", "src", "daemon", "tests", "bench", "docs")


def files(root, suffixes, directories=CODE_DIRECTORIES):
    """Relative paths below `directories` with one of the suffixes, sorted."""
    found = []
    for directory in directories:
        for path in pathlib.Path(root, directory).rglob("*"):
            relative = path.relative_to(root)
            if path.suffix in suffixes and path.is_file() and "__pycache__" not in relative.parts:
                found.append(relative)
    return sorted(found)


def read(root, path):
    return pathlib.Path(root, path).read_text(encoding="utf-8")


_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|(?<![\w\'])\'(?:\\.|[^\'\\\n])*\'',
    re.S)


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def code_only(text):
    """The text with comments and the insides of literals replaced by spaces; every offset stays what it was."""
    def replace(match):
        token = match.group()
        if token.startswith(("//", "/*")):
            return _blank(token)
        return token[0] + _blank(token[1:-1]) + token[-1]
    return _TOKEN.sub(replace, text)


def table(text, first_cell):
    """Rows of the Markdown table whose header starts with `first_cell`: lists of cells, without header and rule."""
    rows, inside = [], False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.strip().startswith("|") else None
        if cells is None:
            inside = False
        elif cells[0] == first_cell:
            inside = True
        elif inside and not re.fullmatch(r":?-+:?", cells[0]):
            rows.append(cells)
    return rows


def plant(directory, contents):
    """Writes a small tree for a self-test: {path: text}."""
    for path, text in contents.items():
        target = pathlib.Path(directory, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def expect(complaints, *fragments):
    """For self-tests: one complaint for each fragment, and no other."""
    left = list(complaints)
    for fragment in fragments:
        match = next((complaint for complaint in left if fragment in complaint), None)
        if match is None:
            sys.exit(f"self-test: nothing complains of '{fragment}': {complaints}")
        left.remove(match)
    if left:
        sys.exit(f"self-test: unexpected complaints: {left}")


def run(check, selftest):
    """main() of a structure test: `SCRIPT ROOT` prints complaints and fails if there are any; or `--selftest`."""
    if sys.argv[1] == "--selftest":
        return selftest()
    complaints = check(pathlib.Path(sys.argv[1]))
    for complaint in complaints:
        print(complaint)
    sys.exit(1 if complaints else 0)
