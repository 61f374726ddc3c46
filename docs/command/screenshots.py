#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of docs/command.md: what `portolan ls`, `top` and `graph` show of the demo while it streams files, in a
real terminal (tmux), as SVG.

usage: screenshots.py PORTOLAN DEMO FOLDER      or      screenshots.py --selftest
"""
import html
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

COLUMNS, ROWS = 176, 30
LETTER, LINE, MARGIN = 8.4, 18, 12
FILES, FILE_BYTES = 4, 3 << 30  # long enough to be looked at; holes, which cost no disk
PATIENCE_S = 60
COLOURS = {31: "#e06c75", 32: "#98c379", 33: "#e5c07b"}
ESCAPE = re.compile(r"\x1b\[([\d;]*)m")


def spans(line, style):
    """(text, style) of each run of one style; `style` goes on from line to line."""
    runs, position = [], 0
    for match in list(ESCAPE.finditer(line)) + [None]:
        text = line[position:match.start() if match else len(line)]
        if text:
            runs.append((text, dict(style)))
        if match is None:
            break
        position = match.end()
        for code in (int(word or 0) for word in match.group(1).split(";")):
            if code == 0:
                style.clear()
            elif code in (1, 2):
                style["weight"] = code
            elif code == 22:
                style.pop("weight", None)
            elif code in COLOURS:
                style["colour"] = COLOURS[code]
            elif code == 39:
                style.pop("colour", None)
    return runs


def drawing(screen):
    lines = screen.rstrip("\n").split("\n")
    width = MARGIN * 2 + LETTER * max(len(ESCAPE.sub("", line)) for line in lines)
    height = MARGIN * 2 + LINE * len(lines)
    rows, style = [], {}
    for number, line in enumerate(lines):
        column = 0
        for text, look in spans(line, style):
            if text.strip():
                fill = look.get("colour", "#d7dae0")
                extra = {1: ' font-weight="bold"', 2: ' fill-opacity="0.55"'}.get(look.get("weight"), "")
                rows.append(f'<text x="{MARGIN + LETTER * column:.1f}" y="{MARGIN + LINE * (number + 0.75):.1f}" '
                            f'textLength="{LETTER * len(text):.1f}" fill="{fill}"{extra}>{html.escape(text)}</text>')
            column += len(text)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" xml:space="preserve" '
            f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">\n'
            f'<rect width="100%" height="100%" rx="6" fill="#22252b"/>\n' + "\n".join(rows) + "\n</svg>\n")


class Screen:
    """A terminal of its own."""

    def __init__(self, directory):
        self.socket = f"{directory}/tmux"
        self.run("new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), "sh")

    def run(self, *words):
        return subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *words], check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def shows(self, command, words, keys=()):
        """Runs it on a fresh screen, and returns what is there once it has all the words."""
        self.run("respawn-pane", "-k", f"{command}; cat")
        for key in keys:
            time.sleep(1)
            self.run("send-keys", key)
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            screen = self.run("capture-pane", "-p", "-e")
            if all(word in ESCAPE.sub("", screen) for word in words):
                return screen
            time.sleep(0.1)
        raise SystemExit(f"{command} never showed {words}:\n{screen}")


def main():
    portolan, demo, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    with tempfile.TemporaryDirectory() as directory:
        names = [f"{directory}/{name}" for name in ("chart.bin", "soundings.bin", "tides.bin", "lights.bin")[:FILES]]
        for name in names:
            with open(name, "wb") as file:
                os.truncate(file.fileno(), FILE_BYTES)
        running = subprocess.Popen([demo, "--no-table", "--output", directory, *names], stdout=subprocess.DEVNULL)
        screen = Screen(directory)
        try:
            def streams():
                found = subprocess.run([portolan, "ls", "--json", "--interval", "50"], stdout=subprocess.PIPE, check=False)
                return [one for one in json.loads(found.stdout or "[]") if one["a_to_b"]["messages_per_second"] > 0]
            end = time.monotonic() + PATIENCE_S
            while not streams():
                if running.poll() is not None or time.monotonic() > end:
                    raise SystemExit("the demo has ended, or goes on, and there was nothing to see")
            (folder / "ls.svg").write_text(drawing(screen.shows(f"{portolan} ls", ["MEMORY", "stream"])))
            subprocess.run([portolan, "graph", "-o", str(folder / "graph.svg")], check=True)
            shown = screen.shows(f"{portolan} top --interval 200", ["messages/s", "stream", "\u2588"], ["h"])
            (folder / "top.svg").write_text(drawing(shown))
        finally:
            running.kill()
            running.wait()
            screen.run("kill-server")


def selftest():
    picture = drawing("plain \x1b[1mstrong\x1b[0m <x>\n\x1b[33mwarned\n")
    for part in ('<text x="12.0"', 'font-weight="bold">strong', "&lt;x&gt;", 'fill="#e5c07b">warned'):
        if part not in picture:
            sys.exit(f"self-test: {part} is not in {picture}")


if __name__ == "__main__":
    selftest() if sys.argv[1] == "--selftest" else main()
