#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes docs/conformance.md from the items, the cases that show them and the faults that those notice.

usage: conformance_table.py ROOT [--write]      or      conformance_table.py --selftest

tests/conformance/items.txt has the items M1 to M96. A case's name begins with the items that it shows: "[M56] [M94]
what was ...". An item either holds, with at least a case and a fault of mutants.txt, or differs for a reason of
language, which only those in MAY_DIFFER may. Without --write the page must be what this would make.
"""
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "conformance"))
import mutants  # noqa: E402

PAGE = "docs/conformance.md"
COUNT = 96
MAY_DIFFER = {3, 11, 15, 16, 28, 37, 50, *range(69, 73), *range(89, 93)}
CASE = re.compile(r'TEST_CASE\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)')
HEAD = """\
# Conformance

What the HTML and DOM standards say of `MessageChannel`, `MessagePort`, their events and `EventTarget`, item by item, and
whether it holds here. Made by `tests/structure/conformance_table.py . --write` from `tests/conformance`: a case shows its
item, and fails by the fault that is named beside it, which CI plants (`tests/conformance/mutants.py`). Names are in snake
case here. What differs does so because C++ has no scripts, no garbage collection and no dictionaries.

| item | what the standards say | here | shown by | fails by |
|---|---|---|---|---|
"""


def items_of(text):
    """Number: (what, kind, remark)."""
    items = {}
    for line in text.splitlines():
        if not line.startswith("M"):
            continue
        cells = [cell.strip() for cell in line.split(" | ")]
        kind, _, remark = cells[2].partition(":") if len(cells) > 2 else ("", "", "")
        items[int(cells[0][1:])] = (cells[1], kind, remark.strip())
    return items


def cases_of(root):
    """(number, name without its items) of all cases that show items."""
    for path in sorted((root / "tests").rglob("*_test.cpp")):
        for match in CASE.finditer(path.read_text(encoding="utf-8")):
            name = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', match.group(1)))
            shown, rest = re.match(r"((?:\[M\d+\] )*)(.*)", name).groups()
            for number in re.findall(r"\d+", shown):
                yield int(number), rest


def make(root):
    """(page, complaints)"""
    items = items_of((root / "tests/conformance/items.txt").read_text(encoding="utf-8"))
    faults = mutants.faults_of(mutants.blocks_of((root / "tests/conformance/mutants.txt").read_text(encoding="utf-8")))
    complaints = [f"items.txt: no M{number}" for number in range(1, COUNT + 1) if number not in items]
    shown = {}
    for number, name in cases_of(root):
        shown.setdefault(number, []).append(name)
    complaints += [f"a case shows M{number}, which is no item" for number in sorted(set(shown) - set(items))]
    rows = []
    for number, (what, kind, remark) in sorted(items.items()):
        noticed = sorted(name for name, noticing in faults.items() if f"M{number}" in noticing)
        if kind == "differs":
            here = f"differs: {remark}"
            if number not in MAY_DIFFER:
                complaints.append(f"M{number} may not differ")
        else:
            here = f"holds: {remark}" if remark else "holds"
            if number not in shown:
                complaints.append(f"no case shows M{number}")
            if not noticed:
                complaints.append(f"mutants.txt: no fault for M{number}")
        cases = "; ".join(f'"{name}"' for name in shown.get(number, [])) or "-"
        rows.append(f"| M{number} | {what} | {here} | {cases} | {' '.join(f'`{name}`' for name in noticed) or '-'} |\n")
    return HEAD + "".join(rows), complaints


def check(root):
    page, complaints = make(root)
    path = root / PAGE
    if not path.is_file() or path.read_text(encoding="utf-8") != page:
        complaints.append(f"{PAGE} is not what the tests say; tests/structure/conformance_table.py . --write")
    return complaints


def selftest():
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        (root / "docs").mkdir()
        (root / "tests/conformance").mkdir(parents=True)
        items = root / "tests/conformance/items.txt"
        faults = root / "tests/conformance/mutants.txt"
        cases = root / "tests/conformance/a_test.cpp"
        differing = "".join(f"M{n} | differs | differs: so\n" for n in sorted(MAY_DIFFER))
        holding = [n for n in range(1, COUNT + 1) if n not in MAY_DIFFER]

        def write(shown, noticed, text):
            items.write_text(text)
            faults.write_text(f"src/a.cpp\n- x\n+ MUTANT(a)\na: {' '.join(f'M{n}' for n in noticed)}\n")
            cases.write_text("".join(f'TEST_CASE("[M{n}] a "\n          "case") {{}}\n' for n in shown))

        def complaints():
            page, found = make(root)
            (root / PAGE).write_text(page)
            return found + check(root)[len(found):]

        held = "".join(f"M{n} | held\n" for n in holding)
        write(holding, holding, held + differing)
        assert complaints() == [], complaints()
        assert '| M1 | held | holds | "a case" | `a` |' in (root / PAGE).read_text()
        (root / PAGE).write_text("another page")
        assert any("is not what the tests say" in found for found in check(root))
        for shown, noticed, text, expected in [
            (holding[1:], holding, held + differing, "no case shows M1"),
            (holding, holding[1:], held + differing, "no fault for M1"),
            ([*holding, 97], holding, held + differing, "M97, which is no item"),
            (holding, holding, held, "no M3"),
            (holding, holding, held.replace("M1 | held\n", "M1 | held | differs: lazy\n") + differing, "M1 may not differ"),
        ]:
            write(shown, noticed, text)
            if not any(expected in found for found in complaints()):
                sys.exit(f"not found: {expected}")


def main():
    if sys.argv[1:] == ["--selftest"]:
        return selftest()
    root = pathlib.Path(sys.argv[1])
    if "--write" in sys.argv:
        page, complaints = make(root)
        (root / PAGE).write_text(page, encoding="utf-8")
    else:
        # All of the faults still have their places in the sources, also those that are of no item.
        complaints = check(root) + [each for listed in mutants.LISTS for each in mutants.cannot_be_planted(root, listed)]
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
