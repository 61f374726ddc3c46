#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts what Meson's test logs say and ends with one line, "N passed, N failed".

usage: totals.py testlog.json...      or      totals.py --selftest

A doctest executable counts one for each of its test cases, anything else counts one. An executable that failed
without a failed case (it crashed, hung, or leaked at its end) counts one failed besides. A skipped test is named.
"""
import json
import re
import sys

SUMMARY = re.compile(r"^\[doctest\] test cases: *\d+ \| *(\d+) passed \| *(\d+) failed", re.M)
PASSED = {"OK", "EXPECTEDFAIL"}


def count(test):
    """(passed, failed) of one line of a test log."""
    cases = SUMMARY.findall(re.sub(r"\x1b\[[0-9;]*m", "", test.get("stdout") or ""))
    passed = sum(int(case[0]) for case in cases)
    failed = sum(int(case[1]) for case in cases)
    if test["result"] in PASSED:
        return (passed, failed) if cases else (1, 0)
    return passed, max(failed, 1)


def total(lines):
    passed = failed = 0
    for line in lines:
        test = json.loads(line)
        if test["result"] == "SKIP":
            print(f"skipped: {test['name']}: {(test.get('stdout') or '').strip().splitlines()[-1:]}")
            continue
        more_passed, more_failed = count(test)
        passed, failed = passed + more_passed, failed + more_failed
        if more_failed:
            print(f"failed: {test['name']} ({test['result'].lower()})")
    return passed, failed


def selftest():
    def log(result, stdout=""):
        return json.dumps({"name": "planted", "result": result, "stdout": stdout})

    summary = "[doctest] test cases:  5 | %s passed | %s failed | 0 skipped\n"
    for lines, expected in [
        ([log("OK"), log("OK", summary % (5, 0))], (6, 0)),
        ([log("FAIL", summary % (3, 2))], (3, 2)),
        ([log("FAIL", summary % (5, 0))], (5, 1)),
        ([log("TIMEOUT")], (0, 1)),
        ([log("UNEXPECTEDPASS")], (0, 1)),
        ([log("SKIP")], (0, 0)),
    ]:
        if total(lines) != expected:
            sys.exit(f"{lines}: {total(lines)}, not {expected}")


def main():
    if sys.argv[1:] == ["--selftest"]:
        return selftest()
    passed = failed = 0
    for path in sys.argv[1:]:
        try:
            with open(path, encoding="utf-8") as log:
                more_passed, more_failed = total(log)
        except OSError as error:
            print(f"failed: no test log: {error}")
            more_passed, more_failed = 0, 1
        passed, failed = passed + more_passed, failed + more_failed
    if passed + failed == 0:
        print("failed: not one test ran")
        failed = 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
