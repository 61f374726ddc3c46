#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Ports in shell pipes: what one pipe writes comes out of another one, in any other process, and a line asks for
# an answer. Needs no program but the portolan command.
# usage: shell_pipe.sh [PORTOLAN]
set -eu
portolan=${1:-portolan}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# A pipe in two halves, which may start in any order, in two terminals or two containers that share a directory.
mkfifo "$place/out"
"$portolan" listen "unix:$place/numbers" >"$place/out" &
listener=$!
awk '{ sum += $1 } END { printf "%d %.0f\n", NR, sum }' <"$place/out" >"$place/sum" &
adder=$!
seq 1 100000 | "$portolan" connect "unix:$place/numbers"  # ends once everything was read
kill -INT "$listener"
wait "$adder"
echo "lines and their sum: $(cat "$place/sum")"
[ "$(cat "$place/sum")" = "100000 5000050000" ]

# A question, and the first answer to it. Here somebody answers whatever is asked with one line.
mkfifo "$place/answers"
"$portolan" listen "unix:$place/oracle" <"$place/answers" >"$place/asked" &
oracle=$!
exec 3>"$place/answers"  # and it stays open
echo "as you like it" >&3
[ "$("$portolan" call "unix:$place/oracle" "how?")" = "as you like it" ]
until [ "$(cat "$place/asked")" = "how?" ]; do sleep 0.01; done  # its process writes that, perhaps a moment later
kill "$oracle" 2>/dev/null || true
echo "asked and answered"
