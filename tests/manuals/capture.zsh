# capture.zsh FOLDER LINE: what zsh offers at the end of LINE, a word on each line of $CAPTURED.
# A shell in a terminal of its own: completion does not work without one.
zmodload zsh/zpty
export FOLDER=$1
: >$CAPTURED
print -r -- '
PROMPT=
fpath=($FOLDER $fpath)
autoload -Uz compinit && compinit -u -D
bindkey "^I" complete-word
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
over() { print -n "o""ver" }
comppostfuncs=(over)
print -n "rea""dy"
' >$CAPTURED.rc
zpty shell zsh -f -i
zpty -w shell "source $CAPTURED.rc"
zpty -r shell seen '*ready*' || exit 1
zpty -w -n shell $2$'\t'
zpty -r shell seen '*over*' || exit 1
zpty -d shell
