#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the portolan command beside programs that use the library, and checks what it says against what they know.

usage: command_test.py PORTOLAN PORTOLAND FIXTURE [CASE...]
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from command_run import (address, daemon, equal, FIXTURE, fixture, holds, MARK, PATIENCE_S, PORTOLAN, portolan, run_cases, SHORT, started, wait_until)


def ls_and_stat_agree_with_the_process():
    with fixture() as (process, known):
        channels = {one["label"].split("-")[0]: one
                    for one in json.loads(portolan("ls", "--json", "--label", f"*-{MARK}"))}
        equal(sorted(channels), ["busy", "moved"])
        for name, (identifier, messages, size) in known.items():
            seen = channels[name]
            equal(seen["id"], identifier)
            equal(seen["a_to_b"]["posted_messages"], int(messages))
            equal(seen["a_to_b"]["posted_bytes"], int(size))
            equal((seen["a"]["place"], seen["a"]["pid"]), ("owned", process.pid))
            equal(seen["holders"][0]["pid"], process.pid)
        equal(channels["busy"]["a_to_b"]["unread_messages"], 4)
        equal(channels["busy"]["b_to_a"]["unread_messages"], 5)
        equal(channels["busy"]["limit_bytes"], 1 << 20)
        equal(channels["moved"]["b"]["place"], "in transit")
        one = json.loads(portolan("stat", known["busy"][0][:12], "--json", "--interval", "0"))
        equal({key: value for key, value in one.items() if key not in ("a_to_b", "b_to_a", "memory_bytes")},
              {key: value for key, value in channels["busy"].items() if key not in ("a_to_b", "b_to_a", "memory_bytes")})
        holds("4 messages" in portolan("stat", f"busy-{MARK}"), "stat shows the unread messages")
        process.stdin.close()
    portolan("ls", "--label", f"*-{MARK}", code=1)


def filters_select_and_columns_stand_under_each_other():
    with fixture() as (process, known):
        def labels(*arguments):
            return [one["label"].split("-")[0] for one in
                    json.loads(portolan("ls", "--json", "--pid", str(process.pid), *arguments))]
        equal(labels(), ["busy", "moved"])
        equal(labels("--in-transit"), ["moved"])
        equal(labels("--unread"), ["busy", "moved"])
        equal(json.loads(portolan("ls", "--json", "--waiting", "--pid", str(process.pid), code=1)), [])
        lines = portolan("ls", "--pid", str(process.pid)).splitlines()
        equal(len(lines), 3)
        column = lines[0].index("LABEL")
        holds(all(line[column:].startswith(name) for line, name in zip(lines[1:], known)), lines)
        holds("\033" not in "".join(lines), "no colour for a pipe")
        holds("\033[1m" in portolan("--color", "always", "ls", "--pid", str(process.pid)), "colour for who insists")
        process.stdin.close()


def the_graph_has_the_process_and_what_is_in_transit():
    with fixture() as (process, known):
        text = portolan("graph", "--pid", str(process.pid), "--interval", "0")
        holds(f'"pid-{process.pid}" -> "{known["moved"][0]}-B"' in text, text)
        holds('[label="in transit"]' in text and "A>B: 0/s, 4 unread" in text, text)
        process.stdin.close()


def replies_are_decoded_and_name_what_they_answer():
    with fixture("asks") as (process, known):
        lines = [json.loads(line) for line in portolan("tail", known["asks"][0], "--json").splitlines()]
        equal([(one["number"], one.get("request"), one["text"]) for one in lines if one["from"] == "A"],
              [(1, None, "no request"), (2, True, "how many"), (3, True, "0"), (4, True, "1"), (5, True, "2")])
        equal([(one["reply_to"], one["format"], one["bytes"], one["attachments"], one["text"])
               for one in lines if one["from"] == "B"],
              [(2, "text", 5, False, "seven"), (3, "number", 5, False, "7"), (4, "text", 10, True, "and a port"),
               (5, "refusal", 8, False, "not that")])
        holds(all(one["whole"] for one in lines), lines)
        text = portolan("dump", known["asks"][0])
        holds("text, request  how many" in text and "text, reply to 2  seven" in text, text)
        process.stdin.close()


