"""The local interface: from a request and its peer to a reply.

A token that can be served is answered at once from what lies ready; only a caller who must wait
costs an await. What a request means is worked out once per identity and request line.
"""

from collections.abc import Mapping
from typing import Final

from usps_token_broker.app import problems, queries
from usps_token_broker.app.access import Access
from usps_token_broker.app.calls import Call, Handled, Handler
from usps_token_broker.app.reading import Plan, Reading
from usps_token_broker.app.tally import NO_OPERATION, Tally
from usps_token_broker.core.outcomes import Code
from usps_token_broker.core.values import BEARER
from usps_token_broker.wire import operations
from usps_token_broker.wire.operations import Found
from usps_token_broker.wire.problems import BadRequestError
from usps_token_broker.wire.replies import Reply
from usps_token_broker.wire.requests import Request

_LONGEST_SHOWN: Final = 80
_ADMIN_FIX: Final = (
    "it is served on admin.sock in the state directory, to root and the broker's own user: use "
    "`usps-token-broker renew`, `reload`, `forget`, or `doctor --bundle FILE`"
)


class Routes:
    """Handles every request of the local interface. `handlers` has one for each operation."""

    def __init__(self, reading: Reading, handlers: Mapping[str, Handler], tally: Tally) -> None:
        self._reading = reading
        self._handlers = {
            "readToken": reading.token,
            "readHeaders": reading.headers,
            **handlers,
        }
        self._tally = tally
        self._requests = tally.requests
        self.retire = reading.retire

    def handle(self, request: Request, access: Access, *, admin: bool = False) -> Handled:
        """The reply, or a promise of one for a caller who must wait. Counts it."""
        if request.method == "GET":
            plan = access.plans.get(request.target)
            if isinstance(plan, Plan):
                handled = self._reading.serve(plan, request, access)
                if type(handled) is Reply:  # counted here, not by a call: it is what is asked most
                    self._requests[plan.operation][handled.status] += 1
                    return handled
                return self._tally.counted(plan.operation, handled)
        operation, handled = self.answer(request, access, admin=admin)
        return self._tally.counted(operation, handled)

    def answer(
        self, request: Request, access: Access, *, admin: bool = False
    ) -> tuple[str, Handled]:
        """The name of the operation, and its reply or a promise of one; not counted."""
        try:
            return self._route(request, access, admin=admin)
        except BadRequestError as wrong:
            return NO_OPERATION, wrong.reply

    def _route(self, request: Request, access: Access, *, admin: bool) -> tuple[str, Handled]:
        found = operations.find(request.path)
        if found is None:
            return NO_OPERATION, _nothing_here(request.path, admin=admin)
        operation = found.by_method.get(request.method)
        if operation is None:
            return NO_OPERATION, _wrong_method(request, found, admin=admin)
        if operation.admin and not (admin and access.administrator):
            path = request.path[:_LONGEST_SHOWN]
            refusal = problems.problem(Code.NOT_FOUND, f"{path} is not served here", _ADMIN_FIX)
            return NO_OPERATION, refusal
        try:
            query = queries.read(request.query, operation.query)
            call = Call(request, access, query, found.slot, admin)
            return operation.name, self._handlers[operation.name](call)
        except BadRequestError as wrong:
            return operation.name, wrong.reply


def _nothing_here(path: str, *, admin: bool) -> Reply:
    return problems.problem(
        Code.NOT_FOUND,
        f"nothing is served at {path[:_LONGEST_SHOWN]}",
        f"there is: {', '.join(operations.paths(admin=admin)).replace('{slot}', BEARER)}",
    )


def _wrong_method(request: Request, found: Found, *, admin: bool) -> Reply:
    allowed = [method for method, op in found.by_method.items() if admin or not op.admin]
    if not allowed:
        return _nothing_here(request.path, admin=admin)
    return problems.wrong_method(request.method, request.path, ", ".join(allowed))
