"""What the broker itself refuses, and what keeps a client from reaching it."""

from typing import Final

from usps_token_broker.catalogue.rows import OURS, Row, Who

_REPORT: Final = "look into the broker's log and report what it says to its makers"


def _refusal(code: str, symptom: str, cause: str, fix: str, who: Who) -> Row:
    return Row(code, symptom, cause, fix, who, OURS)


REFUSALS: Final = (
    _refusal(
        "bad_request",
        "400 of the broker",
        "the request to the broker cannot be understood",
        "mend the request; `fix` says how",
        Who.WORKER,
    ),
    _refusal(
        "too_large",
        "400 of the broker",
        "the head or body of the request is longer than the broker takes",
        "send less: a body of USPS's answer is told by its first 4 KB",
        Who.WORKER,
    ),
    _refusal(
        "forbidden",
        "403 of the broker",
        "the configuration names neither this user nor one of its groups for this token",
        "`fix` gives the line to add to the configuration; then `usps-token-broker reload`",
        Who.HOST,
    ),
    _refusal(
        "unknown_app",
        "404 of the broker",
        "the app that was named is none that this user may use, or none was named of several",
        "say app=NAME; `detail` says which apps there are for you",
        Who.WORKER,
    ),
    _refusal(
        "unknown_slot",
        "404 of the broker",
        "the token that was asked for is none that this user may use",
        "`detail` says which tokens there are for you; others stand in the configuration as "
        "[apps.NAME.payments.NAME]",
        Who.WORKER,
    ),
    _refusal(
        "payment_not_configured",
        "404 of the broker for a payment token",
        "the app has no payment roles",
        "add [apps.NAME.payments.default] with its roles to the configuration, or set "
        "USPS_PAYMENT_ROLES; then `usps-token-broker reload`",
        Who.HOST,
    ),
    _refusal(
        "not_found",
        "404",
        "nothing is served at this path, or the thing it names is not there",
        "check the path and the id in it; the tokens have nothing to do with it",
        Who.WORKER,
    ),
    _refusal(
        "method_not_allowed",
        "405 of the broker",
        "the path takes another method",
        "use the one that the header Allow names",
        Who.WORKER,
    ),
    _refusal(
        "config_invalid",
        "422 of `reload`; `run` and `check` end with exit code 78",
        "the configuration on disk cannot be used; nothing was changed",
        "put right what `usps-token-broker check` says: file, key, and how to write it",
        Who.HOST,
    ),
    _refusal(
        "too_many_requests",
        "429 of the broker",
        "this user has too many connections, waiting requests or streams, asks or reports too "
        "often, or reports one fresh token after another",
        "keep one connection a process, and look at what USPS says in the answers that are "
        "reported; the limits stand in the configuration under [limits]",
        Who.WORKER,
    ),
    _refusal(
        "not_ready",
        "503 of the broker",
        "there is no token yet",
        "ask again with a longer `wait`; `usps-token-broker status` says how every token stands",
        Who.NOBODY,
    ),
    _refusal(
        "internal_error",
        "503 of the broker with the words internal error",
        "a bug of ours",
        _REPORT,
        Who.MAKERS,
    ),
    _refusal(
        "budget_exhausted",
        "503 of the broker",
        "its own budget of calls to USPS is used up",
        "wait for the next attempt; if it comes back, `usps-token-broker check` says whether "
        "calls_per_hour is enough for the tokens",
        Who.HOST,
    ),
    _refusal(
        "restarting",
        "503 of the broker",
        "the broker is about to end",
        "ask again in a second; a restarted broker serves the tokens it had",
        Who.NOBODY,
    ),
)

CLIENTS: Final = (
    Row(
        "not_installed",
        "exit code 69, or BrokerNotInstalled",
        "there is no socket at any path where a broker would have it",
        "start it (`systemctl start usps-token-broker`), or say where its socket is: "
        "USPS_TOKEN_SOCKET",
        Who.HOST,
        OURS,
    ),
    Row(
        "not_running",
        "exit code 69, or BrokerNotRunning",
        "a socket file is there, and nobody listens on it",
        "start it (`systemctl start usps-token-broker`), and see why it ended: "
        "`journalctl -u usps-token-broker`",
        Who.HOST,
        OURS,
    ),
    Row(
        "no_permission",
        "exit code 77, or NoPermission",
        "the system does not let this user reach the socket",
        "let the user pass the directories on the way to the socket: `namei -l SOCKET` lists them",
        Who.HOST,
        OURS,
    ),
    Row(
        "unreachable",
        "exit code 69, or BrokerUnreachable",
        "the socket cannot be connected to",
        "the system says why; `usps-token-broker doctor` looks at the whole way",
        Who.HOST,
        OURS,
    ),
    Row(
        "busy",
        "exit code 75: more callers queued than it can take",
        "the broker is stopped, or far more processes call than it was made for",
        "see whether the broker runs (`systemctl status usps-token-broker`), and keep one "
        "connection a process",
        Who.HOST,
        OURS,
    ),
    Row(
        "timed_out",
        "exit code 75, or BrokerTimeout",
        "no answer came within the client's one deadline",
        "`usps-token-broker status` says how the broker stands; a longer --timeout waits longer",
        Who.HOST,
        OURS,
    ),
    Row(
        "not_a_broker",
        "exit code 76, or ProtocolMismatch",
        "what listens at the socket is no broker",
        "check USPS_TOKEN_SOCKET and the path of the socket",
        Who.HOST,
        OURS,
    ),
    Row(
        "bad_answer",
        "exit code 76, or ProtocolMismatch",
        "the answer makes no sense: a broker of another version, or something in between",
        "bring broker and client to the same version",
        Who.HOST,
        OURS,
    ),
    Row(
        "cut_answer",
        "exit code 75: the answer was cut off",
        "the broker was killed while it answered",
        "ask again; `journalctl -u usps-token-broker` says why it ended",
        Who.NOBODY,
        OURS,
    ),
)

