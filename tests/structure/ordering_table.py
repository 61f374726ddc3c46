#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the atomic accesses of src/ equal to the ordering table of docs/ring-protocol.md, in both directions.

An access carries its id in the comment directly above its statement or behind it on its line:
    // [W2] release; pairs with [R1]: the payload comes before its header.
and spells the order that the row of that id names. Rows are `id | site | order | pairs with | because`; the site
names the file. Partners exist and name each other. An id may stand at several accesses of the same order. A row
whose order is none of C++'s (`membarrier`) belongs to a comment on something else than an atomic access.
"""
import pathlib
import re
import tempfile

import source_tree

TABLE = "docs/ring-protocol.md"
ID = re.compile(r"\[([A-Z]+[0-9]+[a-z]?)\]")
ORDER = re.compile(r"\b(relaxed|consume|acquire|release|acq_rel|seq_cst)\b")
CALL = re.compile(r"(?:\.|->)\s*(?:load|store|exchange|fetch_\w+|compare_exchange_(?:weak|strong)|test_and_set)\s*\(|"
                  r"\batomic_(?:thread|signal)_fence\s*\(|\b__(?:atomic|sync)_\w+\s*\(|\bstd::atomic_(?!ref\b)\w+\s*\(")
DECLARED = re.compile(r"\b(?:std::atomic|SharedWord)<[^;(){}]*>\s+(\w+)")
COMMENT_ID = re.compile(r"//\s*\[([A-Z]+[0-9]+[a-z]?)\](.*)")
FAULT = re.compile(r"^#\s*if(?:def\s|\s+defined).*PORTOLAN_FAULT_.*?^#\s*(?:else|endif)", re.M | re.S)


class Row:
    def __init__(self, cells):
        self.id = ID.search(cells[0]).group(1)
        self.site, self.because = cells[1], cells[4]
        self.orders = ORDER.findall(cells[2])
        self.partners = set(ID.findall(cells[3]))


def rows_of(text):
    rows, complaints = {}, []
    for cells in source_tree.table(text, "id"):
        if not ID.fullmatch(cells[0].strip("*` ")):
            continue
        if len(cells) != 5 or not all(cells):
            complaints.append(f"{TABLE}: {cells[0]} has not five filled cells")
            continue
        row = Row(cells)
        if row.id in rows:
            complaints.append(f"{TABLE}: [{row.id}] stands there twice")
        rows[row.id] = row
    for row in rows.values():
        for partner in sorted(row.partners):
            if partner not in rows:
                complaints.append(f"{TABLE}: [{row.id}] pairs with [{partner}], which has no row")
            elif row.id not in rows[partner].partners:
                complaints.append(f"{TABLE}: [{row.id}] pairs with [{partner}], but not the other way round")
    return rows, complaints


def call_text(code, start):
    """From the call's name to its closing parenthesis."""
    depth = 0
    for end in range(code.index("(", start), len(code)):
        depth += {"(": 1, ")": -1}.get(code[end], 0)
        if depth == 0:
            return code[start:end]
    return code[start:]


def ids_at(lines, code_lines, first, last):
    """(id, rest of its comment) for the statement around the lines first..last (from 0)."""
    while first > 0 and code_lines[first - 1].strip() and not re.search(r"[;{}:]\s*$|^\s*#", code_lines[first - 1]):
        first -= 1
    found = [COMMENT_ID.search(lines[number]) for number in range(first, last + 1)]
    above = first - 1
    while above >= 0 and lines[above].lstrip().startswith("//"):
        found.append(COMMENT_ID.match(lines[above].lstrip()))
        above -= 1
    return [match.groups() for match in found if match]


def check_access(where, ids, orders, rows):
    if not ids:
        return [f"{where}: an atomic access without an id"]
    complaints = []
    if not orders:
        complaints.append(f"{where}: an atomic access that does not spell its order")
    for name, comment in ids:
        row = rows.get(name)
        if row is None:
            continue  # reported once for the comment
        if row.orders != orders:
            complaints.append(f"{where}: [{name}] is {'/'.join(orders)}, its row says {'/'.join(row.orders)}")
        said = comment.split(":", 1)[0]
        if ORDER.findall(said) not in ([], row.orders):
            complaints.append(f"{where}: the comment of [{name}] names another order than its row")
        for partner in ID.findall(said):
            if partner not in row.partners:
                complaints.append(f"{where}: [{name}] says it pairs with [{partner}], its row does not")
    return complaints


