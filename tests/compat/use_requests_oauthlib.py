"""Run by test_real_programs: the usual OAuth client of Python, which sends HTTP Basic."""

import json
import sys

from oauthlib.oauth2 import BackendApplicationClient
from requests_oauthlib import OAuth2Session


def main() -> None:
    """Fetch a token as standard input says; print it as JSON."""
    said = json.load(sys.stdin)
    session = OAuth2Session(client=BackendApplicationClient(client_id=said["id"]))
    token = session.fetch_token(
        said["url"] + "/oauth2/v3/token",
        client_secret=said["secret"],
        **({"include_client_id": True} if said["in_body"] else {}),
    )
    json.dump(dict(token), sys.stdout)


main()
