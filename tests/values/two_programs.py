#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two releases of one program, each built with gcc and with clang, where both are installed: their bytes are the same,
the newer release reads the older one's, and the older one refuses the newer one's in words.

usage: two_programs.py SOURCE INCLUDE_DIRECTORY LIBRARY...
"""
import concurrent.futures
import pathlib
import shutil
import subprocess
import sys
import tempfile

OLD = "font 12, mood 5, patience 1500 ms, printer 7 with A4, no spare"
READS = {  # (release that wrote, release that reads): what it prints, and whether it has read
    (0, 0): (OLD, True),
    (0, 1): (OLD + ", comment: none yet", True),
    (1, 1): (OLD + ", comment: from release 1", True),
    (1, 0): ("value: sent: office::Settings v1, read as: office::Settings v0, the last one here", False),
}


def build(directory, source, include, libraries, compiler, release):
    program = pathlib.Path(directory) / f"{compiler}-{release}"
    subprocess.run([compiler, "-std=c++20", f"-DVERSION={release}", "-I", include, source, *libraries, "-o", program],
                   check=True)
    return program


def main(source, include, *libraries):
    compilers = [compiler for compiler in ("g++", "clang++") if shutil.which(compiler)]
    complaints = []
    with tempfile.TemporaryDirectory() as directory, concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = {(compiler, release): pool.submit(build, directory, source, include, libraries, compiler, release)
                for compiler in compilers for release in (0, 1)}
        programs = {key: job.result() for key, job in jobs.items()}
        written = {key: subprocess.run([program, "write"], stdout=subprocess.PIPE, check=True).stdout
                   for key, program in programs.items()}
        for (writer, wrote), payload in written.items():
            if payload != written[compilers[0], wrote]:
                complaints.append(f"{writer} and {compilers[0]} write different bytes, release {wrote}")
            for (reader, reads), program in programs.items():
                done = subprocess.run([program, "read"], input=payload, stdout=subprocess.PIPE, check=False)
                text, right = READS[wrote, reads]
                if done.stdout.decode().strip() != text or (done.returncode == 0) != right:
                    complaints.append(f"{reader} release {reads} reads {writer} release {wrote}: {done.stdout!r}")
    print(*complaints, f"{len(programs)} programs with {' and '.join(compilers)}, {len(complaints)} complaints", sep="\n")
    return 1 if complaints or not compilers else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
