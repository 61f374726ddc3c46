#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run every model clean (must hold) and with each rule taken away (must fail).

A model says itself how it is run, in lines of its own:
    //! clean [quick|long] DEFINES        a size at which no property may be violated
    //! mutant NAME [quick|long] DEFINES  the rule NAME is off: a property must be violated
Spin models are verified exhaustively (spin -a, gcc, pan); *.cpp are compiled and run with --without=NAME.
    run.py [--quick | --long] [--mutants] [--jobs N] [--only TEXT] [--seconds N] [--keep DIRECTORY]
Exit status: 0 all as expected, 1 not, 77 spin or the compiler is missing.
"""
import argparse
import concurrent.futures
import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
MEMORY_MB = 6000
BUILDING = threading.Lock()


class Job:
    def __init__(self, model, kind, name, size, defines):
        self.model, self.kind, self.name, self.size, self.defines = model, kind, name, size, defines

    def title(self):
        what = "clean" if self.kind == "clean" else "without " + self.name
        return " ".join([self.model.name, what] + self.defines)


def jobs_of(model):
    for line in model.read_text().splitlines():
        if not line.startswith("//! "):
            continue
        words = line[4:].split()
        kind = words.pop(0)
        name = words.pop(0) if kind == "mutant" else ""
        size = words.pop(0) if words and words[0] in ("quick", "long") else ""
        yield Job(model, kind, name, size, words)


def call(command, directory, seconds):
    """(exit status or None when out of time, output)"""
    try:
        done = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=seconds)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired:
        return None, ""


def run_spin(job, directory, seconds):
    defines = list(job.defines)
    if job.kind == "mutant":
        defines.append("-D" + job.name)
    status, out = call(["spin", "-a"] + defines + [str(job.model)], directory, seconds)
    if status != 0:
        return "broken", out
    level = "-O2" if job.kind == "clean" else "-O0"  # a mutant's pan is compiled for longer than it runs
    build = ["gcc", "-w", level, "-DSAFETY", "-DCOLLAPSE", "-DMEMLIM=%d" % MEMORY_MB, "-o", "pan", "pan.c"]
    status, out = call(build, directory, seconds)
    if status != 0:
        return "broken", out
    table = 22 if job.size == "quick" else 25  # of 2^N places
    status, out = call(["./pan", "-m1000000", "-w%d" % table], directory, seconds)
    if status is None:
        return "out of time", ""
    found = re.search(r"errors: (\d+)", out)
    states = re.search(r"([\d.e+]+) states, stored", out)
    reason = re.search(r"^pan:\d+: (.*?)(?: \(at depth.*)?$", out, re.M)
    size = "%d states" % float(states.group(1)) if states else "? states"
    if found is None or "max search depth too small" in out or "memory limit" in out.lower():
        return "broken", out
    if found.group(1) == "0":
        return "holds", size
    return "violated", "%s: %s" % (size, reason.group(1) if reason else "?")


@functools.lru_cache
def build_program(model, directory, compiler):
    program = pathlib.Path(directory) / model.stem
    status, out = call([compiler, "-std=c++20", "-O2", "-o", str(program), str(model)], directory, 300)
    return program, status, out


def run_program(job, programs, seconds, compiler):
    with BUILDING:
        program, status, out = build_program(job.model, programs, compiler)
    if status != 0:
        return "broken", out
    arguments = list(job.defines)
    if job.kind == "mutant":
        arguments.append("--without=" + job.name)
    status, out = call([str(program)] + arguments, programs, seconds)
    if status is None:
        return "out of time", ""
    verdict = {0: "holds", 1: "violated"}.get(status, "broken")
    return verdict, out.strip()


def run(job, options, programs, compiler):
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="model-") as name:
        directory = pathlib.Path(name)
        if job.model.suffix == ".pml":
            verdict, detail = run_spin(job, directory, options.seconds)
        else:
            verdict, detail = run_program(job, programs, options.seconds, compiler)
        if options.keep and verdict == "violated":
            kept = pathlib.Path(options.keep) / re.sub(r"[^\w.]+", "_", job.title())
            shutil.copytree(directory, kept, dirs_exist_ok=True)
    wanted = "holds" if job.kind == "clean" else "violated"
    return verdict == wanted, verdict, detail, time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only what is marked quick")
    parser.add_argument("--long", action="store_true", help="also what is marked long: minutes and gigabytes each")
    parser.add_argument("--mutants", action="store_true", help="also each rule taken away, at whatever size")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="only runs whose title contains this")
    parser.add_argument("--seconds", type=int, default=600, help="budget of one run")
    parser.add_argument("--keep", help="directory for the trails of violated runs")
    options = parser.parse_args()
    compiler = os.environ.get("CXX", "c++").split()[-1]
    for tool in ("spin", "gcc", compiler):
        if shutil.which(tool) is None:
            print("skipped: %s is not installed (Debian: apt install spin gcc g++)" % tool)
            return 77
    sizes = ["quick"] if options.quick else ["quick", "", "long"] if options.long else ["quick", ""]
    models = sorted(HERE.glob("*.pml")) + sorted(HERE.glob("*_enumeration.cpp"))
    wanted = [job for model in models for job in jobs_of(model)
              if (job.size in sizes or options.mutants and job.kind == "mutant") and options.only in job.title()]
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="model-") as programs, \
            concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        running = {pool.submit(run, job, options, programs, compiler): job for job in wanted}
        for future in concurrent.futures.as_completed(running):
            good, verdict, detail, seconds = future.result()
            passed, failed = passed + good, failed + (not good)
            print("%-4s %6.1f s  %s: %s, %s" % ("ok" if good else "FAIL", seconds, running[future].title(),
                                              verdict, detail[:2000]), flush=True)
    print("%d passed, %d failed" % (passed, failed))
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
