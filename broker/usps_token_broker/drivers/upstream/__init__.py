"""USPS over HTTPS: the two calls that only the broker makes, one attempt each, no retry."""

from usps_token_broker.drivers.upstream.calls import Upstream, load

__all__ = ["Upstream", "load"]
