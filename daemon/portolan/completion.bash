# SPDX-License-Identifier: Apache-2.0
_portolan() {
  local word=${COMP_WORDS[COMP_CWORD]} subcommand=${COMP_WORDS[1]} words
  case $subcommand in
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
  if [ "$COMP_CWORD" = 1 ]; then
    words="ls top stat graph names tail dump doctor listen connect send call run bench --help --version --color"
  elif [[ $subcommand =~ ^(stat|tail|dump)$ && $word != -* ]]; then
    words=$(portolan ls --interval 0 --color never 2>/dev/null | tail -n +2 | cut -d' ' -f1)
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _portolan portolan
