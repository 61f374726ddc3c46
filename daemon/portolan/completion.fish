# SPDX-License-Identifier: Apache-2.0
set -l all ls top stat graph names tail dump doctor listen connect send call run bench
complete -c portolan -f -n "not __fish_seen_subcommand_from $all" -a "$all"
complete -c portolan -f -n "not __fish_seen_subcommand_from $all" -l version
complete -c portolan -l color -xa "auto always never"
complete -c portolan -f -l help -s h
complete -c portolan -n "__fish_seen_subcommand_from ls top graph" -l label -x
complete -c portolan -n "__fish_seen_subcommand_from ls top graph" -l pid -x
complete -c portolan -n "__fish_seen_subcommand_from ls" -l unread
complete -c portolan -n "__fish_seen_subcommand_from ls" -l waiting
complete -c portolan -n "__fish_seen_subcommand_from ls" -l in-transit
complete -c portolan -n "__fish_seen_subcommand_from ls stat tail dump doctor names bench" -l json
complete -c portolan -n "__fish_seen_subcommand_from ls top stat graph" -l interval -x
complete -c portolan -n "__fish_seen_subcommand_from ls stat tail dump" -l core -r
complete -c portolan -n "__fish_seen_subcommand_from top" -l sort -xa "rate unread oldest memory label"
complete -c portolan -n "__fish_seen_subcommand_from top" -l looks -s n -x
complete -c portolan -n "__fish_seen_subcommand_from graph" -l format -xa "dot svg png"
complete -c portolan -n "__fish_seen_subcommand_from graph" -l output -s o -r
complete -c portolan -n "__fish_seen_subcommand_from graph" -l watch
complete -c portolan -n "__fish_seen_subcommand_from bench" -l seconds -x
complete -c portolan -n "__fish_seen_subcommand_from tail dump" -l from -xa "A B"
complete -c portolan -n "__fish_seen_subcommand_from tail dump" -l messages -s n -x
complete -c portolan -n "__fish_seen_subcommand_from tail dump" -l bytes -x
complete -c portolan -n "__fish_seen_subcommand_from tail dump" -l follow -s f
complete -c portolan -n "__fish_seen_subcommand_from listen" -l verbose -s v
complete -c portolan -n "__fish_seen_subcommand_from run" -l close
complete -c portolan -n "__fish_seen_subcommand_from run; and contains -- -- (commandline -opc)" -xa "(__fish_complete_subcommand --fcs-skip=3)"
complete -c portolan -n "__fish_seen_subcommand_from connect send call" -l timeout -x
complete -c portolan -n "__fish_seen_subcommand_from stat tail dump" -f \
  -a "(portolan --color never ls --interval 0 2>/dev/null | tail -n +2 | cut -d' ' -f1)"
