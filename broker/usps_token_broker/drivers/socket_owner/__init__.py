"""Owning the path of a Unix socket.

`owning` takes it and notices its theft, `inheriting` gets one from the service manager, and
`directories` judges what it lies in.
"""

from usps_token_broker.drivers.socket_owner.errors import SocketError, SocketTakenError
from usps_token_broker.drivers.socket_owner.inheriting import inherited
from usps_token_broker.drivers.socket_owner.owning import DIRECTORY_MODE, SOCKET_MODE, OwnedSocket

__all__ = [
    "DIRECTORY_MODE",
    "SOCKET_MODE",
    "OwnedSocket",
    "SocketError",
    "SocketTakenError",
    "inherited",
]
