#!/bin/sh
# Nothing but curl: header lines of the socket into curl, and once more while nobody listens.
. "${0%/*}/common.sh"

ask() {
  got=$(broker --retry 8 --retry-all-errors --retry-max-time 12 -D "$work/head" \
    -o "$work/headers" -w '%{http_code}' -H 'Accept: text/plain' \
    'http://localhost/v1/headers?payment=default' 2>"$work/answer")
  if [ "$got" != 200 ]; then
    [ ! -s "$work/headers" ] || cp "$work/headers" "$work/answer"
    return 1
  fi
  serials=$(tr -d '\r' <"$work/head" | sed -n 's/^ETag: "\(.*\)"$/\1/p')
  bearer=${serials%.*}
  payment=${serials#*.}
}

serve
