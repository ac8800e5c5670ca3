"""What goes wrong between the broker and USPS's two token endpoints, credentials first."""

from typing import Final

from usps_token_broker.catalogue.rows import (
    GATEWAY,
    OAUTH,
    OURS,
    PAYMENTS,
    PORTAL,
    SUPPORT,
    WAIT,
    Row,
    Who,
    issues,
)

_OLD_KEYS: Final = "keys of the old platform at api.usps.com are not valid at apis.usps.com"
_THEN: Final = "then `usps-token-broker reload`, or `renew bearer` after an approval"
_NETWORK: Final = "check network, firewall and DNS of this host, and base_url"
_LOOK_BETWEEN: Final = (
    "look at what stands between this host and USPS (proxy, firewall, the CDN of USPS), and at "
    "base_url; the broker asks again by itself"
)
_UNEXPECTED: Final = (
    "see whether a newer version of the broker is out; if there is none, report this answer to "
    "its makers"
)

CREDENTIALS: Final = (
    Row(
        "client_secret_wrong",
        "401 invalid_client of the token endpoint: Client authentication failed",
        "USPS knows the client_id, and the secret is not its own",
        f"check the client secret: put the Consumer Secret of the app, from {PORTAL}, where "
        "client_secret in the configuration says; then `usps-token-broker reload` tries it at once",
        Who.HOST,
        OAUTH,
    ),
    Row(
        "client_unknown",
        "401 invalid_client of the token endpoint: InvalidApiKey",
        "USPS does not know the client_id, or the application is inactive or not yet approved",
        "check client_id (the Consumer Key) and client_secret, and that the application is "
        f"approved in {PORTAL}; {_OLD_KEYS}; {_THEN}",
        Who.ACCOUNT,
        f"{OAUTH}; {issues(13, 27)}",
    ),
    Row(
        "oauth_product_missing",
        "401 of the token endpoint: InvalidApiKeyForGivenResource",
        "the application lacks the OAuth product, or base_url has a path",
        "check that base_url has no path and that the application has the OAuth product in "
        f"{PORTAL}; {_OLD_KEYS}; {_THEN}",
        Who.ACCOUNT,
        issues(33),
    ),
    Row(
        "grant_not_allowed",
        "400 or 401 of the token endpoint: unsupported_grant_type, unauthorized_client",
        "USPS does not know the grant_type that was sent, or does not allow it to the application",
        "send grant_type=client_credentials, as the broker does; if that is what was sent, have "
        f"that grant allowed for the application ({SUPPORT})",
        Who.USPS,
        f"{OAUTH}; RFC 6749 5.2",
    ),
    Row(
        "token_request_malformed",
        "400 or 415 of the token endpoint: invalid_request, invalid_scope, unsupported_media_type",
        "USPS does not understand the request for a token: a field is missing, misspelt or of the "
        "old version, or the Content-Type is no plain one",
        "let the broker ask (`usps-token bearer`): it sends grant_type, client_id and "
        "client_secret alone, as plain application/json; if it is the broker that is told so, "
        "see whether a newer version is out, or something on the way changes its requests",
        Who.WORKER,
        f"{OAUTH}; {issues(6, 33)}",
    ),
    Row(
        "token_access_denied",
        "403 of the token endpoint, or a fault of the gateway",
        "the application is not approved for the OAuth product",
        f"check in {PORTAL} that the application is approved and has the OAuth product; if it "
        f"has, ask USPS ({SUPPORT}); once it is granted, `usps-token-broker renew bearer`",
        Who.ACCOUNT,
        f"{issues(22)}; {GATEWAY}",
    ),
    Row(
        "credentials_refused",
        "400, 401 or 403 of the token endpoint",
        "USPS refused client id or secret, in words that no other row knows",
        "check client_id (the Consumer Key) and client_secret, and that the application is "
        f"approved in {PORTAL}; {_OLD_KEYS}; {_THEN}",
        Who.HOST,
        OAUTH,
    ),
)

