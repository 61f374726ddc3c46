#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests that have a longer form for as long as is wished, again and again, each time from another seed.

usage: soak.py BUILD [MODE...] [--for DURATION] [--seed N] [--json FILE] | soak.py --selftest

DURATION is a number of seconds, or 90s, 25m, 2h; the programs of a mode take turns until it is over, each at least
once. The last lines are what was counted and "N passed, N failed"; --json FILE keeps them with commit, seed, duration
and machine. A doctest program counts one for each case that it has run, the proofs one for each run of a model or a
scenario, anything else counts one.
"""
import argparse
import collections
import concurrent.futures
import datetime
import json
import os
import pathlib
import platform
import re
import secrets
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# So many copies of it run beside each other, each from a seed of its own.
Program = collections.namedtuple("Program", "name arguments environment copies", defaults=((), {}, 1))


def doctest(program, cases, seed="{seed}", copies=1, **environment):
    return Program(program, ("-tc=" + cases, "--seed=" + seed), environment, copies)


CRASH = "tests/crash/crash-test"
NAMES = "tests/names/names-test"
BAD = "tests/bad_input/bad-input-test"
PROCESS = "tests/process/process-test"
STEPPED = "a kill behind any instruction*"
# {round} counts from 0: so many rounds of this stride come to every instruction.
STRIDE = 40
# A victim and its keeper sleep for each other: two pairs for each processor keep it busy.
COPIES = 2 * len(os.sched_getaffinity(0))
# Of each of the three victims, for each second that a mode has and each copy: a third of that second.
KILLS_A_SECOND = 20
# Likewise of each copy, one for each processor: less than half of that second.
OPERATIONS_A_SECOND = 1_000_000
MODELS = "tests/model/run.py"
PATIENCE_OF_A_MODEL_S = 7200
# From so long a soak on all but the long sizes of the models, which take that long beside other work; else the quick ones.
ALL_SIZES_S = 1800
# As many times the executions that CI has; all of one seed, and less than a million of each scenario.
EXECUTIONS = 20
# Beyond 2^32 its generator is another one, and so poor that a missing order was not met in 100,000 executions.
SEEDS_OF_RELACY = 4000
MODES = {
    "crash": [
        doctest(CRASH, "a thousand kills*", copies=COPIES, PORTOLAN_KILLS="{kills}"),
        doctest(CRASH, STEPPED, "{round}", PORTOLAN_STEP_ALL="1", PORTOLAN_STEP_STRIDE=str(STRIDE)),
        doctest(CRASH, STEPPED, PORTOLAN_STEP_STRIDE="1"),
        doctest(CRASH, "a kill at any edge*"),
        doctest(CRASH, "both ends killed*", PORTOLAN_BOTH_ENDS_KILLS="400"),
        doctest(NAMES, "a service that is killed under load*", PORTOLAN_CUSTODY_KILLS="200"),
        doctest(NAMES, "a broker that is killed again*", PORTOLAN_BROKER_KILLS="100"),
    ],
    "death": [
        Program("tests/soak/death", ("--repeats", "3", "--mib", "1", "--mib", "128")),
        Program("tests/process/stop-test"),
        doctest(PROCESS, "*death of an owner*,*a close is seen*"),
        doctest(BAD, "*peer that was killed*"),
        doctest(CRASH, "*reader whose writer was killed*"),
    ],
    "memory": [
        Program("tests/fuzz/hostile-operations-test", ("--seed={seed}",),
                {"PORTOLAN_HOSTILE_OPERATIONS": "{operations}"}, copies=COPIES // 2),
        Program("tests/ring/ring-test", ("--seed={seed}",)),
        Program("tests/bad_input/scribbler-test", ("--seed={seed}",), {"PORTOLAN_SCRIBBLE_SECONDS": "60"}),
        doctest(BAD, "what no correct peer*,a peer that misbehaves*,a violation found*,a port that closed itself*"),
        Program("tests/buffer/buffer-test"),
        doctest("tests/command/command-test", "*"),
    ],
    "socket": [
        doctest(BAD, "*flood*,*packets*,a packet of any*,a former holder*,whatever is no*,what no correct peer sends*,a bundle*"),
        doctest(NAMES, "nonsense is turned away*,who says too late*,without descriptors*"),
        Program("tests/wire/wire-test"),
        Program("tests/os/os-test"),
    ],
    "faults": [
        doctest(BAD, "without*,too many*,descriptors that*,a process that its memory*,a port that cannot*,a message whose*,a commit*"),
        Program("tests/bad_input/any-refusal-test", ("--seed={seed}",), {"PORTOLAN_REFUSE_ALL": "1"}),
        Program("tests/bad_input/no-memory-test"),
        doctest(CRASH, "*no address space*"),
        doctest(PROCESS, "*membarrier*"),
    ],
    "fork": [
        doctest(PROCESS, "*fork*"),
        Program("tests/process/clone-test", (), {"PORTOLAN_CLONES": "2000"}),
        doctest(BAD, "*fork*"),
        doctest("tests/os/os-test", "*fork*"),
        doctest("tests/port/port-test", "*fork*"),
    ],
    "values": [
        Program("tests/values/values-test"),
        Program("tests/fuzz/fuzz-test", (), {"PORTOLAN_FUZZ_CASES": "2000000"}),
    ],
    "daemon": [
        Program("portoland"),
        Program(NAMES),
    ],
    "proofs": [
        Program(MODELS, ("{sizes}", "--mutants", "--jobs", str(COPIES), "--seconds", str(PATIENCE_OF_A_MODEL_S))),
        Program("tests/memory_model/ring-model", (str(ROOT), str(EXECUTIONS), "0", "{first}")),
    ],
}
# A round of the proofs is the same each time but for the seeds of the executions.
ALL = [mode for mode in MODES if mode != "proofs"]

SUMMARY = re.compile(r"^\[doctest\] test cases: *\d+ \| *(\d+) passed \| *(\d+) failed", re.M)
KILLED_IN = re.compile(r"^killed in (.*)$", re.M)
STEPPED_THROUGH = re.compile(r"^stepped through .*: (\d+) instructions, (\d+) states, (\d+) kills$", re.M)
REFUSED_IN = re.compile(r"^refused in .*: (\d+) calls, of which it tells (\d+)$", re.M)
CUSTODY = re.compile(r"(\d+) numbers, (\d+) lives, (\d+) redelivered, (\d+) answered twice")
BROKERS = re.compile(r"(\d+) brokers killed, (\d+) answers, (\d+) met, (\d+) parted")

HOSTILE = re.compile(r"^(\d+) hostile operations in (\d+) scripts", re.M)
SCRIBBLED = re.compile(r"(\d+) channels, (\d+) stores and (\d+) holes in them, \d+ messages of their own; (\d+) calls")

# A line of run.py or of ring-model: what held or was noticed, and with which outcome.
PROOF = re.compile(r"^(ok|FAIL) +(?:[\d.]+ s +)?(.*?): (.*)$", re.M)
# What doctest says to --count.
CHOSEN = re.compile(r"passing the current filters: (\d+)$", re.M)
STATES = re.compile(r"(\d+) states")
EXECUTED = re.compile(r"(\d+) executions")
LEFT_OUT = re.compile(r" without ")


def proofs_of(output):
    """Each run of a model or a scenario, with its outcome."""
    return [{"run": name, "outcome": said, "as expected": word == "ok"} for word, name, said in PROOF.findall(output)]


def count_proofs(output, counts):
    for proof in proofs_of(output):
        states, executed = STATES.search(proof["outcome"]), EXECUTED.search(proof["outcome"])
        left_out = LEFT_OUT.search(proof["run"])
        counts["states of models"] += int(states.group(1)) if states else 0
        if executed and not left_out:
            counts["executions under the memory model"] += int(executed.group(1))
        if proof["as expected"]:
            what = "memory orders" if executed else "rules"
            counts[f"{what} left out, and noticed" if left_out else "scenarios that hold" if executed else "models that hold"] += 1


def counted(output):
    """What a program's output says that it has done, by name."""
    counts = collections.Counter()
    for phases in KILLED_IN.findall(output):
        for phase, kills in re.findall(r"(\w+): (\d+)", phases):
            counts[f"killed in {phase}"] += int(kills)
            counts["kills"] += int(kills)
    for instructions, states, kills in STEPPED_THROUGH.findall(output):
        counts["instructions in stepped operations"] += int(instructions)
        counts["states in stepped operations"] += int(states)
        counts["kills behind an instruction"] += int(kills)
        counts["kills"] += int(kills)
    for calls, told in REFUSED_IN.findall(output):
        counts["system calls refused"] += int(calls)
        counts["refusals told to the caller"] += int(told)
    for numbers, lives, _, _ in CUSTODY.findall(output):
        counts["messages to services in custody"] += int(numbers)
        counts["kills of services in custody"] += int(lives) - 1
        counts["kills"] += int(lives) - 1
    for kills, answers, met, parted in BROKERS.findall(output):
        counts["kills of brokers"] += int(kills)
        counts["answers while brokers were killed"] += int(answers)
        counts["strangers who met meanwhile"] += int(met)
        counts["strangers whom a kill kept from it"] += int(parted)
        counts["kills"] += int(kills)
    for operations, scripts in HOSTILE.findall(output):
        counts["hostile operations on the ring"] += int(operations)
        counts["hostile scripts"] += int(scripts)
    count_proofs(output, counts)
    for channels, stores, holes, calls in SCRIBBLED.findall(output):
        counts["channels scribbled over"] += int(channels)
        counts["hostile stores"] += int(stores)
        counts["holes punched"] += int(holes)
        counts["calls on scribbled channels"] += int(calls)
    return counts


