#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Values do not depend on Boost's version or the compiler: builds corpus.cpp with each, compares the bytes that each
writes, and has each read those of every other and those that are committed. With each VERSION it also has
operations of an AsioPort given up through cancellation slots, which the system's Boost may not have.

usage: run.py ROOT BUILD VERSION...

BUILD has the libraries of the layers. The system's Boost is taken with g++ and with clang++, and each VERSION, whose
headers are unpacked below BUILD, with g++: Debian's packages of two versions conflict, so none is installed.
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile

COMMITTED = "tests/boost_versions/version1.bin"
LIBRARIES = ["src/values/libportolan_values.a", "src/os/libportolan_os.a"]


def run(command, **options):
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}\nended with {result.returncode}\n{result.stdout}"
                           f"{result.stderr[-4000:]}")
    return result.stdout.strip()


def unpacked(build, version):
    """The include directory of Boost VERSION."""
    target = build / f"boost-{version}"
    if not (target / "usr/include/boost").is_dir():
        target.mkdir(parents=True, exist_ok=True)
        run(["apt-get", "download", f"libboost{version}-dev"], cwd=target)
        package = next(target.glob("*.deb"))
        run(["dpkg", "-x", package.name, "."], cwd=target)
        package.unlink()
    return target / "usr/include"


def compiled(root, build, compiler, boost, program):
    system = ["-isystem", boost] if boost else []
    run([compiler, "-std=c++20", "-O0", *system, f"-I{root}/include", f"-I{root}/tests",
         root / "tests/boost_versions/corpus.cpp", *(build / library for library in LIBRARIES), "-o", program])
    return program


def check(root, build, builds, directory):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        programs = list(pool.map(lambda number: compiled(root, build, *builds[number], directory / f"corpus{number}"),
                                 range(len(builds))))
    corpora, names = [], []
    for (compiler, _), program in zip(builds, programs):
        corpora.append(program.with_suffix(".bin"))
        names.append(f"{compiler} with {run([program, 'write', corpora[-1]])}")
    if len(set(names)) != len(names):
        raise RuntimeError(f"two of the builds are the same: {names}")
    for program, corpus, name in zip(programs, corpora, names):
        if corpus.read_bytes() != corpora[0].read_bytes():
            raise RuntimeError(f"{name} writes other bytes than {names[0]}")
        read = {run([program, "read", other]) for other in corpora}
        committed = run([program, "read", root / COMMITTED])
        print(f"{name}: wrote the same {corpus.stat().st_size} bytes, read {', '.join(read)} of each, "
              f"and {committed} of the committed ones")


def check_cancellation(root, build, boost, directory):
    program = directory / "cancellation"
    run(["g++", "-std=c++20", "-O0", "-isystem", boost, f"-I{root}/include",
         root / "tests/boost_versions/cancellation.cpp", f"-L{build}/src", "-lportolan", f"-Wl,-rpath,{build}/src",
         "-pthread", "-o", program])
    print(run([program], timeout=60))


def main(root, build, *versions):
    root, build = pathlib.Path(root).resolve(), pathlib.Path(build).resolve()
    builds = [("g++", None), ("clang++", None)] + [("g++", unpacked(build, version)) for version in versions]
    with tempfile.TemporaryDirectory() as directory:
        check(root, build, builds, pathlib.Path(directory))
        for _, boost in builds[2:]:
            check_cancellation(root, build, boost, pathlib.Path(directory))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        sys.exit(str(error))
