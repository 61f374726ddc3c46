#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/performance.md, docs/patterns.md, docs/values.md and docs/operations.md, from results of portolan-bench --json,
of compile_cost.py, of tests/fuzz/run.py and of portolan-daemon-bench --json.

usage: table.py RESULT              prints the table, and where another library is ahead
       table.py --merge OUT RESULT...   one result of several, of different questions at one commit on one machine
       table.py --write RESULT ROOT [PAGE]  the figures of docs/performance.md, or PAGE, from this result, and its link
       table.py --check ROOT        fails unless the pages have the tables of the results that they name
       table.py --selftest          plants a wrong figure and must see it
"""
import itertools
import json
import pathlib
import re
import statistics
import sys

PAGES = ["docs/performance.md", "docs/values.md", "docs/patterns.md", "docs/operations.md"]
RESULT = re.compile(r"\((\.\./(?:bench|tests/fuzz)/results/[\w.-]+\.json)\)")


def figure(value):
    for least, divisor, suffix in ((1e9, 1e9, " G"), (1e6, 1e6, " M"), (1e4, 1e3, " k")):
        if value >= least:
            return f"{value / divisor:.1f}{suffix}"
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def medians(row, near_ns):
    """While the CPUs were near, and far; None without samples."""
    for near in (True, False):
        values = [value for value, line in row["samples"] if (line < near_ns) == near]
        yield statistics.median_high(values) if values else None


def losses(result):
    """Where another library is ahead of ours, as lines of a list, one a question. Of a distribution p50 and p99 count: what
    is beyond is mostly the machine's."""
    def key(row):
        return row["section"], row["question"], row.get("part", "")

    rows = [row for row in result.get("rows", ()) if row.get("part", "") in ("", "p50", "p99") and row.get("who")]
    ours = {key(row): row for row in rows if row["who"] == "Portolan"}
    lines = {}
    for row in rows:
        mine = ours.get(key(row))
        if mine is None or row is mine or row.get("limit"):
            continue
        pairs = zip(medians(mine, result["near_ns"]), medians(row, result["near_ns"]))
        mine, theirs = next((pair for pair in pairs if all(pair)), (None, None))
        if mine is None:
            continue
        times = theirs / mine if row["unit"].endswith("/s") else mine / theirs
        if times > 1:
            lines.setdefault(key(row), []).append(f"{row['who']} {times:.2f} times")
    for (section, question, part), winners in lines.items():
        yield f"- {section}: {question}{', ' + part if part else ''}: {'; '.join(winners)}"


def rows_of(rows, near_ns):
    """One line for the samples of near CPUs, and one for those of far ones; the parts of a distribution share it, and its
    spread is that of the first."""
    first = rows[0]
    for near in (True, False):
        lines = [line for _, line in first["samples"] if (line < near_ns) == near]
        if not lines:
            continue
        cells = []
        for row in rows:
            values = [value for value, line in row["samples"] if (line < near_ns) == near]
            # The upper one of two in the middle, as the program prints it.
            cells.append((f"{row['part']} " if row.get("part") else "") + figure(statistics.median_high(values)))
        values = [value for value, line in first["samples"] if (line < near_ns) == near]
        who = f", {first['who']}" if first.get("who") else ""
        yield (first["question"] + who, f"{', '.join(cells)} {first['unit']}",
               f"{figure(min(values))} - {figure(max(values))}", str(len(values)),
               f"{statistics.median_high(lines):.0f} ns{'' if near else ', FAR'}")


def table_of_rows(result):
    out = ["| what | median | least and most | samples | cache line |", "|---|---|---|---|---|"]
    section = None
    for _, rows in itertools.groupby(result["rows"], lambda row: (row["section"], row["question"], row.get("who"))):
        rows = list(rows)
        if rows[0]["section"] != section:
            section = rows[0]["section"]
            out.append(f"| **{section}** | | | | |")
        out += ["| " + " | ".join(cells) + " |" for cells in rows_of(rows, result["near_ns"])]
    return "\n".join(out)


def losses_text(result):
    return "\n".join(losses(result)) or "- nowhere in this run"


def cost_text(result):
    """What a round trip is made of: each line is the difference to the simpler thing above it, so that they add up. Of
    near CPUs, or of far ones if one of the figures lacks a near sample."""
    def find(section, question, who="", part=""):
        for row in result.get("rows", ()):
            if (row["section"], row["question"], row.get("who", ""), row.get("part", "")) == (section, question, who, part):
                return tuple(medians(row, result["near_ns"]))
        return None, None

    trips, asleep = "Round trip of 64 B", "blocking, both asleep for 1 ms before"
    found = [find("Limits: memory", "round trip of a cache line between CPU 0 and CPU 1"),
             find(trips, "polling", "bare ring (limit)", "p50"), find(trips, "polling", "Portolan", "p50"),
             find(trips, asleep, "bare futex (limit)", "p50"), find(trips, asleep, "Portolan", "p50")]
    for name, of_distance in zip(("near", "FAR"), zip(*found)):
        if all(of_distance):
            break
    else:
        return "These were not all measured in this run."
    line, ring, ours, futex, ours_asleep = (round(value) for value in of_distance)
    return "\n".join([
        f"| a round trip of 64 B, p50, CPUs {name} | both polling | both asleep |", "|---|---|---|",
        f"| a cache line there and back | {line} ns | |",
        f"| the copies, a header and the second line of a frame, both ways: a bare ring | {ring - line:+} ns | |",
        f"| two wake-ups of a sleeper by futex, with a message of memory each | | {futex} ns |",
        f"| all else: checks, sleep words, growth, barriers, less what looking out saves | {ours - ring:+} ns | "
        f"{ours_asleep - futex:+} ns |",
        f"| **Portolan** | **{ours} ns** | **{ours_asleep} ns** |"])