HOST: Final = (
    Row(
        "clock_off",
        "tokens seem to end at the wrong time, or certificates are not valid yet",
        "the clock of this host is off",
        "have it set by the network: `timedatectl set-ntp true`; the broker itself counts lives on "
        "a clock that does not step",
        Who.HOST,
        "a 401 by clock skew was never seen in public; certificates need the right time",
    ),
    Row(
        "state_not_saved",
        "status says: state not saved",
        "the state directory is full, read-only or not the broker's own",
        "make room, or put right the owner of state_dir (0700); tokens are served meanwhile, and "
        "are lost with the process",
        Who.HOST,
        OURS,
    ),
    Row(
        "out_of_descriptors",
        "no token and no new callers, while those connected are served",
        "the broker can open no more connections or files",
        "raise its limit (LimitNOFILE=), or end who holds so many connections: "
        "`usps-token-broker top` shows them",
        Who.HOST,
        OURS,
    ),
    Row(
        "secret_unusable",
        "`run` and `check` end with exit code 78 for a secret",
        "the file of the client secret is missing, empty, or readable by others",
        "write it with mode 0600 for the user of the broker: `install -m 600 -o usps-token-broker "
        "/dev/stdin FILE`",
        Who.HOST,
        OURS,
    ),
    Row(
        "state_exposed",
        "`doctor` says that the state directory is open to others",
        "its mode lets others in, and tokens lie in it",
        "`chmod 700` it; the broker closes a directory of its own by itself when it starts",
        Who.HOST,
        OURS,
    ),
    Row(
        "socket_replaceable",
        "`doctor` says that everybody may put another socket there",
        "everybody may write to the directory of the socket",
        "`chmod o-w` it: whoever puts a socket of theirs there can give workers any token",
        Who.HOST,
        OURS,
    ),
    Row(
        "broker_stuck",
        "/healthz answers 503 with alive: false",
        "the broker's core makes no progress: a bug of ours, or a machine that hardly runs",
        "restart it (`systemctl restart usps-token-broker`), which loses no token, and report what "
        "its log says",
        Who.MAKERS,
        OURS,
    ),
    Row(
        "unit_failed",
        "`systemctl status usps-token-broker` says failed",
        "the service ended with an error too often",
        "see why: `journalctl -u usps-token-broker -n 20`; then `systemctl reset-failed` and start "
        "it",
        Who.HOST,
        OURS,
    ),
    Row(
        "unit_inactive",
        "`systemctl is-active usps-token-broker` says inactive, or is-enabled says disabled",
        "the unit is there, and is not started now or would not be at the next boot",
        "`systemctl enable --now usps-token-broker.socket usps-token-broker.service`",
        Who.HOST,
        OURS,
    ),
    Row(
        "unit_changed",
        "`install-units` refuses a unit, or systemd warns that it changed on disk",
        "somebody changed the unit after it was written, or systemd has not read it again",
        "put changes into a drop-in (`systemctl edit usps-token-broker`), then "
        "`systemctl daemon-reload`",
        Who.HOST,
        OURS,
    ),
    Row(
        "old_bearer_dies",
        "`doctor --online` found that a new bearer kills the one before",
        "USPS honours only the newest bearer of an application, it seems",
        "have workers report each 401 to the broker, as its clients do: they get the new token and "
        "call once more; and see that nothing else fetches tokens with this client_id",
        Who.WORKER,
        "tried with `usps-token-broker doctor --online`; USPS publishes nothing about it",
    ),
    Row(
        "another_client",
        "429 of the token endpoint, though the broker makes few calls",
        "something else on this or another host fetches tokens with the same client_id",
        "find it (web shop, cron job, another broker) and let it take its tokens from the broker",
        Who.HOST,
        "quotas are of an application: developers.usps.com, Getting started; code of other clients",
    ),
)
