#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Another implementation's opinion: what python3-cbor2 writes, a Value reads and writes again, and cbor2 must read that
as what it was. And bytes that cbor2 refuses, a Value refuses too.

usage: oracle.py ECHO_PROGRAM
"""
import datetime
import math
import random
import re
import subprocess
import sys

import cbor2

VALUES = 3000
DAMAGED = 20000


def make(dice, depth=0):
    """A value such as Portolan's Value can hold."""
    kinds = 9 if depth > 5 else 11
    kind = dice.randrange(kinds)
    if kind == 0:
        return dice.choice([None, True, False])
    if kind == 1:
        return dice.choice([1, -1]) * (dice.getrandbits(dice.randrange(1, 65)))  # -2^64 < n < 2^64
    if kind == 2:
        return dice.choice([0.0, -0.0, math.inf, -math.inf, 1.5, 1e300, 5e-324, dice.random(), dice.gauss(0, 1e9)])
    if kind in (3, 4):
        return "".join(chr(dice.choice([0, 65, 0xE4, 0x6C34, 0xFFFD, 0x1F600])) for _ in range(dice.randrange(30)))
    if kind == 5:
        return dice.randbytes(dice.randrange(300))
    if kind in (6, 7):  # near enough for cbor2, which counts seconds as a double, to tell microseconds
        zone = datetime.timezone(datetime.timedelta(minutes=dice.randrange(-720, 720)))
        return datetime.datetime.fromtimestamp(dice.randrange(-(2**31), 2**31), zone).replace(
            microsecond=1000 * dice.randrange(1000))
    if kind == 8:
        return dice.getrandbits(8)
    if kind == 9:
        return [make(dice, depth + 1) for _ in range(dice.randrange(8))]
    keys = (make(dice, 9) for _ in range(dice.randrange(8)))
    return {key: make(dice, depth + 1) for key in keys}


def same(left, right):
    """Equality that tells 1 from 1.0 and True, and 0.0 from -0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return len(left) == len(right) and all(key in right and same(value, right[key]) for key, value in left.items())
    if isinstance(left, float):
        return repr(left) == repr(right)
    return left == right


def encoded(dice, value):
    """As text or as seconds, with the shortest floats or the longest, with lengths."""
    return cbor2.dumps(value, datetime_as_timestamp=dice.random() < 0.5, canonical=dice.random() < 0.5)


def echo(program, messages):
    lines = "".join(message.hex() + "\n" for message in messages)
    result = subprocess.run([program], input=lines, capture_output=True, text=True, check=True, timeout=300)
    answers = result.stdout.splitlines()
    if len(answers) != len(messages):
        raise RuntimeError(f"{len(messages)} messages, {len(answers)} answers")
    return answers


# RFC 3339 lets a date be written with small letters, or a space for the T, as a damaged one may be; cbor2 does not.
DATE = re.compile(rb"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d(?:\.\d+)?)([Zz]?)")


# A date may lie outside the years that Python's have, and then cbor2 says no more than this.
NO_SUCH_YEAR = re.compile(r"year -?\d+ is out of range")


def refused_by_cbor2(message):
    message = DATE.sub(lambda date: date[1] + b"T" + date[2] + date[3].upper(), message)
    try:
        cbor2.loads(message)
    except Exception as refusal:  # pylint: disable=broad-except
        return not NO_SUCH_YEAR.fullmatch(str(refusal))
    return False


def damage(dice, message):
    bytes_ = bytearray(message)
    for _ in range(dice.randrange(1, 4)):
        if bytes_:
            bytes_[dice.randrange(len(bytes_))] = dice.getrandbits(8)
    return bytes(bytes_[: dice.randrange(len(bytes_) + 1)] if dice.random() < 0.3 else bytes_)


def main(program):
    seed = random.SystemRandom().getrandbits(32)
    dice = random.Random(seed)
    values = [make(dice) for _ in range(VALUES)]
    messages = [encoded(dice, value) for value in values]
    complaints = []
    for value, message, answer in zip(values, messages, echo(program, messages)):
        if answer.startswith("refused") or not same(cbor2.loads(bytes.fromhex(answer)), value):
            complaints.append(f"{value!r}, written {message.hex()}, came back as {answer}")
    damaged = [damage(dice, dice.choice(messages)) for _ in range(DAMAGED)]
    read = 0
    for message, answer in zip(damaged, echo(program, damaged)):
        if answer.startswith("refused"):
            continue
        read += 1
        if refused_by_cbor2(message):
            complaints.append(f"cbor2 refuses {message.hex()}, which came back as {answer}")
    print(*complaints[:20], f"seed {seed}: {VALUES} values, {DAMAGED} damaged ({read} still read), "
          f"{len(complaints)} complaints", sep="\n")
    return bool(complaints) or read == 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
