#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds every #include equal to the include table of docs/architecture.md, in both directions.

The table's columns: place | may include | libraries | system headers. A place is a directory or a file, which may be
a pattern, and the most specific row counts. `may include` names directories or single headers of this tree; a place
may always include itself. `libraries` names header prefixes such as `boost/interprocess`; `system headers` is `any`,
`no` or a list. The C++ standard library needs no permission. A permission that nothing uses is reported, too.
"""
import fnmatch
import re
import tempfile

import source_tree

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)

STANDARD = set("""
algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat charconv chrono cinttypes climits
clocale cmath compare complex concepts condition_variable coroutine csetjmp csignal cstdarg cstddef cstdint cstdio
cstdlib cstring ctime cuchar cwchar cwctype deque exception execution filesystem format forward_list fstream
functional future initializer_list iomanip ios iosfwd iostream istream iterator latch limits list locale map memory
memory_resource mutex new numbers numeric optional ostream queue random ranges ratio regex scoped_allocator
semaphore set shared_mutex source_location span sstream stack stdexcept stop_token streambuf string string_view
syncstream system_error thread tuple type_traits typeindex typeinfo unordered_map unordered_set utility valarray
variant vector version""".split())

# Headers that are a library's and not the system's.
LIBRARY_ROOTS = ("boost/", "doctest/", "benchmark/", "CLI/", "cbor/", "fmt/", "glib-unix.h", "openssl/", "relacy/",
                 "systemd/", "utf8cpp/", "uv.h")


def backticked(cell):
    return re.findall(r"`([^`]+)`", cell)


class Row:
    def __init__(self, cells):
        self.place = backticked(cells[0])[0].rstrip("/")
        self.inside = [name.rstrip("/") for name in backticked(cells[1])]
        self.libraries = backticked(cells[2])
        self.system = backticked(cells[3])
        self.any_system = cells[3] == "any"
        self.used = set()

    def covers(self, path):
        return fnmatch.fnmatch(str(path), self.place) or str(path).startswith(self.place + "/")

    def allows(self, permissions, header):
        """Whether one of the permissions is the header or a prefix of its path; remembers which."""
        for name in permissions:
            if header == name or header.startswith((name + "/", name + ".")):
                self.used.add(name)
                return True
        return False

    def unused(self):
        for name in self.inside + self.libraries + self.system:
            if name not in self.used:
                yield f"docs/architecture.md: `{self.place}` may include `{name}`, but nothing there does"
        if self.any_system and "any" not in self.used:
            yield f"docs/architecture.md: `{self.place}` may include any system header, but includes none"


def place_in_tree(root, path, bracket, header):
    """Where a header lies in this tree, None if it does not."""
    if bracket == "<":
        return f"include/{header}" if header.startswith("portolan/") else None
    for directory in (path.parent, "src", "include", "tests", "bench", "daemon"):
        candidate = root / directory / header
        if candidate.is_file():
            return str(candidate.relative_to(root))
    return f"(nowhere)/{header}"


def check_include(root, row, path, bracket, header):
    inside = place_in_tree(root, path, bracket, header)
    if inside is not None:
        home = row.place if not row.place.endswith(".hpp") else None
        if home and inside.startswith(home + "/"):
            return None
        return None if row.allows(row.inside, inside) else f"{path} includes {inside}"
    if header in STANDARD:
        return None
    if header.startswith(LIBRARY_ROOTS):
        return None if row.allows(row.libraries, header) else f"{path} includes the library header <{header}>"
    if row.any_system:
        row.used.add("any")
        return None
    return None if row.allows(row.system, header) else f"{path} includes the system header <{header}>"


def check(root):
    rows = [Row(cells) for cells in source_tree.table(source_tree.read(root, "docs/architecture.md"), "place")]
    if not rows:
        return ["docs/architecture.md: no include table"]
    rows.sort(key=lambda row: -len(row.place))
    complaints, seen = [], set()
    for path in source_tree.files(root, {".hpp", ".cpp"}):
        row = next((row for row in rows if row.covers(path)), None)
        if row is None:
            complaints.append(f"{path}: no row of the include table covers it")
            continue
        seen.add(row.place)
        text = source_tree.read(root, path)
        code = source_tree.code_only(text)
        for match in INCLUDE.finditer(text):
            if code[match.start():match.end()].strip().startswith("#"):
                complaint = check_include(root, row, path, *match.groups())
                if complaint:
                    complaints.append(f"{complaint}, which the row `{row.place}` does not allow")
    for row in rows:
        if row.place in seen:
            complaints.extend(row.unused())
        else:
            complaints.append(f"docs/architecture.md: there is nothing in `{row.place}`")
    return complaints


def selftest():
    tree = {
        "docs/architecture.md": "| place | may include | libraries | system headers |\n|---|---|---|---|\n"
                                "| `src/low` | - | - | any |\n"
                                "| `src/high` | `src/low` | `boost/map` | no |\n"
                                "| `src/high/wide.hpp` | `src/high` | `boost/any` | `poll.h` |\n",
        "src/low/a.hpp": "#include <unistd.h>\n#include <vector>\n",
        "src/high/b.hpp": '#include <boost/map/map.hpp>\n#include "low/a.hpp"\n// #include <poll.h>\n',
        "src/high/wide.hpp": '#include "high/b.hpp"\n#include <boost/any.hpp>\n#include <poll.h>\n',
    }
    faults = [
        ({}, []),
        ({"src/low/c.cpp": '#include "high/b.hpp"\n'}, ["src/low/c.cpp includes src/high/b.hpp"]),
        ({"src/high/c.cpp": "#include <poll.h>\n"}, ["system header <poll.h>"]),
        ({"src/high/c.cpp": "#include <boost/any.hpp>\n"}, ["library header <boost/any.hpp>"]),
        ({"src/other/c.cpp": "\n"}, ["no row of the include table covers it"]),
        ({"src/high/b.hpp": '#include "low/a.hpp"\n'}, ["may include `boost/map`, but nothing there does"]),
        ({"src/low/a.hpp": "#include <vector>\n"}, ["may include any system header, but includes none"]),
        ({"src/high/wide.hpp": '#include "high/b.hpp"\n#include <poll.h>\n'}, ["may include `boost/any`, but nothing"]),
    ]
    for fault, complaints in faults:
        with tempfile.TemporaryDirectory() as directory:
            source_tree.plant(directory, tree | fault)
            source_tree.expect(check(source_tree.pathlib.Path(directory)), *complaints)


if __name__ == "__main__":
    source_tree.run(check, selftest)