def outcome(output, code):
    """(passed, failed) of one run."""
    cases = SUMMARY.findall(output)
    if not cases and (proofs := [proof["as expected"] for proof in proofs_of(output)]):
        return proofs.count(True), max(proofs.count(False), code != 0)
    if not cases:
        return (1, 0) if code == 0 else (0, 1)
    passed = sum(int(case[0]) for case in cases)
    failed = sum(int(case[1]) for case in cases)
    return passed, failed if code == 0 else max(failed, 1)


def command_of(build, program, seed, round_number, seconds):
    fill = {"seed": seed, "round": round_number, "kills": max(500, round(seconds * KILLS_A_SECOND)),
            "operations": round(seconds * OPERATIONS_A_SECOND), "first": seed % SEEDS_OF_RELACY * 1_000_000 + 1,
            "sizes": "--quick" if seconds < ALL_SIZES_S else "--mutants"}
    environment = {name: value.format(**fill) for name, value in program.environment.items()}
    if program.name == "portoland":
        script = ROOT / "tests/daemon/portoland_test.py"
        return [sys.executable, script, build / "daemon/portoland", ROOT / "daemon/portoland.8"], environment
    arguments = [argument.format(**fill) for argument in program.arguments]
    if program.name == MODELS:
        return [sys.executable, ROOT / MODELS, *arguments], environment
    return [build / program.name, *arguments], environment