def lines_go_both_ways_and_connect_ends_when_all_is_read():
    with address() as where, started("listen", where) as listener:
        listener.stdin.write("for the first\n")
        with started("connect", where) as client:
            # It ends when all that it said is read, whatever is still to come.
            equal(client.stdout.readline(), "for the first\n")
            client.stdin.write("one\ntwo\nno end of line")
            client.stdin.close()
            equal(client.wait(PATIENCE_S), 0)
        equal([listener.stdout.readline() for _ in range(3)], ["one\n", "two\n", "no end of line\n"])
        listener.stdin.close()  # ends only the sending
        equal(portolan("connect", where, stdin=b"the second client\n"), "")
        equal(listener.stdout.readline(), "the second client\n")
        listener.send_signal(signal.SIGINT)
        equal(listener.wait(PATIENCE_S), 0)
        holds(not pathlib.Path(where.removeprefix("unix:")).exists(), "the socket is gone")


def a_message_stays_one_line_and_arrives_before_its_sender_ends():
    with address() as where, started("listen", where) as listener:
        portolan("send", where, "two\nlines", "\033[2J")
        equal([listener.stdout.readline() for _ in range(2)], ["two\\nlines\n", "\\x1b[2J\n"])
        many = "".join(f"line {i}\n" for i in range(100_000))
        with started("connect", where) as sender:
            sender.stdin.write(many)
            sender.stdin.close()
            equal("".join(listener.stdout.readline() for _ in range(100_000)), many)
            equal(sender.wait(PATIENCE_S), 0)


def a_call_prints_the_answer():
    with address() as where, started("listen", where) as listener:
        listener.stdin.write("the answer\n")
        equal(portolan("call", where, "the question"), "the answer\n")
        equal(listener.stdout.readline(), "the question\n")
        portolan("call", where, "and what else", "--timeout", "0.05", code=1)


def the_other_side_that_ends_first_is_1():
    with address() as where, started("listen", where) as listener, started("connect", where) as client:
        client.stdin.write("hello\n")
        equal(listener.stdout.readline(), "hello\n")
        listener.kill()
        equal(client.wait(PATIENCE_S), 1)
        holds("peer_died" in client.stderr.read(), "it says how")


def tail_shows_what_was_posted_decoded_by_its_format():
    with fixture() as (process, known):
        lines = portolan("tail", known["busy"][0], "--json").splitlines()
        seen = [json.loads(line) for line in lines]
        equal([(one["number"], one["text"], one["read"]) for one in seen if one["from"] == "A"],
              [(i + 1, f"message {i}", i == 0) for i in range(5)])
        equal([(one["format"], one["text"]) for one in seen if one["from"] == "B"],
              [("number", "42"), ("number", "2.5"), ("bytes", "00ff"),
               ("cbor", '{"lines": [10, -20], "scene": "harbour"}'), ("text", "two\\nlines \\x1b[2J")])
        equal(len(portolan("tail", known["busy"][0], "-n", "2", "--from", "A").splitlines()), 2)
        process.send_signal(signal.SIGSTOP)
        equal(len(portolan("dump", known["busy"][0]).splitlines()), 10)
        process.send_signal(signal.SIGCONT)
        process.stdin.close()


def the_doctor_finds_this_machine_usable_and_names_what_costs():
    found = json.loads(portolan("doctor", "--json"))
    holds(found["usable"], found)
    few = subprocess.run(["bash", "-c", f"ulimit -n 60 && exec {PORTOLAN} doctor"], stdout=subprocess.PIPE,
                         timeout=PATIENCE_S, text=True)
    equal(few.returncode, 1)
    holds("descriptors: some 30 ports" in few.stdout, few.stdout)


