"""Every error of the client.

BrokerError                    base: `code`, `detail`, `fix`, `retry_after`, `permanent`
├── BrokerUnreachable          this process cannot get at the broker
│   ├── BrokerNotInstalled     `not_installed`: no socket at any path
│   ├── BrokerNotRunning       `not_running`: a socket file, but nobody listens
│   └── NoPermission           `no_permission` (the path is closed to us), `forbidden` (the broker
│                              does not let this user in)
├── BrokerTimeout              `timed_out`: no answer within the one deadline
├── TokenDenied                the broker said no, in its own code: `credentials_refused`,
│                              `upstream_unavailable`, `unknown_slot`, …
├── ProtocolMismatch           `not_a_broker`, `bad_answer`, `cut_answer`: it makes no sense
└── CallRefused                USPS refused a call, and the broker says why, in the verdict's code;
                               raised only where `raise_refusals` asks for it

All of them can be pickled and copied, and none of them holds a token.
"""

from __future__ import annotations

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, TypeVar

    E = TypeVar("E", bound=Exception)


class BrokerError(Exception):
    """No token, and why.

    `code` is stable and for programs; `detail` says what happened and `fix` what to do, both for
    people. `retry_after` is seconds, or None when nobody knows. `permanent` means that asking again
    is useless until a person acts. `passing` means that asking again at once may help; the client
    has done that until its deadline. `status` is the HTTP status when the broker itself answered.
    """

    code = "broker_error"
    permanent = False

    def __init__(  # noqa: PLR0913 - one argument for each thing an error says
        self,
        detail: str,
        *,
        fix: str = "",
        code: str | None = None,
        retry_after: float | None = None,
        permanent: bool | None = None,
        passing: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fix = fix
        self.code = type(self).code if code is None else code
        self.retry_after = retry_after
        self.permanent = type(self).permanent if permanent is None else permanent
        self.passing = passing
        self.status = status

    def __str__(self) -> str:
        return f"{self.detail} [{self.named}]" + (f"; {self.fix}" if self.fix else "")

    @property
    def named(self) -> str:
        """The most exact name that there is for it."""
        return self.code

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.detail), dict(self.__dict__)

    def again(self) -> BrokerError:
        """The same error as a new object, so that two threads do not share one traceback."""
        twin = _revive(type(self), self.detail)
        twin.__dict__.update(self.__dict__)
        twin.__cause__ = self.__cause__
        return twin


def bare(error: E) -> E:
    """The error without the frames that it came through, and without what it came of.

    Those had an answer in their hands, and reporters of crashes send the variables of every frame.
    """
    error.__context__ = None
    return error.with_traceback(None)


def _revive(kind: type[BrokerError], detail: str) -> BrokerError:
    """An error without its attributes, for pickle to fill in; subclasses may add arguments."""
    error = kind.__new__(kind, detail)
    error.args = (detail,)
    return error


class BrokerUnreachable(BrokerError):  # noqa: N818 - named for what happened, as all are
    """This process cannot get at the broker."""

    code = "unreachable"


class BrokerNotInstalled(BrokerUnreachable):
    """There is no socket at any of the paths a broker would have."""

    code = "not_installed"


class BrokerNotRunning(BrokerUnreachable):
    """A socket file is there, but nobody listens on it."""

    code = "not_running"


class NoPermission(BrokerUnreachable):
    """The system (`no_permission`) or the broker (`forbidden`) does not let this user in."""

    code = "no_permission"
    permanent = True


class BrokerTimeout(BrokerError):  # noqa: N818 - as above
    """The one deadline passed before there was an answer."""

    code = "timed_out"


class ProtocolMismatch(BrokerError):  # noqa: N818 - as above
    """What answered is not a broker, or its answer makes no sense."""

    code = "bad_answer"


class TokenDenied(BrokerError):  # noqa: N818 - as above
    """The broker has no token for this caller, and says why.

    `next_attempt_at` (Unix seconds) is when it asks USPS again; `upstream_status` and
    `upstream_code` are what USPS said, where USPS was asked. `reason` is the row of the broker's
    catalogue of errors, where it is more exact than `code`: `usps-token explain REASON`.
    """

    code = "denied"
    next_attempt_at: float | None = None
    upstream_status: int | None = None
    upstream_code: str | None = None
    reason: str | None = None

    @property
    def named(self) -> str:
        """The row of the catalogue beside the code."""
        return f"{self.code}: {self.reason}" if self.reason else self.code


class CallRefused(BrokerError):  # noqa: N818 - as above
    """USPS refused a call; `detail` and `fix` are the broker's verdict on it.

    `reason` is the row of the catalogue of errors: `usps-token explain REASON`. `outcome` is that
    of the Verdict, None where the broker could not be told (`__cause__` says why). `permanent`: the
    same call would be refused again. `status` is USPS's.
    """

    reason: str | None = None
    outcome: str | None = None

    def __init__(
        self,
        detail: str,
        *,
        reason: str | None = None,
        outcome: str | None = None,
        **more: Any,  # noqa: ANN401 - as BrokerError has them
    ) -> None:
        super().__init__(detail, **more)
        self.reason = reason
        self.outcome = outcome

    @property
    def named(self) -> str:
        """The row of the catalogue beside the code."""
        return f"{self.code}: {self.reason}" if self.reason not in {None, self.code} else self.code
