#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the libFuzzer targets, or says what the kept corpus covers.

usage: run.py BUILD [--for SECONDS] [--executions N] [--seed N] [--json FILE] [--keep] [TARGET...]
       run.py BUILD --coverage

BUILD has been configured with clang and -Dfuzz=true; for --coverage with -fprofile-instr-generate -fcoverage-mapping.
Each target runs for SECONDS, or until it has run N times. --keep adds to the committed corpus what reaches new code.
--json FILE adds to the runs of the same commit that stand there.
"""
import argparse
import glob
import json
import os
import pathlib
import re
import secrets
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
MALLOC_LIMIT_MB = 64
KEPT_BYTES = 400  # a longer input is not kept
KEPT_FILES = 200  # of the shortest
# The first is nearly twice as fast as without.
SANITIZERS = {"ASAN_OPTIONS": "malloc_context_size=1:quarantine_size_mb=4", "UBSAN_OPTIONS": "halt_on_error=1"}


def targets():
    return sorted(path.name.removesuffix("_target.cpp") for path in HERE.glob("*_target.cpp"))


def command_of(build, target, directory, options):
    """The corpus that grows is `directory`; the committed one is only read."""
    return [build / f"tests/fuzz/fuzz-{target}", directory, HERE / "corpus" / target,
            f"-seed={options.seed}", f"-max_total_time={options.seconds}", f"-runs={options.executions}",
            f"-malloc_limit_mb={MALLOC_LIMIT_MB}", "-rss_limit_mb=1024", "-max_len=2048", "-timeout=60",
            "-print_final_stats=1", f"-artifact_prefix={build}/{target}-"]


def keep(build, target, directory):
    """A minimal corpus of short inputs that reaches what the whole one does."""
    kept = HERE / "corpus" / target
    with tempfile.TemporaryDirectory() as short, tempfile.TemporaryDirectory() as merged:
        for source in [directory, kept]:
            for path in pathlib.Path(source).iterdir():
                content = path.read_bytes()
                if len(content) <= KEPT_BYTES:
                    (pathlib.Path(short) / path.name).write_bytes(content)
        subprocess.run([build / f"tests/fuzz/fuzz-{target}", "-merge=1", merged, short],
                       check=True, stderr=subprocess.DEVNULL)
        for path in kept.iterdir():
            path.unlink()
        shortest = sorted(pathlib.Path(merged).iterdir(), key=lambda path: path.stat().st_size)
        for path in shortest[:KEPT_FILES]:
            (kept / path.name).write_bytes(path.read_bytes())


def fuzz(build, target, options):
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([build / f"tests/fuzz/corpus-{target}", "--seeds", directory], check=True)
        began = time.monotonic()
        result = subprocess.run(command_of(build, target, directory, options), capture_output=True, text=True,
                                errors="replace", check=False, stdin=subprocess.DEVNULL,
                                env=SANITIZERS | os.environ)
        seconds = round(time.monotonic() - began)
        found = re.search(r"stat::number_of_executed_units:\s*(\d+)", result.stderr)
        operations = re.search(r"stat::operations:\s*(\d+)", result.stderr)  # of targets that make several
        covered = re.findall(r" cov: (\d+)", result.stderr)
        row = {"target": target, "seed": options.seed, "seconds": seconds,
               "executions": int(found.group(1)) if found else 0, "edges": int(covered[-1]) if covered else 0,
               "failed": result.returncode != 0}
        if operations:
            row["operations"] = int(operations.group(1))
        print(f"{target:<14} {row['executions']:>12,} executions in {seconds} s, {row['edges']} edges, "
              f"{format(row['operations'], ',') + ' operations, ' if operations else ''}"
              f"{'FAILED' if row['failed'] else 'nothing found'}", flush=True)
        if row["failed"]:
            print(result.stderr[-6000:])
        elif options.keep:
            keep(build, target, directory)
        return row


def add_to(file, rows):
    report = {"commit": run(["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"]),
              "compiler": run(["clang++", "--version"]).splitlines()[0], "malloc_limit_mb": MALLOC_LIMIT_MB}
    if file.is_file():
        before = json.loads(file.read_text(encoding="utf-8"))
        if {key: before[key] for key in report} != report:
            raise RuntimeError(f"{file} is about {before['commit']}")
        rows = before["runs"] + rows
    report |= {"executions": sum(row["executions"] for row in rows), "runs": rows}
    file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def run(command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def coverage(build):
    root = HERE.parent.parent
    programs = [str(build / f"tests/fuzz/corpus-{target}") for target in targets()]
    for program, target in zip(programs, targets()):
        subprocess.run([program, HERE / "corpus" / target], check=True, stdout=subprocess.DEVNULL,
                       env=os.environ | {"LLVM_PROFILE_FILE": str(build / f"{target}.profraw")})
    profile = build / "fuzz.profdata"
    run(["llvm-profdata", "merge", "-o", profile, *glob.glob(str(build / "*.profraw"))])
    objects = [word for program in programs[1:] for word in ("-object", program)]
    sources = [root / "src/wire", root / "src/values", root / "src/cbor", root / "src/ring", root / "src/inspect",
               root / "include/portolan/lane", *sorted((root / "include/portolan").glob("value*.hpp"))]
    print(run(["llvm-cov", "report", programs[0], *objects, f"-instr-profile={profile}", "-show-region-summary=false",
               *sources]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("target", nargs="*")
    parser.add_argument("--for", dest="seconds", type=int, default=60)
    parser.add_argument("--executions", type=int, default=-1)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31) + 1)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--coverage", action="store_true")
    options = parser.parse_intermixed_args()
    build = options.build.resolve()
    if unknown := set(options.target) - set(targets()):
        parser.error(f"no target {unknown}; there are {targets()}")
    if options.coverage:
        coverage(build)
        return False
    rows = [fuzz(build, target, options) for target in options.target or targets()]
    total = sum(row["executions"] for row in rows)
    print(f"{total:,} executions")
    if options.json:
        add_to(options.json, rows)
    return any(row["failed"] for row in rows) or any(row["executions"] == 0 for row in rows)


if __name__ == "__main__":
    sys.exit(main())
