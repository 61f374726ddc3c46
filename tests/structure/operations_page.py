#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What portoland logs, and what it and the names tell their users, is explained in docs/operations.md, in both directions.

The log: each event that daemon/ and src/broker can log has a row of the table `event`, and each row's events are logged.
The messages: a row of the table `message` quotes a part of what is said; `...`, PATH, N, M and OPTION stand for what
differs. Each statement of src/names, src/broker and daemon/ that says something of three words or more has a row, and each
row is said by one.

usage: operations_page.py ROOT      or      operations_page.py --selftest
"""
import pathlib
import re
import tempfile

import source_tree

PAGE = "docs/operations.md"
EVENT = re.compile(r'(?:\bsay\(\s*LogLevel::\w+,|\bdoom\(\s*\*?\w+,)\s*"(\w+)"|'
                   r'\bwrite_line\(\s*(?:LogLevel::)?\w+,\s*(?:fmt::format\()?"(\w+)')
LITERAL = re.compile(r'"((?:\\.|[^"\\\n])*)"')
DIFFERS = re.compile(r"\.\.\.|\bPATH\b|\bN\b|\bM\b|\bOPTION\b")
FIELD = re.compile(r'\w=(?:\{|\\?")')  # of a line of the log
# Said to nobody: what is put into an error that another statement explains, a program's own help, and its keys.
NO_MESSAGES = re.compile(r"add_(?:option|flag)|set_\w*flag|CLI::|:%Y-%m-%d|it runs on|static_assert|#include")


def places(root, *folders):
    for folder in folders:
        for path in sorted(pathlib.Path(root, folder).glob("*.?pp")):
            yield path.relative_to(root), without_comments(path.read_text(encoding="utf-8"))


def without_comments(text):
    return re.sub(r'("(?:\\.|[^"\\\n])*")|//[^\n]*', lambda match: match.group(1) or "", text)


def events_in(root):
    found = {}
    for path, text in places(root, "src/broker", "daemon"):
        for match in EVENT.finditer(text):
            found.setdefault(match.group(1) or match.group(2), path)
    return found


def statements(text):
    """The literals of each statement, those that stand side by side joined."""
    text = re.sub(r'"\s*\n\s*"', "", text)
    position, start, pieces = 0, 0, []
    for match in LITERAL.finditer(text):
        for end in re.finditer(r"[;{}]", text[position:match.start()]):
            if pieces:
                yield text[start:position + end.start()], pieces
            start, pieces = position + end.end(), []
        pieces.append(match.group(1).replace('\\"', '"'))
        position = match.end()
    if pieces:
        yield text[start:], pieces


def sayings(root):
    for path, text in places(root, "src/names", "src/broker", "daemon"):
        for statement, pieces in statements(text):
            words = [piece for piece in pieces if len(piece.split()) >= 3 and not FIELD.search(piece)]
            if words and not NO_MESSAGES.search(statement):
                yield path, words


def fragments(cell):
    for quoted in re.findall(r"`([^`]+)`", cell):
        parts = [part.strip() for part in DIFFERS.split(quoted)]
        yield quoted, [part for part in parts if len(part) > 8]


def check(root):
    page = source_tree.read(root, PAGE)
    logged = events_in(root)
    told = {name for row in source_tree.table(page, "event") for name in re.findall(r"`(\w+)`", row[0])}
    complaints = [f"{logged[name]} logs {name}, which {PAGE} does not explain" for name in sorted(set(logged) - told)]
    complaints += [f"{PAGE} explains {name}, which nothing logs" for name in sorted(told - set(logged))]
    rows = [entry for row in source_tree.table(page, "message") for entry in fragments(row[0])]
    said = list(sayings(root))
    everything = "\n".join("\n".join(words) for _, words in said)
    for path, words in said:
        if not any(part in piece for piece in words for _, parts in rows for part in parts):
            complaints.append(f"{path} says \"{words[0]}\", which {PAGE} does not explain")
    for quoted, parts in rows:
        if not any(part in everything for part in parts):
            complaints.append(f"{PAGE} explains `{quoted}`, which nothing says")
    return complaints


def selftest():
    page = ("| message | meaning |\n|---|---|\n| `no such thing at ...; m` | make it |\n\n"
            "| event | level | meaning |\n|---|---|---|\n| `begun`, `ended` | info | both |\n")
    code = ('log.say(LogLevel::info, "begun", "uid=" + uid);  // "a remark of words"\n'
            'doom(connection, "ended", "it has gone away");\n'
            'throw PortError(e, "there is no such thing at " + place +\n    "; make it, or not");\n')
    tree = {PAGE: page.replace("; m` |", "; m`, `it has gone` |"), "src/broker/a.cpp": code}
    faults = [
        ({}, []),
        ({"daemon/b.cpp": 'write_line(LogLevel::error, fmt::format("new_event why={}", 1));\n'}, ["logs new_event"]),
        ({"src/names/b.cpp": 'fail("a message that nobody knows; do this");\n'}, ["a message that nobody knows"]),
        ({"src/broker/a.cpp": code.replace("ended", "begun")}, ["explains ended"]),
        ({"src/broker/a.cpp": code.replace("no such thing at", "a lack of")},
         ["says \"there is a lack of", "`no such thing at ...; m`, which nothing says"]),
    ]
    for fault, complaints in faults:
        with tempfile.TemporaryDirectory() as directory:
            source_tree.plant(directory, tree | fault)
            source_tree.expect(check(pathlib.Path(directory)), *complaints)


if __name__ == "__main__":
    source_tree.run(check, selftest)
