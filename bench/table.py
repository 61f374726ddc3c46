#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of docs/performance.md, from a result of portolan-bench --json.

usage: table.py RESULT              prints the table
       table.py --check ROOT        fails unless the page has the table of the result that it names
       table.py --selftest          plants a wrong figure and must see it
"""
import json
import pathlib
import re
import statistics
import sys

PAGE = "docs/performance.md"


def figure(value):
    for least, divisor, suffix in ((1e9, 1e9, " G"), (1e6, 1e6, " M"), (1e4, 1e3, " k")):
        if value >= least:
            return f"{value / divisor:.1f}{suffix}"
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def rows_of(row, near_ns):
    for near in (True, False):
        samples = [(value, line) for value, line in row["samples"] if (line < near_ns) == near]
        if not samples:
            continue
        values = [value for value, _ in samples]
        lines = [line for _, line in samples]
        # The upper one of two in the middle, as the program prints it.
        yield (row["question"], f"{figure(statistics.median_high(values))} {row['unit']}",
               f"{figure(min(values))} - {figure(max(values))}", str(len(values)),
               f"{statistics.median_high(lines):.0f} ns{'' if near else ', FAR'}")


def table(result):
    out = ["| what | median | least and most | samples | cache line |", "|---|---|---|---|---|"]
    section = None
    for row in result["rows"]:
        if row["section"] != section:
            section = row["section"]
            out.append(f"| **{section}** | | | | |")
        out += ["| " + " | ".join(cells) + " |" for cells in rows_of(row, result["near_ns"])]
    return "\n".join(out)


def complaints(root):
    page = pathlib.Path(root, PAGE).read_text(encoding="utf-8")
    named = re.search(r"\((\.\./bench/results/[\w.-]+\.json)\)", page)
    if not named:
        return [f"{PAGE}: names no result of bench/results"]
    result = json.loads(pathlib.Path(root, "docs", named.group(1)).read_text(encoding="utf-8"))
    found = [] if table(result) in page else [f"{PAGE}: its table is not that of {named.group(1)}"]
    return found + [f"{PAGE}: does not say {word}" for word in (result["machine"], result["commit"]) if word not in page]


def selftest():
    import tempfile
    result = {"machine": "a machine", "commit": "c0ffee", "near_ns": 220, "rows": [
        {"section": "s", "question": "q", "unit": "/s", "samples": [[1000, 100], [3000, 100], [2000, 400]]}]}
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        (root / "bench/results").mkdir(parents=True)
        (root / "docs").mkdir()
        (root / "bench/results/r.json").write_text(json.dumps(result))
        page = f"a machine, c0ffee, [result](../bench/results/r.json)\n{table(result)}\n"
        (root / PAGE).write_text(page)
        right = complaints(root)
        (root / PAGE).write_text(page.replace("3000", "3001"))
        wrong = complaints(root)
    return [] if not right and len(wrong) == 1 else [f"self-test: {right} and {wrong}"]


def main():
    if sys.argv[1] == "--selftest":
        found = selftest()
    elif sys.argv[1] == "--check":
        found = complaints(sys.argv[2])
    else:
        print(table(json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))))
        return 0
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
