#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""portoland under a systemd that is played here: what it keeps for a service outlives the daemon itself, because systemd
stores the descriptors and passes them to the next one. The service and its client are programs of their own.

usage: descriptor_store_test.py PORTOLAND PORTOLAN NAMES_TEST
"""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

PORTOLAND, PORTOLAN, NAMES_TEST = sys.argv[1:4]
PATIENCE_S = 60
NAME = "org.example.ledger"


def equal(what, expected):
    if what != expected:
        raise AssertionError(f"{what!r} is not {expected!r}")


def wait_until(condition, said):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"it never came to this: {said()}")
        time.sleep(0.01)


class Systemd:
    """Its socket unit, its descriptor store, and its notifications, as sd_notify(3) and sd_listen_fds(3) have them."""

    def __init__(self, directory):
        self.path = str(directory / "portolan.sock")
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listening.bind(self.path)
        self.listening.listen()
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notices.bind(str(directory / "notify"))
        self.stored, self.ready, self.pid = {}, threading.Event(), 0
        threading.Thread(target=self.hear, daemon=True).start()

    def hear(self):
        while True:
            text, descriptors, _, _ = socket.recv_fds(self.notices, 4096, 16)
            fields = dict(line.split("=", 1) for line in text.decode().splitlines())
            if "READY" in fields:
                self.ready.set()
            if "FDSTORE" in fields:
                equal((len(descriptors), fields["FDPOLL"]), (1, "0"))
                assert re.fullmatch(r"[\x21-\x39\x3b-\x7e]{1,255}", fields["FDNAME"]), fields
                self.stored[fields["FDNAME"]] = descriptors[0]
            if "FDSTOREREMOVE" in fields:
                os.close(self.stored.pop(fields["FDNAME"]))

    def start(self):
        self.ready.clear()
        passed = {"portoland.socket": self.listening.fileno(), **self.stored}
        self.pid = os.fork()
        if self.pid == 0:
            self.become_daemon(passed)
        assert self.ready.wait(PATIENCE_S), "it was never ready"

    def become_daemon(self, passed):
        try:
            environment = dict(os.environ, LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(passed)),
                               LISTEN_FDNAMES=":".join(passed), NOTIFY_SOCKET=self.notices.getsockname())
            above = [os.dup(number) for number in passed.values()]
            for place, number in enumerate(above):
                above[place] = os.dup2(number, 200 + place, inheritable=False)
            for place, number in enumerate(above):
                os.dup2(number, 3 + place)
            os.execve(PORTOLAND, [PORTOLAND, "--socket", "/nonexistent/unused"], environment)
        finally:
            traceback.print_exc()
            os._exit(1)

    def end(self, number):
        os.kill(self.pid, number)
        os.waitpid(self.pid, 0)


def main():
    if b"FDSTORE" not in pathlib.Path(PORTOLAND).read_bytes():
        print("left out: built without libsystemd")
        return 77
    with tempfile.TemporaryDirectory(dir="/tmp" if len(tempfile.gettempdir()) > 50 else None) as place:
        systemd = Systemd(pathlib.Path(place))
        os.environ["PORTOLAN_SOCKET"] = systemd.path
        systemd.start()

        def serve():
            return subprocess.Popen([NAMES_TEST, "--portolan-body", "service_on_demand"])

        service = serve()
        with subprocess.Popen([PORTOLAN, "connect", NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              bufsize=1) as client:
            try:
                for death, words in ((signal.SIGKILL, "one"), (signal.SIGTERM, "two"), (None, "three")):
                    equal(client.stdout.readline(), f"I am {service.pid}\n")
                    client.stdin.write(words + "\n")
                    equal(client.stdout.readline(), f"you said {words}\n")
                    if death is None:
                        break
                    wait_until(lambda: len(systemd.stored) == 4, lambda: systemd.stored)
                    systemd.end(death)
                    service.kill()  # while nobody is there who would keep anything
                    service.wait()
                    systemd.start()
                    service = serve()
                client.stdin.close()
                equal(client.wait(PATIENCE_S), 0)
                equal(service.wait(PATIENCE_S), 0)
                wait_until(lambda: not systemd.stored, lambda: systemd.stored)  # nothing is stored for nobody
            finally:
                client.kill()
                service.kill()
                systemd.end(signal.SIGKILL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