def check_file(root, path, rows, sites, atomics):
    text = FAULT.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), source_tree.read(root, path))
    code = source_tree.code_only(text)
    lines, code_lines = text.split("\n"), code.split("\n")
    complaints, accessed = [], set()
    for number, line in enumerate(lines):
        if match := COMMENT_ID.search(line):
            name = match.group(1)
            sites.setdefault(name, set()).add(path)
            if name not in rows:
                complaints.append(f"{path}:{number + 1}: [{name}] has no row in {TABLE}")
            elif path.name not in rows[name].site:
                complaints.append(f"{path}:{number + 1}: the row of [{name}] does not name this file")
    for match in CALL.finditer(code):
        call = call_text(code, match.start())
        first = code.count("\n", 0, match.start())
        ids = ids_at(lines, code_lines, first, first + call.count("\n"))
        accessed.update(name for name, _ in ids)
        complaints += check_access(f"{path}:{first + 1}", ids, ORDER.findall(call.replace("_order_", " ")), rows)
    for match in re.finditer(r"(?:\.|->)(\w+)(?:\[[^]]*\])?\s*(?:\+\+|--|[-+&|^]?=(?!=))", code):
        if match.group(1) in atomics:
            line = code.count("\n", 0, match.start()) + 1
            complaints.append(f"{path}:{line}: {match.group(1)} is atomic and written by an operator")
    return complaints, accessed


def check(root):
    rows, complaints = rows_of(source_tree.read(root, TABLE))
    paths = source_tree.files(root, {".hpp", ".cpp"}, ["include", "src"])
    atomics = {name for path in paths
               for name in DECLARED.findall(source_tree.code_only(source_tree.read(root, path)))}
    sites, accessed = {}, set()
    for path in paths:
        more, here = check_file(root, path, rows, sites, atomics)
        complaints += more
        accessed |= here
    for row in rows.values():
        if row.id not in sites:
            complaints.append(f"{TABLE}: [{row.id}] stands nowhere in the code")
        elif row.orders and row.id not in accessed:
            complaints.append(f"{TABLE}: [{row.id}] stands in the code, but at no atomic access")
    return complaints


HEAD = "| id | site | order | pairs with | because |\n|---|---|---|---|---|\n"
W1 = "| [W1] | `a.cpp` post | release | [R1] | the bytes come first |\n"
R1 = "| [R1] | `a.cpp` take | acquire | [W1] | the bytes are there |\n"
CODE = """
// [W1] release; pairs with [R1]: the bytes come first, in
// several lines of comment.
void post() { word.store(
    1, std::memory_order_release); }
int take() {
  const int seen = word.load(std::memory_order_acquire);  // [R1] acquire; pairs with [W1]: they are there.
#ifdef PORTOLAN_FAULT_WEAK_PUBLISH
  word.store(1, std::memory_order_relaxed);
#endif
  return seen;
}
"""


def selftest():
    def planted(table, code):
        with tempfile.TemporaryDirectory() as directory:
            source_tree.plant(directory, {TABLE: HEAD + table, "src/a.cpp": code})
            return check(pathlib.Path(directory))

    expect = source_tree.expect
    expect(planted(W1 + R1, CODE))
    expect(planted(W1 + R1, CODE + "\nint peek() { return word.load(std::memory_order_relaxed); }\n"), "without an id")
    expect(planted(W1 + R1, CODE + "\n// [R1]\nint peek() { return word.load(); }\n"), "not spell", "row says acquire")
    expect(planted(W1 + R1, CODE.replace("memory_order_release", "memory_order_relaxed")), "[W1] is relaxed")
    expect(planted(W1 + R1, CODE.replace("// [R1] acquire", "// [R1] relaxed")), "names another order")
    expect(planted(W1 + R1, CODE.replace("pairs with [W1]", "pairs with [W9]")), "[R1] says it pairs with [W9]")
    expect(planted(W1 + R1 + "| [W2] | `a.cpp` | relaxed | - | alone |\n", CODE), "[W2] stands nowhere")
    expect(planted(W1 + R1 + W1, CODE), "twice")
    expect(planted(W1 + R1.replace("[W1]", "-"), CODE), "not the other way", "[R1] says it pairs")
    expect(planted(W1 + R1.replace("a.cpp", "b.cpp"), CODE), "does not name this file")
    expect(planted(W1 + R1, CODE + "\n// [Z1] relaxed: planted.\nint z = word.load(std::memory_order_relaxed);\n"),
           "[Z1] has no row")
    expect(planted(W1 + R1, CODE + "\nstd::atomic<int> word;\nvoid set() { lines->word = 1; }\n"), "by an operator")
    expect(planted(W1 + R1 + "| [M1] | `a.cpp` | membarrier | - | both sides |\n", CODE + "\n// [M1] for all.\nbarrier();\n"))


if __name__ == "__main__":
    source_tree.run(check, selftest)
