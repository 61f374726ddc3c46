# SPDX-License-Identifier: Apache-2.0
set -l all ls stat graph tail dump doctor listen connect send call run
complete -c portolan -f -n "not __fish_seen_subcommand_from $all" -a "$all"
complete -c portolan -n "__fish_seen_subcommand_from ls graph" -l label -r
complete -c portolan -n "__fish_seen_subcommand_from ls graph" -l pid -r
complete -c portolan -n "__fish_seen_subcommand_from ls" -l unread
complete -c portolan -n "__fish_seen_subcommand_from ls" -l waiting
complete -c portolan -n "__fish_seen_subcommand_from ls" -l in-transit
complete -c portolan -n "__fish_seen_subcommand_from ls stat tail dump doctor" -l json
complete -c portolan -n "__fish_seen_subcommand_from ls stat graph" -l interval -r
complete -c portolan -n "__fish_seen_subcommand_from tail dump" -l from -xa "A B"
complete -c portolan -n "__fish_seen_subcommand_from tail dump" -l follow -s f
complete -c portolan -n "__fish_seen_subcommand_from connect send call" -l timeout -r
complete -c portolan -n "__fish_seen_subcommand_from stat tail dump" -f \
  -a "(portolan ls --interval 0 --color never 2>/dev/null | tail -n +2 | cut -d' ' -f1)"
