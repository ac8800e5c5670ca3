"""What keeps the broker from its socket."""


class SocketError(Exception):
    """The socket cannot be had. Says what happened, why, and what to do; ends the program."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}; {fix}")
        self.what = what
        self.fix = fix


class SocketTakenError(SocketError):
    """Somebody else listens there. `pid` is None when the kernel would not say who."""

    def __init__(self, what: str, fix: str, pid: int | None) -> None:
        super().__init__(what, fix)
        self.pid = pid
