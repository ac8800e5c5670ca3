#!/bin/sh
# $1 is clients/shell/usps-token, asked before each call as a script of a shop does.
. "${0%/*}/common.sh"
usps_token=$1

ask() {
  "$usps_token" headers --payment --json >"$work/json" 2>"$work/answer" || return 1
  bearer=$(sed -n 's/.*"serials":{"bearer":\([0-9]*\).*/\1/p' "$work/json")
  payment=$(sed -n 's/.*"serials":{[^}]*"payment":\([0-9]*\).*/\1/p' "$work/json")
  sed -n 's/.*"headers":{"\([^"]*\)":"\([^"]*\)","\([^"]*\)":"\([^"]*\)"}.*/\1: \2\n\3: \4/p' \
    "$work/json" >"$work/headers"
}

serve
