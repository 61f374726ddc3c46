#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds docs/reliability.md to the tree: every promise P1 to P12 has a row, every test that a row names is there, and
every committed result is one that passed.

usage: promise_table.py ROOT | promise_table.py --selftest
"""
import json
import re
import tempfile

import rule_table
import source_tree

PAGE = "docs/reliability.md"
PROMISES = [f"P{number}" for number in range(1, 13)]
LINK = re.compile(r"\]\(([^)]+\.json)\)")


def results_of(root, cells):
    """(complaint or None) of each result that a row links to."""
    for link in LINK.findall(" ".join(cells)):
        path = (root / PAGE).parent / link
        if not path.is_file():
            yield f"{PAGE}: {cells[0]}: {link} is not there"
            continue
        result = json.loads(path.read_text(encoding="utf-8"))
        if not result.get("commit"):
            yield f"{PAGE}: {cells[0]}: {link} does not say of which commit it is"
        if result.get("failed") or any(run.get("failed") for run in result.get("runs", [])):
            yield f"{PAGE}: {cells[0]}: {link} tells of a failure"


def check(root):
    tests = set()
    for path in source_tree.files(root, (".cpp", ".py"), ("tests",)):
        text = source_tree.read(root, path)
        tests.update(rule_table.title(match) for match in rule_table.TEST_CASE.findall(text))
        tests.update(name.replace("_", " ") for name in re.findall(r"def test_(\w+)", text))
    rows = source_tree.table(source_tree.read(root, PAGE), "promise")
    complaints = []
    for cells in rows:
        names = re.findall(r'"([^"]+)"', cells[1])
        complaints += [f'{PAGE}: {cells[0]}: no test is called "{name}"' for name in names if name not in tests]
        complaints += results_of(root, cells)
        if not names and not re.search(r"`[^`]+`", cells[1]):
            complaints.append(f"{PAGE}: {cells[0]}: nothing checks this promise")
    told = {cells[0].split()[0] for cells in rows}
    complaints += [f"{PAGE}: no row of {promise}" for promise in PROMISES if promise not in told]
    return complaints


def selftest():
    def page(*rows):
        return "| promise | test | result |\n|---|---|---|\n" + "".join(f"| {row} |\n" for row in rows)

    rest = [f'{promise} x | "it holds" | -' for promise in PROMISES[1:]]
    tree = {
        PAGE: page('P1 x | "it holds", "all is well" | [r](r.json)', *rest),
        "docs/r.json": '{"commit": "a", "failed": 0}',
        "tests/t.cpp": 'TEST_CASE("it "\n          "holds") {}\n',
        "tests/t.py": "def test_all_is_well(self):\n",
    }
    faults = [
        ({}, []),
        ({PAGE: page('P1 x | "it does not" | -', *rest)}, ['no test is called "it does not"']),
        ({PAGE: page("P1 x | - | -", *rest)}, ["nothing checks this promise"]),
        ({PAGE: page(*rest)}, ["no row of P1"]),
        ({"docs/r.json": '{"commit": "a", "failed": 2}'}, ["tells of a failure"]),
        ({PAGE: page('P1 x | "it holds" | [r](s.json)', *rest)}, ["s.json is not there"]),
    ]
    for fault, complaints in faults:
        with tempfile.TemporaryDirectory() as directory:
            source_tree.plant(directory, tree | fault)
            source_tree.expect(check(source_tree.pathlib.Path(directory)), *complaints)


if __name__ == "__main__":
    source_tree.run(check, selftest)
