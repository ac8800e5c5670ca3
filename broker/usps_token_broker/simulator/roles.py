"""What is wrong with the roles of a payment authorization, as the items of a refusal."""

from usps_token_broker.simulator.shapes import ErrorItem, problem
from usps_token_broker.wire.payment_roles import role_faults

Role = dict[str, object]


def problems_of(roles: object) -> list[ErrorItem]:
    """Everything that is wrong with the `roles` of a request; empty when a token is due."""
    if not isinstance(roles, list) or not all(isinstance(role, dict) for role in roles):
        return [problem("roles must be an array of objects", "roles")]
    return [problem(fault.detail, fault.parameter, fault.code) for fault in role_faults(roles)]