WAY: Final = (
    Row(
        "upstream_rate_limited",
        "429 of a token endpoint (its body says invalid_request)",
        "too many calls for tokens: something else asks with the same client_id, or restarts",
        "nothing to do: the broker waits as long as USPS says; see whether something else asks for "
        "tokens with the same client_id, since USPS counts the calls of an application together",
        Who.HOST,
        f"{OAUTH}: SpikeArrestViolation, Retry-After; {issues(107)}",
    ),
    Row(
        "upstream_unavailable",
        "no token, or 500 to 504 of a token endpoint",
        "USPS cannot be reached or is down",
        WAIT,
        Who.NOBODY,
        OAUTH,
    ),
    Row(
        "call_timed_out",
        "a token call takes longer than timeout_seconds",
        "USPS took the request and did not answer whole in time",
        WAIT,
        Who.NOBODY,
        OURS,
    ),
    Row(
        "answer_broken",
        "the connection ends within an answer",
        "the answer of USPS broke off or was not HTTP",
        WAIT,
        Who.NOBODY,
        OURS,
    ),
    Row(
        "token_unusable",
        "a 200 of a token endpoint without a token that can be used",
        "something on the way changed the answer, or USPS is in trouble",
        "nothing to do: the broker asks again by itself and keeps the token it has; if it lasts, "
        "see that base_url leads to USPS and nothing in between changes its answers",
        Who.NOBODY,
        OURS,
    ),
    Row(
        "token_unchanged",
        "a renewal brings the token that is there already",
        "USPS granted nothing newer than the token we have",
        "nothing to do: the broker asks again; if it lasts, tell USPS that the token endpoint "
        "repeats itself",
        Who.USPS,
        OURS,
    ),
    Row(
        "answered_in_between",
        "a page, or a body that is not USPS's, from a token endpoint",
        "a proxy, a firewall or the CDN of USPS answered in its place",
        _LOOK_BETWEEN,
        Who.HOST,
        "pages of the CDN; guarded against by other clients too",
    ),
    Row(
        "redirected",
        "a token endpoint answers with a redirect",
        "something on the way, such as a captive portal, sends calls elsewhere; they are not "
        "followed, since they carry the secret",
        _LOOK_BETWEEN,
        Who.HOST,
        OURS,
    ),
    Row(
        "base_url_wrong",
        "404 or 405 of a token endpoint",
        "base_url does not lead to USPS's token endpoints",
        "check base_url: https://apis.usps.com, or https://apis-tem.usps.com for the test "
        "environment, without a path",
        Who.HOST,
        f"USPS/api-examples README; {issues(13, 27)}",
    ),
    Row(
        "answer_unexpected",
        "a token endpoint refuses with a status that USPS does not document",
        "USPS may have changed its interface",
        _UNEXPECTED,
        Who.MAKERS,
        OURS,
    ),
    Row(
        "dns_failed", "cannot find the host", "DNS has no address for it", _NETWORK, Who.HOST, OURS
    ),
    Row(
        "not_connected",
        "no connection to USPS: refused, unreachable, or nothing within the timeout",
        "a firewall, a missing route, or a proxy that must be used",
        _NETWORK,
        Who.HOST,
        OURS,
    ),
    Row(
        "certificate_refused",
        "the certificate of USPS is refused",
        "a proxy inspects TLS, the CA certificates of the system are old, or base_url is wrong",
        "see whether a proxy on the way inspects TLS (then set ca_file to its CA), whether the CA "
        "certificates of this system are up to date, and whether base_url is right",
        Who.HOST,
        OURS,
    ),
    Row(
        "certificate_out_of_time",
        "the certificate of USPS is refused: expired, or not yet valid",
        "the clock of this host is off, or something on the way shows an old certificate",
        "see whether the clock of this host is right (`timedatectl`); if it is, whether a proxy on "
        "the way inspects TLS (then set ca_file to its CA), and whether base_url is right",
        Who.HOST,
        "RFC 5280 4.1.2.5",
    ),
    Row(
        "tls_failed",
        "no TLS with USPS",
        "the port is not for TLS, or something on the way breaks it",
        "see whether base_url and its port are right, and whether a proxy or firewall on the way "
        "breaks TLS",
        Who.HOST,
        OURS,
    ),
    Row(
        "proxy_refused",
        "the proxy does not let the call through",
        "it allows no CONNECT to USPS, or wants a password",
        "check proxy in the configuration, and that it lets a CONNECT to USPS through without a "
        "password",
        Who.HOST,
        OURS,
    ),
    Row(
        "ca_file_unusable",
        "the CA certificates cannot be used",
        "ca_file is not there, not readable, or not PEM",
        "set ca_file to a readable file of certificates in PEM form",
        Who.HOST,
        OURS,
    ),
    Row(
        "call_not_made",
        "the call to USPS could not be made",
        "something in the configuration makes no request",
        "check base_url, proxy, ca_file and roles in the configuration",
        Who.HOST,
        OURS,
    ),
    Row(
        "broker_failed",
        "the call failed in the broker itself",
        "a bug of ours",
        _UNEXPECTED,
        Who.MAKERS,
        OURS,
    ),
)

PAYMENT: Final = (
    Row(
        "payments_scope_missing",
        "no payment token: insufficient scope, or 401 of payment-authorization",
        "the bearer token lacks the scope `payments`, which USPS grants on request",
        f"ask USPS for access to the Labels and Payments APIs for this application ({SUPPORT}); "
        "it is looked at again with the next bearer token: once USPS has granted it, "
        "`usps-token-broker renew bearer` fetches one",
        Who.USPS,
        f"{PAYMENTS}; {issues(30, 95)}",
    ),
    Row(
        "bearer_refused",
        "401 of payment-authorization without a word of a scope",
        "USPS does not take the bearer token, or the application may not use Payments (it lacks "
        "the scope `payments`)",
        "the broker renews the bearer token and tries again, once; if USPS refuses that one too, "
        f"ask it whether the application may use the Payments API ({SUPPORT})",
        Who.USPS,
        f"{PAYMENTS}; {issues(30)}",
    ),
    Row(
        "payments_forbidden",
        "403 of payment-authorization",
        "the application lacks something for the Payments API",
        f"check in {PORTAL} that the application is linked to the CRID and the account of the "
        "roles; if it is, ask USPS what it lacks for the Payments API, and name CRID, application "
        f"and this answer ({SUPPORT})",
        Who.USPS,
        PAYMENTS,
    ),
    Row(
        "payment_refused",
        "400 of payment-authorization, in words that no other row knows",
        "USPS refused the roles or the account",
        "compare the roles in the configuration with what USPS has on record for the account; if "
        f"they are right, ask USPS ({SUPPORT})",
        Who.ACCOUNT,
        PAYMENTS,
    ),
)
