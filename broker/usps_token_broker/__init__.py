"""usps-token-broker: the one process on a host that fetches, renews and hands out USPS tokens.

Layers, one way only (the import linter holds them): `cli | pytest_plugin > demo > app | simulator
> config > drivers > wire > core`.

    config -- settings --> app

    USPS  <--HTTPS-->  upstream -- Granted, Failed -->  +------+  -- Fetch -----> upstream
    state file <--> store ------- Restored ---------->  |      |  -- Persist ---> store
    worker <--Unix socket--> server -- Asked, ------->  | core |  -- Answer, Deny, Settle --> server
                                       Reported         |      |  -- Publish ---> ready answers
    clock ------ now, with every event -------------->  +------+  -- Note ------> log

The app carries every event in and every command out. Tokens live in the core; the store has a copy
that only the daemon can read, the server sends them to whom the configuration names, and no log
ever sees one.
"""


def version() -> str:
    """The version of this distribution."""
    from importlib import metadata  # noqa: PLC0415 - a fifth of the time until the socket listens

    try:
        return metadata.version("usps-token-broker")
    except metadata.PackageNotFoundError:
        return "0+unknown"
