#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What posting and reading a struct costs a translation unit, beside posting and reading bytes: the time that the
compiler takes, and the code that comes out.

usage: compile_cost.py [--repeats N] [--json FILE]

Times are of the processor, the least of N, so that other work on the machine does little to them.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
OPTIONS = ["-std=c++20", "-O2", f"-I{ROOT}/include"]

BYTES = """
#include <portolan/port.hpp>
void post(portolan::MessagePort& port, const std::vector<std::byte>& bytes) { port.post_message(bytes); }
std::vector<std::byte> read(portolan::MessagePort& port) { return port.receive()->copy_bytes(); }
"""
STRUCT = """
#include <portolan/values.hpp>
#include <portolan/port.hpp>
struct Record {
  int id = 0, flags = 0;
  long time = 0, size = 0;
  double weight = 0;
  float scale = 0;
  short row = 0, column = 0;
  char level = 0;
  bool valid = false;
  std::string name;
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive & id & flags & time & size & weight & scale & row & column & level & valid & name;
  }
};
void post(portolan::MessagePort& port, const Record& record) { port.post_message(record); }
Record read(portolan::MessagePort& port) { return port.receive()->data<Record>(); }
"""
# The same without the library: what the standard library's headers cost anyway.
NOTHING = """
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>
void post(std::vector<std::byte>& to, const std::vector<std::byte>& bytes) { to = bytes; }
"""
UNITS = {"standard headers alone": NOTHING, "bytes": BYTES, "one struct": STRUCT}


def processor_seconds(command):
    before = os.times()
    subprocess.run(command, check=True)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def code_bytes(unit):
    """Code and constants of an object file, as `size` counts them."""
    return int(subprocess.run(["size", unit], check=True, capture_output=True, text=True).stdout.splitlines()[1].split()[0])


def has_boost(compiler, source):
    listed = subprocess.run([compiler, *OPTIONS, "-M", source], check=True, capture_output=True, text=True).stdout
    return re.search(r"/boost/", listed) is not None


def measure(compiler, name, text, repeats):
    with tempfile.TemporaryDirectory() as directory:
        source = pathlib.Path(directory, "unit.cpp")
        source.write_text(text, encoding="utf-8")
        unit = source.with_suffix(".o")
        command = [compiler, *OPTIONS, "-c", source, "-o", unit]
        seconds = min(processor_seconds(command) for _ in range(repeats))
        row = {"compiler": compiler, "posts": name, "seconds": round(seconds, 2), "code_bytes": code_bytes(unit),
               "boost": has_boost(compiler, source)}
    print(f"{compiler:<8} {name:<24} {row['seconds']:>6.2f} s {row['code_bytes']:>8,} bytes of code"
          f"{', Boost' if row['boost'] else ''}", flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    compilers = [compiler for compiler in ["g++", "clang++"] if shutil.which(compiler)]
    rows = [measure(compiler, name, text, options.repeats) for compiler in compilers for name, text in UNITS.items()]
    if options.json:
        versions = [subprocess.run([compiler, "--version"], check=True, capture_output=True, text=True)
                    .stdout.splitlines()[0] for compiler in compilers]
        commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], check=True, capture_output=True,
                                text=True).stdout.strip()
        machine = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
        options.json.write_text(json.dumps({"machine": machine.group(1) if machine else "", "commit": commit, "compilers": versions, "options": OPTIONS[:2],
                                            "units": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