def run(build, program, seed, round_number, seconds):
    """(passed, failed, output) of one run of all its copies."""
    apart = 2**32 // max(program.copies, 1)
    with concurrent.futures.ThreadPoolExecutor(program.copies) as copies:
        ends = list(copies.map(lambda copy: run_one(build, program, (seed + copy * apart) % 2**32, round_number, seconds),
                               range(program.copies)))
    return sum(end[0] for end in ends), sum(end[1] for end in ends), "".join(end[2] for end in ends)


def run_one(build, program, seed, round_number, seconds):
    command, environment = command_of(build, program, seed, round_number, seconds)
    try:
        result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False,
                                timeout=6 * 3600 if program.name == MODELS else 3600, stdin=subprocess.DEVNULL, env=os.environ | environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 0, 1, str(error)
    output = result.stdout + result.stderr
    return *outcome(output, result.returncode), output


def stale_patterns(build, programs):
    """Patterns that choose no case of their program; one beside them that does would hide it."""
    stale = []
    for program in programs:
        chosen = [word.removeprefix("-tc=") for word in program.arguments if word.startswith("-tc=")]
        if not (build / program.name).exists():
            continue  # its run says so
        for pattern in chosen[0].split(",") if chosen else []:
            listed = subprocess.run([build / program.name, "--count", "-tc=" + pattern], capture_output=True, text=True,
                                    check=False, stdin=subprocess.DEVNULL).stdout
            if sum(map(int, CHOSEN.findall(listed))) == 0:
                stale.append(f"{program.name}: {pattern}")
    return stale


