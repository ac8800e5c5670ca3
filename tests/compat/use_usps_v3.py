"""Run by test_real_programs: usps-v3 as its README has it, with a base URL and credentials."""

import json
import sys

from usps_v3 import Client


def main() -> None:
    """Do what standard input says; print what came of it as JSON."""
    said = json.load(sys.stdin)
    with Client(said["id"], said["secret"], base_url=said["url"], **said["roles"]) as usps:
        made = {"refreshed": usps.refresh_tokens(), "tokens": usps._tokens.get_both_tokens()}
        if said["address"]:
            made["address"] = usps.addresses.validate(**said["address"])
        if said["label"]:
            made["label"] = usps.labels.create(**said["label"])
    json.dump(made, sys.stdout, default=lambda value: f"{len(value)} bytes")


main()
