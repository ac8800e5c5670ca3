"""What is wrong with the host, as `doctor` finds it."""

from typing import Final

from usps_token_broker.catalogue.rows import OURS, Row, Who

ROWS: Final = (
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
        "`run` and `check` end with exit code 78 for a secret, or a token is not renewed for it",
        "the file of the client secret is missing, empty, readable by others, or closed to the "
        "broker's own user; USPS was not asked",
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
        "port_taken",
        "`run` ends with exit code 73: http.listen: cannot listen",
        "the port of http.listen is another program's, or its address is none of this machine's",
        "stop what listens there (`ss -ltnp` says what it is), or set http.listen to another "
        "address or port",
        Who.HOST,
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