def run_is_a_worker_under_the_command():
    equal(portolan("run", "--close", "--", FIXTURE, "echo", stdin=b"", code=7), "")
    with started("run", "--", FIXTURE, "echo") as worker:
        worker.stdin.write("hello\n")
        equal(worker.stdout.readline(), "echo: hello\n")
        worker.send_signal(signal.SIGINT)
        equal(worker.wait(PATIENCE_S), 128 + signal.SIGTERM)
    portolan("run", "--", "/nonexistent/program", stdin=b"", code=2)


def names_tells_who_has_which_and_who_is_waited_for():
    with daemon() as where, started("listen", "org.example.here", PORTOLAN_SOCKET=where) as listener, \
            started("connect", "org.example.none", PORTOLAN_SOCKET=where):
        def names():
            return json.loads(portolan("names", "--json", code=None, PORTOLAN_SOCKET=where))
        wait_until(lambda: len(names()) == 2, names)
        here, none = names()
        equal((here["name"], here["pid"], here["uid"], here["pending"]),
              ("org.example.here", listener.pid, os.geteuid(), 0))
        holds(here["seconds"] >= 0 and here["generation"] > 0, here)
        equal((none["name"], none["registered"], none["pending"]), ("org.example.none", False, 1))
        text = portolan("names", "org.*", PORTOLAN_SOCKET=where)
        holds(f"portolan[{listener.pid}]" in text and "1 wait for it" in text, text)
        portolan("names", "com.*", code=1, PORTOLAN_SOCKET=where)
    portolan("names", code=2, PORTOLAN_SOCKET="/nonexistent/socket")


def top_shows_rates_and_sorts_without_a_terminal():
    with fixture("flow") as (process, known):
        text = portolan("top", "-n", "2", "--interval", "200", "--label", f"*-{MARK}", "--sort", "unread")
        first, second = text.split("\n\n")
        for look in first, second:
            holds("3 channels, 1 processes" in look and "by unread" in look, look)
        rows = second.splitlines()[2:]
        equal([row.split()[1].split("-")[0] for row in rows], ["busy", "moved", "flow"])
        holds("\u2588" in rows[2], rows[2])  # its busiest look
        holds(">= " in rows[0], rows[0])
        process.stdin.close()


def top_is_driven_by_keys_in_a_terminal():
    with fixture("flow") as (process, known), tempfile.TemporaryDirectory(dir=SHORT) as directory:
        def tmux(*arguments):
            return subprocess.run(["tmux", "-S", f"{directory}/tmux", "-f", "/dev/null", *arguments], check=True,
                                  stdout=subprocess.PIPE, text=True, timeout=PATIENCE_S).stdout
        tmux("new-session", "-d", "-x", "150", "-y", "12",
             f"{PORTOLAN} top --interval 100 --label '*-{MARK}'; echo left with $?; cat")
        try:
            def screen():
                return tmux("capture-pane", "-p")
            def order():
                return [line.split()[1].split("-")[0] for line in screen().splitlines()[2:5] if line.strip()]
            wait_until(lambda: order()[:1] == ["flow"] and "by rate" in screen(), screen)
            tmux("send-keys", "u")
            wait_until(lambda: order() == ["busy", "moved", "flow"] and "by unread" in screen(), screen)
            tmux("send-keys", "h")
            wait_until(lambda: "space pause" in screen(), screen)
            tmux("send-keys", "h", " ")
            wait_until(lambda: "paused" in screen() and "space pause" not in screen(), screen)
            tmux("send-keys", "l", "Down")
            wait_until(lambda: order() == ["flow", "moved"] or order() == ["busy", "flow", "moved"], screen)
            tmux("resize-window", "-x", "60", "-y", "12")
            tmux("send-keys", "+")
            wait_until(lambda: all(len(line) <= 60 for line in screen().splitlines()), screen)
            tmux("send-keys", "q")
            wait_until(lambda: screen().startswith("left with 0"), screen)  # and the screen is as it was
        finally:
            tmux("kill-server")
        process.stdin.close()


