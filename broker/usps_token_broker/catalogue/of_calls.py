"""What USPS answers the calls of a worker."""

from typing import Final

from usps_token_broker.catalogue.rows import (
    GATEWAY,
    LABELS,
    LIST,
    OAUTH,
    OURS,
    PORTAL,
    SUPPORT,
    Row,
    Who,
    issues,
)

SEND_PAYMENT: Final = (
    "send the payment token in the header X-Payment-Authorization-Token, not in the body: the "
    "broker gives both headers at /v1/headers?payment=default"
)
AFTER_GRANT: Final = (
    "once it is granted, `usps-token-broker renew`: a bearer token from before does not have it"
)
SEND_AGAIN: Final = "send the call again with the headers that the broker gives"
_NEW_PRODUCT: Final = f"ask USPS for access to this API ({SUPPORT}); {AFTER_GRANT}"
_SEND_BARE: Final = (
    "send `Authorization: Bearer ` and the bare token of the broker: not the JSON around it, "
    "not cut, no quotes, not the payment token"
)

ROWS: Final = (
    Row(
        "not_an_error",
        "an answer of 200 to 299",
        "this answer is no error",
        "nothing to do",
        Who.NOBODY,
        OURS,
    ),
    Row(
        "token_dead",
        "401 on every call, often after some hours",
        "USPS no longer takes the bearer token: it was used past its end, or revoked",
        SEND_AGAIN,
        Who.WORKER,
        f"{OAUTH}: a life of 28799 s; {issues(68)}",
    ),
    Row(
        "payment_token_dead",
        "401 or 400 on label calls only, about the payment token",
        "USPS no longer takes the payment token",
        SEND_AGAIN,
        Who.WORKER,
        f"{LABELS}; what USPS says of an expired one was never seen in public",
    ),
    Row(
        "payment_token_missing",
        "401 or 400 on label calls only, while all other calls work",
        "USPS did not find a payment token in this call",
        SEND_PAYMENT,
        Who.WORKER,
        f"{LABELS}: the header is required",
    ),
    Row(
        "token_malformed",
        "401 on every call: missing or malformed access token (not a JWT)",
        "the bearer token did not arrive, or not whole",
        _SEND_BARE,
        Who.WORKER,
        issues(33, 68),
    ),
    Row(
        "payment_token_malformed",
        "401 or 400 on label calls: malformed payment authorization token",
        "the payment token did not arrive whole",
        "send the bare payment token of the broker in X-Payment-Authorization-Token: not the JSON "
        "around it, not cut, no quotes",
        Who.WORKER,
        LABELS,
    ),
    Row(
        "bearer_prefix_missing",
        "401 on every call, with a token that works elsewhere",
        "the header Authorization has no `Bearer ` before the token",
        "write `Authorization: Bearer ` and then the token, or take the whole header from the "
        "broker: `usps-token headers`",
        Who.WORKER,
        f"RFC 6750 2.1; {issues(33, 68)}",
    ),
    Row(
        "authorization_missing",
        "401 on every call: missing access token",
        "the call carried no header Authorization; some libraries drop it on a redirect",
        "send the header that `usps-token headers` prints, to the host of the app itself",
        Who.WORKER,
        f"RFC 6750 3.1; {issues(33, 68)}",
    ),
    Row(
        "token_is_json",
        "401 on every call: not a JWT",
        "the whole answer of the token endpoint was sent as the token, or the token in quotes",
        "send what stands in access_token alone, without quotes: `usps-token bearer` prints just "
        "that",
        Who.WORKER,
        f"{issues(68)}; nopSolutions/nopCommerce #8287",
    ),
    Row(
        "token_cut",
        "401 on every call: not a JWT",
        "the token was cut: a JWT has three parts, and USPS's are 900 to 1,700 characters long",
        "make room where the token is stored (a column of 255 characters is too short), or ask "
        "the broker each time and store nothing",
        Who.WORKER,
        f"RFC 7519 3; {issues(33, 68)}",
    ),
    Row(
        "payment_token_as_bearer",
        "401 on every call, with a token that is good until later",
        "the payment token was sent where the bearer token belongs, or the other way round",
        "send the bearer token in Authorization and the payment token in "
        "X-Payment-Authorization-Token: `usps-token headers --payment` prints both in their places",
        Who.WORKER,
        LABELS,
    ),
    Row(
        "token_endpoint",
        "401, 400 or 429 of /oauth2 at a worker",
        "this call asked USPS for a token, which is what the broker is for",
        "take tokens from the broker, and do not call /oauth2 from a worker",
        Who.WORKER,
        OURS,
    ),
    Row(
        "scope_missing",
        "401 (not 403): Insufficient OAuth scope; also just after USPS granted the product",
        "the bearer token lacks a scope that this API wants",
        _NEW_PRODUCT,
        Who.USPS,
        f"{issues(30, 95, 109)}; 401 was seen live in 2026",
    ),
    Row(
        "product_missing",
        "401: the client application identifier is invalid",
        "the application does not have the product that this API belongs to",
        f"{_NEW_PRODUCT}; for tracking, new applications call /tracking/v3r2",
        Who.USPS,
        issues(56, 113),
    ),
    Row(
        "host_mismatch",
        "401 with an empty message, or 403, with a token that works elsewhere",
        "the token is of one environment (apis.usps.com, apis-tem.usps.com), and the call went to "
        "another",
        "call the host that the token is for; the credentials are the same in both environments, "
        "the tokens are not",
        Who.WORKER,
        issues(89),
    ),
    Row(
        "old_host",
        "401, or no connection, at api.usps.com or a host with -cat in its name",
        "this host belongs to the old USPS platform, where today's apps and tokens are not valid",
        "call https://apis.usps.com, or https://apis-tem.usps.com for tests",
        Who.WORKER,
        "USPS API Cloud Enrollment, 2024; USPS/api-examples README of 2025",
    ),
    Row(
        "payment_role",
        "400 or 401 on label calls, about roles, account or enrolment",
        "the roles, the account or the enrolment behind the payment token do not allow this call",
        "compare the roles in the configuration with what USPS has on record for the account; if "
        f"they are right, ask USPS ({SUPPORT})",
        Who.ACCOUNT,
        LIST,
    ),
    Row(
        "contract",
        "403: the requested contract information is not authorized",
        "the price type or account of this call is not the application's to use",
        "check priceType, account number and CRID of the request, and ask USPS to link the "
        f"contract to the application ({SUPPORT})",
        Who.ACCOUNT,
        f"{issues(80)}; verbb/postie #167",
    ),
    Row(
        "licence",
        "403 of Addresses, since August 2026",
        "the application may lack the licence of this API",
        f"accept the licence of the API in {PORTAL}, as USPS wants it for Addresses since "
        "August 2026",
        Who.ACCOUNT,
        "probed in public in September 2026",
    ),
    Row(
        "access_control",
        "403 without a reason, or a fault of the gateway (RaiseFault)",
        "the application may not use this API, or not for this account",
        f"check in {PORTAL} that the application has the product of this API and is "
        f"linked to the account; {AFTER_GRANT}",
        Who.ACCOUNT,
        f"{issues(22)}; {GATEWAY}",
    ),
    Row(
        "blocked",
        "403 with a page instead of JSON (Access Denied)",
        "something in front of USPS, such as its CDN or a proxy, refused the call",
        "look at URL, method and User-Agent of the call and at the address it comes from; USPS "
        "itself did not see it",
        Who.WORKER,
        "a page of the CDN; guarded against by other clients too",
    ),
    Row(
        "rate_limited",
        "429 of an API, for example after a deploy",
        "too many calls to this API",
        "call less often, and not before Retry-After; USPS allows 60 calls per hour and API unless "
        f"it granted more ({SUPPORT}), and new tokens do not change that",
        Who.WORKER,
        f"developers.usps.com, Getting started; {issues(30, 107)}",
    ),
    Row(
        "form_error",
        "400, 405, 415 and the like",
        "the request itself is wrong, and would be with any token",
        "mend the request as USPS says",
        Who.WORKER,
        LIST,
    ),
    Row(
        "server_error",
        "500, 501, 503",
        "USPS itself failed",
        "try again after a while; the tokens have nothing to do with it",
        Who.NOBODY,
        LIST,
    ),
    Row(
        "not_recognised",
        "an answer that no other row knows",
        "this answer is none that the broker knows to be about a token",
        "look at the answer itself; if it is about a token after all, report it to the makers of "
        "the broker",
        Who.MAKERS,
        OURS,
    ),
)
