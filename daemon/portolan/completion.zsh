#compdef portolan
# SPDX-License-Identifier: Apache-2.0
if (( CURRENT == 2 )); then
  compadd ls top stat graph names tail dump doctor listen connect send call run bench
else
  case $words[2] in
    ls) compadd -- --label --pid --unread --waiting --in-transit --interval --json --core ;;
    top) compadd -- --label --pid --sort --interval --looks ;;
    graph) compadd -- --label --pid --interval --format --output --watch ;;
    stat) compadd -- --interval --json --core ;;
    tail|dump) compadd -- --from --messages --bytes --follow --json --core ;;
    names) compadd -- --json ;;
    bench) compadd -- --seconds --json ;;
    doctor) compadd -- --json ;;
    listen) compadd -- --verbose ;;
    connect|send|call) compadd -- --timeout ;;
    run) compadd -- --close ;;
  esac
  if [[ $words[2] == (stat|tail|dump) ]]; then
    compadd -- ${(f)"$(portolan ls --interval 0 --color never 2>/dev/null | tail -n +2 | cut -d' ' -f1)"}
  fi
fi