def turns(build, modes, seconds, seed):
    passed = failed = 0
    counts, programs, figures, proofs = collections.Counter(), {}, [], []
    began = time.monotonic()
    round_number = 0
    while round_number == 0 or time.monotonic() - began < seconds:
        for mode in modes:
            for program in MODES[mode]:
                if round_number > 0 and time.monotonic() - began >= seconds:
                    break
                said = [word for word in program.arguments
                        if not word.startswith(("--seed", "{")) and word != str(ROOT)]
                said += [f"{name}={value}" for name, value in program.environment.items()]
                name = " ".join([mode, pathlib.Path(program.name).name, *said])
                started = time.monotonic()
                now_passed, now_failed, output = run(build, program, (seed + round_number) % 2**32, round_number,
                                                     seconds / len(modes))
                passed, failed = passed + now_passed, failed + now_failed
                counts += counted(output)
                row = programs.setdefault(name, {"runs": 0, "passed": 0, "failed": 0, "seconds": 0})
                for key, value in (("runs", 1), ("passed", now_passed), ("failed", now_failed),
                                   ("seconds", round(time.monotonic() - started, 1))):
                    row[key] = round(row[key] + value, 1)
                if program.name.endswith("/death") and round_number == 0 and now_failed == 0:
                    figures = json.loads(output)
                if mode == "proofs" and round_number == 0:
                    proofs += proofs_of(output)
                if now_failed:
                    print(f"failed: {name}, seed {seed + round_number}, round {round_number}\n{output[-4000:]}")
                else:
                    print(f"{name}: {now_passed} passed in {time.monotonic() - started:.0f} s", flush=True)
        round_number += 1
    report = {"modes": modes, "seed": seed, "rounds": round_number,
              "seconds": round(time.monotonic() - began), "passed": passed, "failed": failed,
              "counts": dict(sorted(counts.items())), "programs": programs}
    return report | ({"death": figures} if figures else {}) | ({"proofs": proofs} if proofs else {})


def machine():
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text(encoding="utf-8"))
    return {"cpu": cpu.group(1) if cpu else platform.machine(), "processors": len(os.sched_getaffinity(0)),
            "memory_mib": int(memory.group(1)) // 1024, "kernel": platform.release()}


def commit():
    def git(*words):
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False).stdout
    changed = "+changes" if git("status", "--porcelain", "--untracked-files=no", "src", "include").strip() else ""
    return git("rev-parse", "--short", "HEAD").strip() + changed


def duration(text):
    found = re.fullmatch(r"(\d+)([smh]?)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text} is no duration such as 90s, 25m or 2h")
    return int(found.group(1)) * {"": 1, "s": 1, "m": 60, "h": 3600}[found.group(2)]


