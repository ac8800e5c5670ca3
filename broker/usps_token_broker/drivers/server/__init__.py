"""The local server: HTTP/1.1 on a listening socket. The one driver that knows asyncio.

acceptor    who is let in, in what doses, and how it all stops
connection  requests in, replies out; `base` is how every connection ends
outflow     a reply that goes on, piece after piece
stream      one socket on the event loop
parsing     bytes to requests, by httptools; `readers` keeps what has been read before
replies     the handler's, and the server's own
lanes       how much of a round of the loop one uid gets
hub         what connections share, and the one timer
limits      what one client may take
"""

from usps_token_broker.drivers.server.acceptor import Gate, Server, serve
from usps_token_broker.drivers.server.hub import Caller, Handler
from usps_token_broker.drivers.server.limits import Limits

__all__ = ["Caller", "Gate", "Handler", "Limits", "Server", "serve"]
