# What the two programs in sh share: USPS called by curl, told of by curl.
# They set `ask` (a function: header lines to $work/headers, serials to $bearer and $payment, or
# why not to $work/answer and 1).
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

broker() { curl -sS --unix-socket "$USPS_TOKEN_SOCKET" "$@"; }

post_label() {
  curl -sS -o "$work/answer" -w '%{http_code}' -H @"$work/headers" -d "$LABEL" \
    -H 'Content-Type: application/json' -H 'Accept: application/vnd.usps.labels+json' "$LABEL_URL"
}

# Whether the broker, told of a 401 by its serials, says to try again.
report() {
  printf '{"status": 401, "path": "/labels/v3/label", "serials": {"bearer": %s, "payment": %s}}' \
    "$bearer" "$payment" |
    broker --data-binary @- http://localhost/v1/answers | grep -q '"retry":true'
}

call() {
  if ! ask; then
    status=0
    return
  fi
  status=$(post_label)
  if [ "$status" = 401 ] && report && ask; then
    status=$(post_label)
  fi
  if [ "$status" = 200 ]; then
    grep -o '"trackingNumber": *"[0-9]*"' "$work/answer" | head -n 1 | tr -dc 0-9 >"$work/number"
    mv "$work/number" "$work/answer"
  fi
}

serve() {
  while read -r _; do
    call
    printf '%s %s\n' "$status" "$(tr '\n' ' ' <"$work/answer")"
  done
}
