"""What keeps a client from the broker."""

from typing import Final

from usps_token_broker.catalogue.rows import OURS, Row, Who

ROWS: Final = (
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
        "exit code 76, or ProtocolMismatch: the answer was cut off",
        "the broker was killed while it answered",
        "ask again; `journalctl -u usps-token-broker` says why it ended",
        Who.NOBODY,
        OURS,
    ),
    Row(
        "local_key_wrong",
        '401 of the broker\'s own address ([http] tokens), with realm="usps-token-broker"',
        "what the program sent as client id and secret is no local key, or its bearer is none that "
        "this broker gave out",
        "give the program the id and the secret of a key (`usps-token-broker key list`, or "
        "`key add NAME` for a new one), and let it ask for a token again",
        Who.HOST,
        OURS,
    ),
)
