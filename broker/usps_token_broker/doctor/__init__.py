"""A diagnosis from the outside in: what was seen, whether it is well, and what to do.

`walk` looks at one thing after the other, each behind a fence: what goes wrong while looking is a
finding too. The judging is apart from the looking, and pure.
"""

from usps_token_broker.doctor.findings import Finding, Verdict, exit_code
from usps_token_broker.doctor.scene import Scene
from usps_token_broker.doctor.walk import walk

__all__ = ["Finding", "Scene", "Verdict", "exit_code", "walk"]
