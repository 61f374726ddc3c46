#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""portoland as its users start, reload, end and kill it, spoken to by a program that has only read
docs/daemon-protocol.md.

usage: portoland_test.py PORTOLAND MANUAL_PAGE
"""
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

PORTOLAND, MANUAL = sys.argv[1:3]
PATIENCE = 30
HELLO, ENLIST, RESOLVE, WATCH = 16, 17, 19, 21
WELCOME, DONE, REFUSED, FOUND, NEWS = 64, 65, 66, 67, 69
HEAD = struct.Struct("<4sHHIIIIIIQQHHI")


def packet(kind, number=1, code=0, generation=0, duration=0, name="", text="", version=1):
    head = HEAD.pack(b"ptld", version, kind, number, code, 0, 0, 0, 0, generation, duration, len(name), len(text), 0)
    return head + bytes(64) + name.encode() + text.encode()


class Packet:
    def __init__(self, data):
        (self.magic, self.version, self.kind, self.number, self.code, self.uid, self.gid, self.pid, self.descriptors,
         self.generation, self.duration, name, text, zero) = HEAD.unpack(data[:HEAD.size])
        assert self.magic == b"ptld" and zero == 0 and len(data) == 120 + name + text
        self.name = data[120:120 + name].decode()
        self.text = data[120 + name:].decode()


class Program:
    """A connection to the daemon."""

    def __init__(self, path, greet=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(path)
        if greet:
            assert self.ask(HELLO, code=1, generation=1).kind == WELCOME

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, kind, **fields):
        self.socket.send(packet(kind, **fields))
        return self.next()

    def next(self):
        data = self.socket.recv(4096)
        return Packet(data) if data else None


class Daemon:
    def __init__(self, directory, *options, path=None):
        self.path = path or str(directory / "portolan.sock")
        self.process = subprocess.Popen([PORTOLAND, "--socket", self.path, *options], stderr=subprocess.PIPE, text=True)
        self.lines = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def says(self, words):
        """Reads the log until a line has the words."""
        for line in self.process.stderr:
            self.lines.append(line)
            if words in line:
                return line
        raise AssertionError(f"never said {words!r}: {self.lines}")

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def stranger_reaches(directory):
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            os._exit(0 if os.access(directory, os.X_OK) else 1)
        except OSError:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


class Portoland(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory(dir="/tmp" if len(tempfile.gettempdir()) > 50 else None)
        self.directory = pathlib.Path(self.place.name)

    def tearDown(self):
        self.place.cleanup()

    def test_serves_until_it_is_terminated_and_leaves_nothing(self):
        with Daemon(self.directory) as daemon:
            line = daemon.says("listening")
            self.assertIn(f"socket={daemon.path}", line)
            with Program(daemon.path) as one, Program(daemon.path) as other:
                generation = one.ask(ENLIST, name="org.example.x").generation
                found = other.ask(RESOLVE, name="org.example.x", duration=0)
                self.assertEqual((found.kind, found.generation, found.pid), (FOUND, generation, os.getpid()))
                self.assertEqual(found.uid, os.geteuid())
            self.assertEqual(daemon.end(), 0)
            self.assertIn("stopping signal=15", daemon.says("stopping"))
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_takes_over_from_one_that_was_killed_and_not_from_one_that_lives(self):
        with Daemon(self.directory) as daemon:
            daemon.says("listening")
            with Daemon(self.directory) as second:
                self.assertEqual(second.process.wait(PATIENCE), 1)
                self.assertIn("another portoland holds", second.says("portolan.sock.lock"))
            daemon.end(signal.SIGKILL)
            with Daemon(self.directory) as third:
                third.says("listening")
                Program(third.path).__exit__()

    def test_reloads_its_policy_and_keeps_the_old_one_when_there_is_a_mistake(self):
        policy = self.directory / "policy"
        policy.write_text("# nothing yet\n")
        with Daemon(self.directory, "--policy", str(policy)) as daemon:
            daemon.says("listening")
            policy.write_text("\nallow own nobody-at-all *\n")
            daemon.process.send_signal(signal.SIGHUP)
            self.assertIn(f'{policy}:2: "nobody-at-all" is nobody', daemon.says("not_reloaded"))
            policy.write_text("deny own * org.example.forbidden\n")
            daemon.process.send_signal(signal.SIGHUP)
            daemon.says("reloaded rules=1")
            with Program(daemon.path) as program:
                answer = program.ask(ENLIST, name="org.example.forbidden")
                self.assertEqual((answer.kind, answer.code), (REFUSED, 13))
                self.assertIn("add an `allow own` rule", answer.text)
                self.assertEqual(program.ask(ENLIST, name="org.example.allowed").kind, DONE)

    def test_a_mistake_in_the_policy_or_a_service_is_no_start(self):
        (self.directory / "a b.service").write_text("command = /bin/true\n")
        (self.directory / "policy").write_text("allow connect * org.*\nallow borrow * org.*\n")
        for options, words in ((["--policy", str(self.directory / "policy")], 'policy:2: "borrow" is neither own nor'),
                               (["--services", str(self.directory)], '"a b" is no name'),
                               (["--policy", str(self.directory / "none")], "No such file or directory")):
            with Daemon(self.directory, *options) as daemon:
                self.assertEqual(daemon.process.wait(PATIENCE), 1)
                daemon.says(words)

    def test_another_version_is_told_both(self):
        with Daemon(self.directory) as daemon:
            daemon.says("listening")
            with Program(daemon.path, greet=False) as newer:
                answer = newer.ask(HELLO, code=2, generation=5, version=5)
                self.assertEqual((answer.kind, answer.code), (REFUSED, 93))
                self.assertIn("speaks version 1 and the program versions 2 to 5", answer.text)
                daemon.says("version_refused uid=")
                answer = newer.ask(HELLO, code=1, generation=5, version=5)  # one that speaks the older one, too
                self.assertEqual((answer.kind, answer.code), (WELCOME, 1))
                answer = newer.ask(ENLIST, name="x", version=5)
                self.assertIn("speaks version 1 and the program version 5", answer.text)

    def test_who_says_nothing_or_nonsense_is_disconnected(self):
        with Daemon(self.directory, "--silence-ms", "20") as daemon:
            daemon.says("listening")
            with Program(daemon.path, greet=False) as silent:
                self.assertIsNone(silent.next())
                daemon.says("silent uid=")
        with Daemon(self.directory) as daemon:
            daemon.says("listening")
            with Program(daemon.path) as babbling:
                babbling.socket.send(b"what?")
                self.assertIsNone(babbling.next())
                daemon.says("protocol_error uid=")
            with Program(daemon.path, greet=False) as rude:
                self.assertIsNone(rude.ask(ENLIST, name="x"))

    def test_who_does_not_read_is_disconnected_and_the_others_are_served(self):
        with Daemon(self.directory, "--silence-ms", "2000") as daemon, Program.__new__(Program) as deaf:
            daemon.says("listening")
            deaf.__init__(daemon.path)
            deaf.ask(WATCH, name="*")
            with Program(daemon.path) as busy:
                for number in range(300):
                    self.assertEqual(busy.ask(ENLIST, name="x").kind, DONE)
                    self.assertEqual(busy.ask(18, name="x").kind, DONE)
                daemon.says("does_not_read uid=")
                self.assertEqual(busy.ask(ENLIST, name="x").kind, DONE)

    def test_a_name_is_free_for_who_comes_after_its_owner_went_however_late_the_daemon_looks(self):
        with Daemon(self.directory) as daemon:
            daemon.says("listening")
            with Program(daemon.path) as owner:
                self.assertEqual(owner.ask(ENLIST, name="org.example.x").kind, DONE)
                daemon.process.send_signal(signal.SIGSTOP)
            with Program(daemon.path, greet=False) as next_one:
                next_one.socket.send(packet(HELLO, code=1, generation=1))
                next_one.socket.send(packet(ENLIST, name="org.example.x"))
                daemon.process.send_signal(signal.SIGCONT)
                self.assertEqual([next_one.next().kind, next_one.next().kind], [WELCOME, DONE])

    @unittest.skipIf(os.geteuid() != 0, "only root can become somebody else")
    def test_without_rules_everything_is_for_the_user_it_runs_as(self):
        self.directory.chmod(0o755)
        if not stranger_reaches(self.directory):
            self.skipTest("nobody here can be another user, or none of them reaches the temporary directory")
        with Daemon(self.directory, "--system", "--run-as", "nobody") as daemon:
            daemon.says(" uid=65534")
            child = os.fork()
            if child == 0:
                os.setuid(65534)
                with Program(daemon.path) as program:
                    os._exit(0 if program.ask(ENLIST, name="org.example.x").kind == DONE else 1)
            self.assertEqual(os.waitpid(child, 0)[1], 0)

    def test_bounds_are_for_each_user_and_say_which_option_raises_them(self):
        with Daemon(self.directory, "--names", "2", "--connections", "4") as daemon:
            daemon.says("listening")
            with Program(daemon.path) as program:
                self.assertEqual([program.ask(ENLIST, name=f"n{i}").kind for i in range(3)], [DONE, DONE, REFUSED])
                self.assertIn("raise --names", program.ask(ENLIST, name="n3").text)
                others = [Program(daemon.path) for _ in range(3)]
                with Program(daemon.path, greet=False) as fifth:
                    self.assertIn("raise --connections", fifth.next().text)
                    self.assertIsNone(fifth.next())  # closed in the end
                daemon.says("too_many_connections")
                for other in others:
                    other.__exit__()

    @unittest.skipIf(os.geteuid() != 0, "only root can be somebody else")
    def test_a_thousand_connections_of_one_user_leave_room_for_the_others(self):
        self.directory.chmod(0o755)
        if not stranger_reaches(self.directory):
            self.skipTest("nobody here can be another user, or none of them reaches the temporary directory")
        with Daemon(self.directory, "--system", "--turned-away", "200") as daemon:
            daemon.says("listening")
            ready, tell = os.pipe()
            hostile = os.fork()
            if hostile == 0:
                try:
                    os.setuid(65534)
                    crowd = []
                    for _ in range(1000):
                        each = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                        each.setblocking(False)
                        try:
                            each.connect(daemon.path)
                            each.send(packet(HELLO, code=1, generation=1))
                            for _ in range(50):
                                each.send(packet(RESOLVE, name="org.example.none", duration=PATIENCE * 10**9))
                        except OSError:
                            pass  # the daemon has had enough of it
                        crowd.append(each)
                    os.write(tell, b"!")
                    signal.pause()
                finally:
                    os._exit(0)
            try:
                self.assertEqual(os.read(ready, 1), b"!")
                with Program(daemon.path) as owner, Program(daemon.path) as other:
                    self.assertEqual(owner.ask(ENLIST, name="org.example.x").kind, DONE)
                    self.assertEqual(other.ask(RESOLVE, name="org.example.x").kind, FOUND)
                daemon.says("too_many_connections uid=65534")
                connections = len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
                self.assertLess(connections, 512 + 200 + 50)
            finally:
                os.kill(hostile, signal.SIGKILL)
                os.waitpid(hostile, 0)
                os.close(ready)
                os.close(tell)

    def test_news_of_a_name_are_told_to_who_watches_it(self):
        with Daemon(self.directory) as daemon:
            daemon.says("listening")
            with Program(daemon.path) as watcher:
                watcher.ask(WATCH, name="org.*")
                seen = []
                for _ in range(2):
                    with Program(daemon.path) as owner:
                        owner.ask(ENLIST, name="org.x")
                        owner.ask(ENLIST, name="com.x")
                        seen.append(watcher.next())
                    seen.append(watcher.next())
                self.assertEqual([(each.kind, each.name, each.code) for each in seen],
                                 [(NEWS, "org.x", code) for code in (1, 2, 3, 2)])
                self.assertLess(seen[0].generation, seen[2].generation)

    def test_a_service_is_started_when_its_name_is_wanted(self):
        helper = self.directory / "service.py"
        helper.write_text(
            "import os, sys\nsys.argv[1:] = ['', '']\n"
            f"exec(open({str(pathlib.Path(__file__).resolve())!r}).read().split('class Portoland')[0])\n"
            "with Program(os.environ['PORTOLAN_SOCKET']) as me:\n"
            "    me.ask(ENLIST, name='org.example.demand', text=os.environ['COLOUR'])\n"
            "    me.socket.settimeout(None)\n    me.next()\n")
        services = self.directory / "services"
        services.mkdir()
        (services / "org.example.demand.service").write_text(
            f"# on demand\ncommand = {sys.executable} {helper}\nenvironment = COLOUR=blue\nlimit = nofile=64\n")
        (services / "org.example.broken.service").write_text("command = /bin/false\n")
        with Daemon(self.directory, "--services", str(services)) as daemon:
            daemon.says("listening")
            with Program(daemon.path) as program:
                found = program.ask(RESOLVE, name="org.example.demand", duration=PATIENCE * 10**9)
                self.assertEqual(found.kind, FOUND)
                limits = pathlib.Path(f"/proc/{found.pid}/limits").read_text()
                self.assertRegex(limits, r"Max open files +64 ")
                os.kill(found.pid, signal.SIGKILL)
                daemon.says("service_ended name=org.example.demand")
                again = program.ask(RESOLVE, name="org.example.demand", duration=PATIENCE * 10**9)
                self.assertGreater(again.generation, found.generation)
                os.kill(again.pid, signal.SIGKILL)
                broken = program.ask(RESOLVE, name="org.example.broken", duration=PATIENCE * 10**9)
                self.assertEqual(broken.kind, REFUSED)
                self.assertIn("was started 5 times and did not register it (exit status 1)", broken.text)

    def test_the_log_is_not_flooded(self):
        with Daemon(self.directory, "--policy", os.devnull) as daemon:
            daemon.says("listening")
            began = time.monotonic()
            for _ in range(100):
                with Program(daemon.path) as program:
                    program.socket.send(b"nonsense")
                    self.assertIsNone(program.next())
            daemon.end()
            rest = daemon.lines + daemon.process.stderr.readlines()
            said = sum("protocol_error" in line for line in rest)
            windows = 1 + int((time.monotonic() - began) / 10)  # one, but on a machine that stands still
            self.assertTrue(20 <= said <= min(20 * windows, 100), said)

    def test_the_help_and_the_manual_page_say_the_same(self):
        text = subprocess.run([PORTOLAND, "--help"], capture_output=True, text=True, check=True).stdout
        manual = pathlib.Path(MANUAL).read_text().replace("\\-", "-")
        in_help = set(re.findall(r"^ +(?:-\w,)?(--[\w-]+)", text, re.M))
        in_manual = set(re.findall(r"^\.BI? (--[\w-]+)", manual, re.M))
        self.assertEqual(in_help, in_manual)
        self.assertGreater(len(in_help), 15)
        flat = " ".join(text.split())
        for option, default in re.findall(r"(--[\w-]+) N .*?\(default (\d+)\)", flat):
            entry = re.search(rf"^\.BI {option} .*?^\.TP", manual, re.M | re.S).group()
            self.assertIn(f"(default {default})", " ".join(entry.split()))

    def test_socket_activation_and_notification(self):
        if "LISTEN_FDS" not in subprocess.run(["strings", PORTOLAND], capture_output=True, text=True).stdout and \
                "sd_listen_fds" not in subprocess.run(["strings", PORTOLAND], capture_output=True, text=True).stdout:
            self.skipTest("built without libsystemd")
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listening.bind(str(self.directory / "activated"))
        listening.listen()
        notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notices.bind(str(self.directory / "notify"))
        notices.settimeout(PATIENCE)

        def pass_on():
            os.dup2(listening.fileno(), 3)
            os.environ["LISTEN_PID"] = str(os.getpid())

        environment = dict(os.environ, LISTEN_FDS="1", NOTIFY_SOCKET=str(self.directory / "notify"))
        launcher = ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$0" "$@"', PORTOLAND, "--socket",
                    str(self.directory / "unused")]
        process = subprocess.Popen(launcher, preexec_fn=pass_on, pass_fds=(3,), env=environment,
                                   stderr=subprocess.DEVNULL)
        try:
            self.assertEqual(notices.recv(100), b"READY=1")
            Program(str(self.directory / "activated")).__exit__()
            process.terminate()
            self.assertEqual(notices.recv(100), b"STOPPING=1")
            self.assertEqual(process.wait(PATIENCE), 0)
            self.assertTrue((self.directory / "activated").exists())  # it is systemd's
        finally:
            process.kill()
            process.wait()
            listening.close()
            notices.close()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
