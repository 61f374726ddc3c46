# SPDX-License-Identifier: Apache-2.0
set -l all ls top stat graph names tail dump doctor listen connect send call run bench
complete -c portolan -f -n "not __fish_seen_subcommand_from $all" -a "$all"
complete -c portolan -n "__fish_seen_subcommand_from ls top graph" -l label -r
complete -c portolan -n "__fish_seen_subcommand_from ls top graph" -l pid -r
complete -c portolan -n "__fish_seen_subcommand_from ls" -l unread
complete -c portolan -n "__fish_seen_subcommand_from ls" -l waiting
complete -c portolan -n "__fish_seen_subcommand_from ls" -l in-transit
complete -c portolan -n "__fish_seen_subcommand_from ls stat tail dump doctor names bench" -l json
complete -c portolan -n "__fish_seen_subcommand_from ls top stat graph" -l interval -r
complete -c portolan -n "__fish_seen_subcommand_from ls stat tail dump" -l core -r
complete -c portolan -n "__fish_seen_subcommand_from top" -l sort -xa "rate unread oldest memory label"
complete -c portolan -n "__fish_seen_subcommand_from top" -l looks -s n -r
complete -c portolan -n "__fish_seen_subcommand_from graph" -l format -xa "dot svg png"
complete -c portolan -n "__fish_seen_subcommand_from graph" -l output -s o -r
complete -c portolan -n "__fish_seen_subcommand_from graph" -l watch
complete -c portolan -n "__fish_seen_subcommand_from bench" -l seconds -r
complete -c portolan -n "__fish_seen_subcommand_from tail dump" -l from -xa "A B"
complete -c portolan -n "__fish_seen_subcommand_from tail dump" -l follow -s f
complete -c portolan -n "__fish_seen_subcommand_from connect send call" -l timeout -r
complete -c portolan -n "__fish_seen_subcommand_from stat tail dump" -f \
  -a "(portolan ls --interval 0 --color never 2>/dev/null | tail -n +2 | cut -d' ' -f1)"
