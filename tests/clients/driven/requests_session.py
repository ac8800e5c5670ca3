"""requests by our session(), one that a child has of its parent."""

from said import BODY, TYPE, URL, line, serve

from usps_token_client import BrokerError, TokenClient

session = TokenClient().session()


def call():
    try:
        answer = session.post(URL, data=BODY, headers=TYPE, timeout=30)
    except BrokerError as error:
        return line(0, error)
    return line(answer.status_code, answer.content)


serve(call)
