"""urllib3 by our pool_manager(); a child has its own, over its parent's TokenClient."""

import os

from said import BODY, TYPE, URL, line, serve

from usps_token_client import BrokerError, TokenClient

tokens = TokenClient()
managers = {}


def manager():
    """Of this process: its connections to USPS are not for two."""
    if os.getpid() not in managers:
        managers[os.getpid()] = tokens.pool_manager()
    return managers[os.getpid()]


def call():
    try:
        answer = manager().request("POST", URL, body=BODY, headers=TYPE, timeout=30)
    except BrokerError as error:
        return line(0, error)
    return line(answer.status, answer.data)


serve(call)