def the_graph_is_drawn_by_graphviz_and_again_while_it_is_watched():
    with fixture() as (process, known), tempfile.TemporaryDirectory() as directory:
        here = ["graph", "--pid", str(process.pid), "--interval", "0"]
        if shutil.which("dot") is None:
            portolan(*here, "--format", "svg", code=2)
            return
        holds("<svg" in portolan(*here, "--format", "svg"), "an SVG")
        picture = pathlib.Path(directory, "channels.png")
        portolan(*here, "-o", str(picture))
        holds(picture.read_bytes().startswith(b"\x89PNG"), "a PNG, as its name says")
        picture = pathlib.Path(directory, "channels.svg")
        with started(*here, "--watch", "-o", str(picture)):
            wait_until(picture.exists, str)
            before = picture.stat().st_ino
            wait_until(lambda: picture.stat().st_ino != before, lambda: "no second picture")
        process.stdin.close()


def a_core_dump_tells_what_the_process_had_in_its_channels():
    gdb = shutil.which("gdb")
    if gdb is None:
        return
    with fixture() as (process, known), tempfile.TemporaryDirectory() as directory:
        core = f"{directory}/core"
        live = {name: portolan("dump", known[name][0], "--json") for name in known}
        made = subprocess.run([gdb, "--batch", "-nx", "-iex", "set debuginfod enabled off", "-p", str(process.pid),
                               "-ex", f"generate-core-file {core}"], capture_output=True, text=True, timeout=PATIENCE_S)
        process.stdin.close()
        process.wait(PATIENCE_S)
        if not os.path.exists(core):
            print(f"left out: no process may be debugged here: {made.stderr}")
            return
        seen = json.loads(portolan("ls", "--core", core, "--json"))
        equal(sorted(one["label"].split("-")[0] for one in seen), ["busy", "moved"])
        equal(seen[0]["a"]["pid"], process.pid)
        for name in known:
            equal(portolan("dump", known[name][0], "--json", "--core", core), live[name])
        equal(len(portolan("tail", f"busy-{MARK}", "--core", core).splitlines()), 10)
        holds("4 messages" in portolan("stat", f"busy-{MARK}", "--core", core), "stat of a dump")
        pathlib.Path(directory, "broken").write_bytes(pathlib.Path(core).read_bytes()[:5000])
        portolan("ls", "--core", f"{directory}/broken", code=2)
        portolan("ls", "--core", PORTOLAN, code=2)


def a_core_dump_tells_which_ends_are_other_processes():
    gdb = shutil.which("gdb")
    if gdb is None:
        return
    with started("run", "--", FIXTURE, "echo") as run, tempfile.TemporaryDirectory() as directory:
        run.stdin.write("hello\n")
        equal(run.stdout.readline(), "echo: hello\n")
        [channel] = json.loads(portolan("ls", "--json", "--pid", str(run.pid)))
        [worker] = {channel["a"]["pid"], channel["b"]["pid"]} - {run.pid}
        made = subprocess.run([gdb, "--batch", "-nx", "-iex", "set debuginfod enabled off", "-p", str(worker),
                               "-ex", f"generate-core-file {directory}/core"], capture_output=True, text=True, timeout=PATIENCE_S)
        run.stdin.close()
        run.send_signal(signal.SIGINT)
        run.wait(PATIENCE_S)
        if not os.path.exists(f"{directory}/core"):
            print(f"left out: no process may be debugged here: {made.stderr}")
            return
        text = portolan("ls", "--core", f"{directory}/core")
        holds(f"pid {run.pid} (not in this core)" in text and "held" not in text, text)
        [seen] = json.loads(portolan("ls", "--json", "--core", f"{directory}/core"))
        equal({seen["a"]["place"], seen["b"]["place"]}, {"owned", "elsewhere"})


def bench_measures_between_two_processes():
    found = json.loads(portolan("bench", "--seconds", "0.02", "--json"))
    holds(all(value > 0 for value in found.values()) and len(found) == 8, found)
    holds("round trip, both awake" in portolan("bench", "--seconds", "0.02"), "a table for people")


if __name__ == "__main__":
    run_cases(dict(globals()))
