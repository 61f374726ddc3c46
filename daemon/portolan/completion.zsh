#compdef portolan
# SPDX-License-Identifier: Apache-2.0
local subcommand="" at dashes
# The subcommand is the first word that is neither an option nor the colour.
for ((at = 2; at < CURRENT; at++)); do
  case $words[at] in
    --color) ((at += 1)) ;;
    -*) ;;
    *) subcommand=$words[at] && break ;;
  esac
done
dashes=${words[(i)--]}
if [[ $subcommand == run ]] && (( dashes < CURRENT )); then
  shift $dashes words
  (( CURRENT -= dashes ))
  _normal
  return
fi
case $words[CURRENT-1] in
  --color) compadd auto always never; return ;;
  --sort) compadd rate unread oldest memory label; return ;;
  --format) compadd dot svg png; return ;;
  --from) compadd A B; return ;;
  --core|--output|-o) _files; return ;;
  --label|--pid|--interval|--looks|--messages|--bytes|--seconds|--timeout|-n) return ;;
esac
case $subcommand in
  "") compadd -- ls top stat graph names tail dump doctor listen connect send call run bench --version ;;
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
  run) compadd -- --close -- ;;
esac
compadd -- --color --help
if [[ $subcommand == (stat|tail|dump) ]]; then
  compadd -- ${(f)"$(portolan --color never ls --interval 0 2>/dev/null | tail -n +2 | cut -d' ' -f1)"}
fi
