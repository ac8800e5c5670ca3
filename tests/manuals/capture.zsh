# capture.zsh FOLDER LINE...: what zsh offers at the end of each LINE, into $CAPTURED: a word on each
# line, and `== LINE` before those of one.
# A shell in a terminal of its own: completion does not work without one.
zmodload zsh/zpty
export FOLDER=$1
: >$CAPTURED
print -r -- '
PROMPT=
fpath=($FOLDER $fpath)
autoload -Uz compinit && compinit -u -D
tab() { zle complete-word; print -n "=do""ne=" }
zle -N tab
bindkey "^I" tab
bindkey "^U" kill-whole-line
zstyle ":completion:*" insert-tab false
# What is offered passes through compadd; its options -O, -A and -D only ask it.
compadd() {
  builtin compadd "$@"
  local code=$?
  [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]] && return $code
  local -a hits
  builtin compadd -A hits "$@"
  (( $#hits )) && print -rl -- $hits >>$CAPTURED
  return $code
}
print -n "=rea""dy="
' >$CAPTURED.rc
zpty shell zsh -f -i
zpty -w shell "source $CAPTURED.rc"
zpty -r shell seen '*=ready=*' || exit 1
for line in "${@:2}"; do
  print -r -- "== $line" >>$CAPTURED
  zpty -w -n shell $'\x15'$line$'\t'
  zpty -r shell seen '*=done=*' || exit 1
done
zpty -d shell
