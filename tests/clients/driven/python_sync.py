"""TokenClient and plain headers, as beside any HTTP library: one report, one more try."""

from said import URL, line, post, serve

from usps_token_client import BrokerError, TokenClient

tokens = TokenClient()


def call():
    try:
        headers = tokens.headers(payment=True)
        status, answered, body = post(headers)
        if status == 401:
            path = "/" + URL.split("/", 3)[3]
            verdict = tokens.report(status, answered, body, path, used=headers)
            if verdict.retry:
                status, _, body = post(verdict.headers)
    except BrokerError as error:
        return line(0, error)
    return line(status, body)


serve(call)