def selftest():
    said = ("killed in adopt: 1 post: 2 grow: 0\nstepped through a post: 100 instructions, 7 states, 3 kills\n"
            "refused in closing: 5 calls, of which it tells 2\nx: 9 numbers, 4 lives, 1 redelivered, 0 answered twice\n"
            "2 brokers killed, 8 answers, 6 met, 1 parted\n70 hostile operations in 2 scripts, 1 messages\n"
            "[doctest] test cases:  5 | 4 passed | 1 failed | 0 skipped\n")
    counts = counted(said)
    assert counts["kills"] == 3 + 3 + 3 + 2, counts
    assert counts["killed in post"] == 2 and counts["system calls refused"] == 5, counts
    assert counts["hostile operations on the ring"] == 70, counts
    assert outcome(said, 1) == (4, 1) and outcome(said.replace("1 failed", "0 failed"), 1) == (4, 1)
    proved = ("ok      2.5 s  a.pml clean -DN=2: holds, 11419 states\nFAIL    0.5 s  a.pml without NO_X: holds, 20 states\n"
              "ok   waking           as written: 5000 executions\n     its accesses: A1\n"
              "ok   waking           without the order of S1: 42 executions, then: USER ASSERT FAILED\n")
    counts = counted(proved)
    assert counts["states of models"] == 11439 and counts["models that hold"] == 1, counts
    assert counts["executions under the memory model"] == 5000 and counts["memory orders left out, and noticed"] == 1, counts
    assert "rules left out, and noticed" not in counts and outcome(proved, 1) == (3, 1)
    assert outcome(proved.replace("FAIL", "ok  "), 0) == (4, 0) and outcome(proved.replace("FAIL", "ok  "), 1) == (4, 1)
    assert outcome("", 0) == (1, 0) and outcome("", 1) == (0, 1)
    assert duration("25m") == 1500 and duration("7") == 7
    for programs in MODES.values():
        for program in programs:
            command_of(pathlib.Path("build"), program, 1, 2, 60)
    count = "#!/bin/sh\n[ $2 = '-tc=gone*' ] || n=2\necho \"[doctest] unskipped test cases passing the current filters: ${n:-0}\"\n"
    with tempfile.TemporaryDirectory() as directory:
        (pathlib.Path(directory) / "cases").write_text(count, encoding="utf-8")
        (pathlib.Path(directory) / "cases").chmod(0o755)
        assert stale_patterns(pathlib.Path(directory), [doctest("cases", "there*,gone*"), Program("none")]) == ["cases: gone*"]
    several = Program("echo", ("{seed}", "{kills}"), {}, 3)
    assert run(pathlib.Path("/bin"), several, 1, 0, 100)[2].split()[:2] == ["1", "2000"]
    assert run(pathlib.Path("/bin"), several, 1, 0, 100)[:2] == (3, 0)


def main():
    if sys.argv[1:] == ["--selftest"]:
        return selftest()
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("mode", nargs="*", help=f"of {', '.join(MODES)}; all, which is all but the last and also what none means")
    parser.add_argument("--for", dest="seconds", type=duration, default=60)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31) + 1)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_intermixed_args()
    modes = ALL if not options.mode or options.mode == ["all"] else options.mode
    if unknown := set(modes) - set(MODES):
        parser.error(f"no mode {' '.join(unknown)}; there are {', '.join(MODES)}, all")
    if stale := stale_patterns(options.build.resolve(), [program for mode in modes for program in MODES[mode]]):
        parser.error(f"these choose no case: {'; '.join(stale)}")
    report = {"commit": commit(), "date": datetime.date.today().isoformat(), "machine": machine()}
    report |= turns(options.build.resolve(), modes, options.seconds, options.seed)
    for name, count in report["counts"].items():
        print(f"{name}: {count:,}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"{report['passed']} passed, {report['failed']} failed")
    return 1 if report["failed"] or not report["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
