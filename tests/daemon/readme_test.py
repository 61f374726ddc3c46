#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The README's two terminals, typed in as they stand there, by somebody who has nothing but a built tree.

usage: readme_test.py README BUILD
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

PATIENCE_S = 60


def main():
    readme, build = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"), pathlib.Path(sys.argv[2])
    block = next(text for text in re.findall(r"^```sh\n(.*?)^```$", readme, re.M | re.S) if "portoland" in text)
    prepare, daemon, listen, connect = block.replace("/tmp/portolan.sock", "$PWD/sock").splitlines()
    expected = [line.partition("#")[2].split(": ", 1)[-1].strip() for line in (listen, connect)]
    with tempfile.TemporaryDirectory(dir="/tmp" if len(tempfile.gettempdir()) > 50 else None) as place:
        pathlib.Path(place, "build").symlink_to(build)
        bare = {name: value for name, value in os.environ.items() if not name.startswith(("PORTOLAN", "XDG_RUNTIME"))}

        def terminal(*lines):
            return subprocess.Popen(["bash", "-c", "trap 'kill $(jobs -p) 2>/dev/null' EXIT\n" + "\n".join(lines)],
                                    cwd=place, env=bare, text=True, stdout=subprocess.PIPE)

        one = terminal(prepare, daemon, "while ! [ -S $PORTOLAN_SOCKET ]; do sleep 0.01; done", listen)
        end = time.monotonic() + PATIENCE_S
        while not pathlib.Path(place, "sock").exists():
            assert time.monotonic() < end, "there is no portoland"
            time.sleep(0.01)
        other = terminal(prepare, connect)
        said = [one.communicate(timeout=PATIENCE_S)[0].strip(), other.communicate(timeout=PATIENCE_S)[0].strip()]
    for seen, written in zip(said, expected):
        if re.sub(r"\d+", "N", seen) != re.sub(r"\d+", "N", written):
            raise SystemExit(f"it said {seen!r}, and the README {written!r}")


if __name__ == "__main__":
    main()
