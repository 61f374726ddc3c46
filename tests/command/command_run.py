# SPDX-License-Identifier: Apache-2.0
"""What the tests of the portolan command start, and how they ask it: their arguments are PORTOLAN PORTOLAND FIXTURE [CASE...]."""
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

PORTOLAN, PORTOLAND, FIXTURE = sys.argv[1:4]
PATIENCE_S = 60
MARK = str(os.getpid())  # in the labels of this run


# A socket's path has 107 bytes.
SHORT = "/tmp" if len(tempfile.gettempdir()) > 50 else None


def wait_until(condition, said):
    """Until it holds; what is said else is what was seen last."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"it never came to this: {said()}")
        time.sleep(0.02)


def portolan(*arguments, code=0, stdin=None, **environment):
    done = subprocess.run([PORTOLAN, *arguments], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=PATIENCE_S, env=os.environ | environment)
    if code is not None and done.returncode != code:
        raise AssertionError(f"portolan {arguments}: exit status {done.returncode}, not {code}: {done.stderr.decode()}")
    return done.stdout.decode()


def equal(what, expected):
    if what != expected:
        raise AssertionError(f"{what!r} is not {expected!r}")


def holds(condition, what):
    if not condition:
        raise AssertionError(what)


@contextlib.contextmanager
def fixture(*options):
    """Its process, and what it says of each label: id, messages and bytes posted on port1."""
    with subprocess.Popen([FIXTURE, MARK, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        known = {}
        for line in process.stdout:
            if line == "ready\n":
                break
            label, *facts = line.split()
            known[label.split("-")[0]] = facts
        yield process, known


@contextlib.contextmanager
def address():
    with tempfile.TemporaryDirectory(dir=SHORT) as directory:
        yield f"unix:{pathlib.Path(directory)}/socket"


@contextlib.contextmanager
def started(*arguments, **environment):
    process = subprocess.Popen([PORTOLAN, *arguments], env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, bufsize=1)
    with process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def daemon():
    """PORTOLAN_SOCKET of a portoland of this test's own."""
    with tempfile.TemporaryDirectory(dir=SHORT) as directory:
        where = f"{directory}/portolan.sock"
        with subprocess.Popen([PORTOLAND, "--socket", where], stderr=subprocess.PIPE, text=True) as process:
            process.stderr.readline()  # listening
            try:
                yield where
            finally:
                process.kill()


def run_cases(names):
    """All that a test file defines, or those that were asked for; each is told."""
    failed = 0
    for name, case in names.items():
        if not callable(case) or getattr(case, "__module__", "") != "__main__" or name in {"complaint", "completed"}:
            continue
        if sys.argv[4:] and name not in sys.argv[4:]:
            continue
        try:
            case()
        except Exception as error:
            failed += 1
            print(f"{name.replace('_', ' ')}: {error}")
        else:
            print(f"ok: {name.replace('_', ' ')}")
    sys.exit(1 if failed else 0)
