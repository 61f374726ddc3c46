# SPDX-License-Identifier: Apache-2.0
_portolan() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} subcommand="" words="" at next
  COMPREPLY=()
  [ "$before" = = ] && before=${COMP_WORDS[COMP_CWORD - 2]}
  # The subcommand is the first word that is neither an option nor the colour.
  for ((at = 1; at < COMP_CWORD; at++)); do
    case ${COMP_WORDS[at]} in
      --color)
        ((at++))
        if [ "${COMP_WORDS[at]}" = = ]; then ((at++)); fi
        ;;
      -*) ;;
      *) subcommand=${COMP_WORDS[at]} && break ;;
    esac
  done
  if [ "$subcommand" = run ]; then
    for ((next = at + 1; next < COMP_CWORD; next++)); do
      [ "${COMP_WORDS[next]}" = -- ] || continue
      if declare -F _command_offset >/dev/null; then
        _command_offset $((next + 1))
      elif [ $((next + 1)) = "$COMP_CWORD" ]; then
        mapfile -t COMPREPLY < <(compgen -c -- "$word")
      else
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
      fi
      return
    done
  fi
  case $before in
    --color) words="auto always never" ;;
    --sort) words="rate unread oldest memory label" ;;
    --format) words="dot svg png" ;;
    --from) words="A B" ;;
    --core | --output | -o)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      return ;;
    --label | --pid | --interval | --looks | --messages | --bytes | --seconds | --timeout | -n) return ;;
  esac
  if [ -z "$words" ]; then
    case $subcommand in
      "") words="ls top stat graph names tail dump doctor listen connect send call run bench --version" ;;
      ls) words="--label --pid --unread --waiting --in-transit --interval --json --core" ;;
      top) words="--label --pid --sort --interval --looks" ;;
      graph) words="--label --pid --interval --format --output --watch" ;;
      stat) words="--interval --json --core" ;;
      tail | dump) words="--from --messages --bytes --follow --json --core" ;;
      names) words="--json" ;;
      bench) words="--seconds --json" ;;
      doctor) words="--json" ;;
      listen) words="--verbose" ;;
      connect | send | call) words="--timeout" ;;
      run) words="--close --" ;;
    esac
    words="$words --color --help"
    if [[ $subcommand =~ ^(stat|tail|dump)$ && $word != -* ]]; then
      words=$(portolan --color never ls --interval 0 2>/dev/null | tail -n +2 | cut -d' ' -f1)
    fi
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _portolan portolan
