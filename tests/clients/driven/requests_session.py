"""requests by our session(); a child has its own Session, over its parent's TokenClient."""

import os

from said import BODY, TYPE, URL, line, serve

from usps_token_client import BrokerError, TokenClient

tokens = TokenClient()
sessions = {}


def session():
    """Of this process: its connections to USPS are not for two."""
    if os.getpid() not in sessions:
        sessions[os.getpid()] = tokens.session()
    return sessions[os.getpid()]


def call():
    try:
        answer = session().post(URL, data=BODY, headers=TYPE, timeout=30)
    except BrokerError as error:
        return line(0, error)
    return line(answer.status_code, answer.content)


serve(call)
