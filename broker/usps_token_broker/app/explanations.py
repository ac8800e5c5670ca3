"""`/v1/explanations`: what an error is, from its code or from what a person has of the call."""

from dataclasses import asdict

from usps_token_broker import catalogue
from usps_token_broker.app import problems
from usps_token_broker.app.calls import Call, Handled
from usps_token_broker.app.ports import Clock
from usps_token_broker.app.shelf import AppInfo
from usps_token_broker.app.unrecognised import Unrecognised
from usps_token_broker.wire import pasted, transcripts
from usps_token_broker.wire.encoding import to_json
from usps_token_broker.wire.explaining import REPORT, explain
from usps_token_broker.wire.explanations import (
    CatalogueMessage,
    RowMessage,
    UnrecognisedAnswer,
    UnrecognisedMessage,
    explanation_message,
)
from usps_token_broker.wire.replies import Reply, json_reply


class Explanations:
    """Explains; touches no token and asks nobody."""

    def __init__(self, apps: dict[str, AppInfo], clock: Clock, unknown: Unrecognised) -> None:
        self._apps = apps
        self._clock = clock
        self._unknown = unknown

    def catalogue(self, _call: Call) -> Reply:
        """Every row."""
        rows = [RowMessage(**asdict(row)) for row in catalogue.CATALOGUE.values()]
        return json_reply(200, to_json(CatalogueMessage(rows)))

    def explain(self, call: Call) -> Handled:
        """The row that the body of this request is about."""
        if call.query.app is not None and call.query.app not in call.access.apps:
            return problems.no_app(call.access, call.query.app)
        text = pasted.decoded(call.request.body)
        now = self._clock().wall
        told = transcripts.read(text)
        found = explain(text, now=now, own_host=self._own_host(call, told.host))
        # One whose words are only missing is nothing that the makers could name.
        if found.fix == REPORT and told.status is not None:
            self._unknown.note(told.status, told.path, told.body, now)
        return json_reply(200, to_json(explanation_message(found)))

    def unrecognised(self, _call: Call) -> Reply:
        """What nobody could explain so far."""
        kept = [
            UnrecognisedAnswer(k.status, k.path, k.words, k.times, k.first_at, k.last_at)
            for k in self._unknown
        ]
        return json_reply(200, to_json(UnrecognisedMessage(kept)))

    def _own_host(self, call: Call, called: str) -> str:
        """The host of the app that is meant: the one named, else the one called, else the first."""
        mine = [self._apps[name].host for name in call.access.apps if name in self._apps]
        if call.query.app is not None:
            return self._apps[call.query.app].host
        return called if called in mine else next(iter(mine), "")
