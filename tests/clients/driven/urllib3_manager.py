"""urllib3 by our pool_manager(), one that a child has of its parent."""

from said import BODY, TYPE, URL, line, serve

from usps_token_client import BrokerError, TokenClient

manager = TokenClient().pool_manager()


def call():
    try:
        answer = manager.request("POST", URL, body=BODY, headers=TYPE, timeout=30)
    except BrokerError as error:
        return line(0, error)
    return line(answer.status, answer.data)


serve(call)
