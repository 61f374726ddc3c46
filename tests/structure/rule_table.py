#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds docs/rules.md to the tree: every test and mutation that it names is there, and it names every mutation.

usage: rule_table.py ROOT | rule_table.py --selftest
"""
import pathlib
import re
import sys
import tempfile

import source_tree

TABLE = "docs/rules.md"
ROW = re.compile(r"^\| (?!rule \|)(?!---)(.+?) \| (.+?) \| (.+?) \|$", re.M)
TEST_CASE = re.compile(r'TEST_CASE\(\s*((?:"(?:\\.|[^"\\])*"\s*)+)')
MUTANT = re.compile(r"^//! mutant (\w+)", re.M)


def title(literals):
    return "".join(re.findall(r'"((?:\\.|[^"\\])*)"', literals)).replace('\\"', '"')


def check(root):
    tests, mutants = set(), set()
    for path in source_tree.files(root, (".cpp", ".pml"), ("tests",)):
        text = source_tree.read(root, path)
        tests.update(title(match) for match in TEST_CASE.findall(text))
        mutants.update(MUTANT.findall(text))
    complaints, named = [], set()
    rows = ROW.findall(source_tree.read(root, TABLE))
    for rule, mutations, names in rows:
        for mutation in re.findall(r"`(\w+)`", mutations):
            named.add(mutation)
            if mutation not in mutants:
                complaints.append(f"{TABLE}: no model has the mutation {mutation} ({rule})")
        for name in re.findall(r'"([^"]+)"', names):
            if name not in tests:
                complaints.append(f'{TABLE}: no test is called "{name}" ({rule})')
        if not re.search(r'[`"]', mutations + names):
            complaints.append(f"{TABLE}: nothing checks this rule: {rule}")
    complaints += [f"{TABLE}: the mutation {mutant} is of no rule" for mutant in sorted(mutants - named)]
    if not rows:
        complaints.append(f"{TABLE}: there is no row")
    return complaints


def self_test():
    planted = {
        TABLE: '| rule | mutation | test |\n|---|---|---|\n| a | `FIRST` | "it holds" |\n| b | `GONE` | "it does not" |\n'
               "| c | - | - |\n",
        "tests/model/m.pml": "//! mutant FIRST\n//! mutant SECOND quick\n",
        "tests/t.cpp": 'TEST_CASE("it "\n          "holds") {}\n',
    }
    with tempfile.TemporaryDirectory() as directory:
        for name, text in planted.items():
            path = pathlib.Path(directory, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        found = "\n".join(check(pathlib.Path(directory)))
    missed = [word for word in ("GONE", "it does not", "SECOND", "rule: c") if word not in found]
    if missed or "FIRST" in found or '"it holds"' in found:
        return [f"self-test: missed {missed} in\n{found}"]
    return []


def main():
    complaints = self_test() if sys.argv[1] == "--selftest" else check(pathlib.Path(sys.argv[1]))
    print("\n".join(complaints), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