def table_of_units(result):
    out = ["| translation unit | compiler | time | code |", "|---|---|---|---|"]
    out += [f"| {unit['posts']} | {unit['compiler']} | {unit['seconds']:.2f} s | {unit['code_bytes']} bytes |"
            for unit in result["units"]]
    return "\n".join(out)


def table_of_runs(result):
    out = ["| target | executions | seconds | seeds | edges |", "|---|---|---|---|---|"]
    for target in sorted({run["target"] for run in result["runs"]}):
        runs = [run for run in result["runs"] if run["target"] == target]
        out.append(f"| `{target}` | {sum(run['executions'] for run in runs):,} | {sum(run['seconds'] for run in runs):,} | "
                   f"{', '.join(str(run['seed']) for run in runs)} | {max(run['edges'] for run in runs)} |")
    out.append(f"| **all** | {result['executions']:,} | {sum(run['seconds'] for run in result['runs']):,} | | |")
    return "\n".join(out)


def table_of_figures(result):
    out = ["| what | |", "|---|---|"]
    for each in result["figures"]:
        value = each["value"]
        shown = f"{value:,.0f}" if value == int(value) else figure(value).rstrip()
        out.append(f"| {each['name']} | {shown} {each['unit']}".rstrip() + " |")
    return "\n".join(out)


def table(result):
    for key, make in (("rows", table_of_rows), ("units", table_of_units), ("runs", table_of_runs), ("figures", table_of_figures)):
        if key in result:
            return make(result)
    raise ValueError("neither rows nor units nor runs nor figures")


def complaints(root):
    found = []
    for name in PAGES:
        page = pathlib.Path(root, name).read_text(encoding="utf-8")
        results = RESULT.findall(page)
        if not results:
            found.append(f"{name}: names no result")
        for path in results:
            result = json.loads(pathlib.Path(root, "docs", path).read_text(encoding="utf-8"))
            if table(result) not in page:
                found.append(f"{name}: its table is not that of {path}")
            compares = any(row.get("who") for row in result.get("rows", ()))
            if compares and (losses_text(result) not in page or cost_text(result) not in page):
                found.append(f"{name}: does not say where another is ahead, or what a trip is made of, as {path} does")
            found += [f"{name}: does not say {result[word]}" for word in ("machine", "commit")
                      if result.get(word, "") not in page]
    return found


def selftest():
    import tempfile
    result = {"machine": "a machine", "commit": "c0ffee", "near_ns": 220, "rows": [
        {"section": "s", "question": "q", "who": "Portolan", "unit": "/s",
         "samples": [[1000, 100], [3000, 100], [2000, 400]]},
        {"section": "s", "question": "q", "who": "other", "unit": "/s", "samples": [[4500, 100]]}]}
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        (root / "bench/results").mkdir(parents=True)
        (root / "docs").mkdir()
        (root / "bench/results/r.json").write_text(json.dumps(result))
        page = f"a machine, c0ffee, [result](../bench/results/r.json)\n{table(result)}\n{losses_text(result)}\n{cost_text(result)}\n"
        for name in PAGES:
            (root / name).write_text(page)
        right = complaints(root)
        (root / PAGES[1]).write_text(page.replace("3000", "3001"))
        wrong = complaints(root)
        (root / PAGES[1]).write_text(page.replace("1.50 times", "1.05 times"))
        wrong += complaints(root)
    return [] if not right and len(wrong) == 2 else [f"self-test: {right} and {wrong}"]


def between(page, name, text):
    """The page with what stands between the marks of that name replaced, if it has any."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.S)
    return pattern.sub(lambda match: match.group(1) + text + "\n" + match.group(2), page)


def write(result_path, root, name_of_page=PAGES[0]):
    result = json.loads(pathlib.Path(result_path).read_text(encoding="utf-8"))
    path = pathlib.Path(root, name_of_page)
    name = pathlib.Path(result_path).name
    pinned = f", pinned to {result['pinned']}" if "pinned" in result else ""
    head = (f"{result['machine']}, commit {result['commit']}, {name[:10]}{pinned};\n"
            f"[all samples](../bench/results/{name}).")
    page = path.read_text(encoding="utf-8")
    for mark, text in (("run", head), ("cost", cost_text(result)), ("table", table(result)), ("losses", losses_text(result))):
        page = between(page, mark, text)
    path.write_text(page, encoding="utf-8")
    if table(result) not in page:
        raise SystemExit(f"{name_of_page}: has no place for the table")


def merge(out, parts):
    results = [json.loads(pathlib.Path(part).read_text(encoding="utf-8")) for part in parts]
    heads = {json.dumps({key: result[key] for key in result if key != "rows"}) for result in results}
    if len(heads) != 1:
        raise SystemExit("table.py: these are not of one machine and commit: " + ", ".join(sorted(heads)))
    head = json.loads(heads.pop())
    rows = ",\n".join(f"  {json.dumps(row)}" for result in results for row in result["rows"])
    text = json.dumps(head)[:-1] + f', "rows": [\n{rows}\n]}}\n'
    pathlib.Path(out).write_text(text, encoding="utf-8")


def main():
    if sys.argv[1] == "--selftest":
        found = selftest()
    elif sys.argv[1] == "--check":
        found = complaints(sys.argv[2])
    elif sys.argv[1] == "--merge":
        merge(sys.argv[2], sys.argv[3:])
        return 0
    elif sys.argv[1] == "--write":
        write(*sys.argv[2:5])
        return 0
    else:
        result = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
        print(table(result), losses_text(result), sep="\n\n")
        return 0
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
