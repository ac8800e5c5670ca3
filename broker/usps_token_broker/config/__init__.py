"""Configuration: a TOML file or a few environment variables, to frozen settings.

`load` reads and refuses all at once. `settings` is what the others see; `problems` how errors are
said; `kinds`, `hosts`, `people`, `roles` and `secrets` know what fits; `tables` and `files` read;
`budgets` tells whether the calls an hour are enough for the slots.
"""

from usps_token_broker.config.budgets import demands
from usps_token_broker.config.http import HttpListen
from usps_token_broker.config.limits import UserLimits
from usps_token_broker.config.loading import DEFAULT_PATH, load
from usps_token_broker.config.problems import ConfigError, Problem
from usps_token_broker.config.settings import AppSettings, BrokenSlot, Settings, SlotSettings

__all__ = [
    "DEFAULT_PATH",
    "AppSettings",
    "BrokenSlot",
    "ConfigError",
    "HttpListen",
    "Problem",
    "Settings",
    "SlotSettings",
    "UserLimits",
    "demands",
    "load",
]
