#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How the portolan command is called: help, wrong usage, exit status, the manual page and the completions.

usage: usage_test.py PORTOLAN PORTOLAND FIXTURE [CASE...]
"""
import os
import pathlib
import re
import subprocess
import tempfile

from command_run import (address, equal, fixture, holds, PATIENCE_S, PORTOLAN, portolan, PORTOLAND, run_cases, started)


def wrong_usage_is_2_and_says_why():
    portolan(code=2)
    portolan("ls", "--interval", "-1", code=2)
    portolan("connect", "unix:/nonexistent/socket", "--timeout", "0.01", code=2)
    holds("ls" in portolan("--help"), "help names the subcommands")


def complaint(*arguments, code=2, stdin=b""):
    done = subprocess.run([PORTOLAN, *arguments], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=PATIENCE_S)
    equal(done.returncode, code)
    return done.stderr.decode()


def a_channel_that_is_not_there_is_1():
    for subcommand in "stat", "tail", "dump":
        holds("portolan ls lists them" in complaint(subcommand, "no such channel", code=1), subcommand)


def help_has_plain_words_and_a_wrong_word_is_answered_by_the_right_ones():
    for said in portolan("--help"), portolan("top", "--help"), portolan("graph", "--help"):
        holds(all(letter.isprintable() or letter == "\n" for letter in said), repr(said))
    for wrong, right in {("--color", "nosuch", "ls"): ("nosuch", "always", "auto", "never"),
                         ("top", "--sort", "nosuch"): ("nosuch", "label", "memory", "oldest", "rate", "unread"),
                         ("nosuch",): ("nosuch",),
                         ("run", "echo", "-n", "hi"): ("run -- ",)}.items():
        said = complaint(*wrong)
        holds("\0" not in said and all(word in said for word in right), said)
    holds("TEXT..." in portolan("send", "--help"), "send takes several")
    said = subprocess.run([PORTOLAND, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    holds("{" not in said.partition("--log-level")[0] and "Excludes" not in said, said)
    equal(subprocess.run([PORTOLAND, "--system", "--user"], stderr=subprocess.PIPE).returncode == 0, False)


def the_colour_may_stand_behind_the_subcommand():
    with fixture() as (process, known):
        for arguments in ("--color", "always", "ls"), ("ls", "--color", "always"):
            holds("\033[1m" in portolan(*arguments, "--pid", str(process.pid)), arguments)
        process.stdin.close()


def a_pictures_name_says_its_format_or_is_refused():
    with fixture() as (process, known), tempfile.TemporaryDirectory() as directory:
        here = ["graph", "--pid", str(process.pid), "--interval", "0", "-o"]
        said = complaint(*here, f"{directory}/channels.pdf")
        holds(all(word in said for word in ("dot", "svg", "png")), said)
        equal(os.listdir(directory), [])
        for name in "channels", "channels.dot":
            portolan(*here, f"{directory}/{name}")
            holds(pathlib.Path(directory, name).read_text().startswith("digraph"), name)
        process.stdin.close()


def a_listener_that_does_not_answer_is_told_apart_from_one_that_ends():
    with address() as where, started("listen", where):
        said = complaint("call", where, "the question", "--timeout", "0.05", code=1)
        holds("no answer within 50 ms" in said and "ended" not in said, said)


def the_man_page_knows_every_subcommand_and_the_completions_their_options():
    folder = pathlib.Path(__file__).resolve().parents[2] / "daemon/portolan"
    texts = {path.name: path.read_text().replace("\\-", "-") for path in
             [folder / "portolan.1", folder / "completion.bash", folder / "completion.zsh", folder / "completion.fish"]}
    for subcommand in re.findall(r"^  ([a-z]+)  ", portolan("--help").partition("Subcommands:")[2], re.M):
        options = set(re.findall(r"--([a-z-]{2,})", portolan(subcommand, "--help"))) - {"help"}
        for name, text in texts.items():
            holds(re.search(rf"\b{subcommand}\b", text), f"{name} does not know {subcommand}")
        options |= {"help", "color"}
        for option in options:
            holds(f"--{option}" in texts["portolan.1"], f"portolan.1 does not know --{option}")
        # Each script has this subcommand's options, and no others.
        in_zsh = re.search(rf"^  (?:[a-z|]+\|)?{subcommand}(?:\|[a-z|]+)?\) compadd -- (.*) ;;$", texts["completion.zsh"], re.M)
        in_zsh = in_zsh.group(1) + " " + re.search(r"^compadd -- (.*)$", texts["completion.zsh"], re.M).group()
        in_fish = " ".join(line for line in texts["completion.fish"].splitlines() if line.startswith("complete") and
                           (subcommand in line.partition("subcommand_from ")[2].partition('"')[0].split() or "from" not in line))
        equal((subcommand, set(re.findall(r"--([a-z-]{2,})", in_zsh))), (subcommand, options))
        equal((subcommand, set(re.findall(r" -l ([a-z-]+)", in_fish))), (subcommand, options))
        equal((subcommand, {word[2:] for word in completed(subcommand, "--") if word != "--"}), (subcommand, options))


def completed(*words, path=None):
    """What bash offers for the last of the words behind the command."""
    script = pathlib.Path(__file__).resolve().parents[2] / "daemon/portolan/completion.bash"
    done = subprocess.run(["bash", "-c", 'source "$0"; COMP_WORDS=(portolan "$@"); COMP_CWORD=$#; _portolan; '
                           'printf "%s\\n" "${COMPREPLY[@]}"', script, *words], stdout=subprocess.PIPE, text=True, check=True,
                          env=os.environ | ({"PATH": f"{path}:{os.environ['PATH']}"} if path else {}))
    return done.stdout.split()


def bash_completes_subcommands_values_files_and_channels():
    equal(completed("do"), ["doctor"])
    equal(completed("--color", "never", "do"), ["doctor"])
    equal(completed("--color", "a"), ["auto", "always"])
    equal(completed("top", "--sort", "r"), ["rate"])
    equal(completed("graph", "--format", ""), ["dot", "svg", "png"])
    equal(completed("tail", "--from", ""), ["A", "B"])
    equal(completed("ls", "--label", ""), [])
    for words in ("ls", "--core"), ("graph", "-o"), ("graph", "--output"):
        holds(__file__ in completed(*words, __file__[:-1]), words)
    holds("bash" in completed("run", "--", "bas"), "a command behind --")
    with fixture() as (process, known), tempfile.TemporaryDirectory() as directory:
        os.symlink(os.path.abspath(PORTOLAN), f"{directory}/portolan")
        identifier = known["busy"][0]
        for subcommand in "stat", "tail", "dump":
            equal(completed(subcommand, identifier[:6], path=directory), [identifier[:8]])
        process.stdin.close()
    folder = pathlib.Path(__file__).resolve().parents[2] / "daemon/portolan"
    for script in folder.glob("completion.*"):
        holds("portolan --color never ls --interval 0" in script.read_text(), script)


if __name__ == "__main__":
    run_cases(dict(globals()))
