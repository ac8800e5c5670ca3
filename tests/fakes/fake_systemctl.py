"""A systemctl that is a program: it has units and a version, obeys orders, and keeps a record."""

import json
from pathlib import Path
from typing import Final

_PROGRAM: Final = """\
#!{python}
import json, pathlib, sys

here = pathlib.Path(__file__).parent
state = json.loads((here / "state.json").read_text())
words = [word for word in sys.argv[1:] if word not in ("--user", "--now")]
if "--version" in words:
    print(f"systemd {{state['version']}} ({{state['version']}}.1-1)")
    sys.exit(0)
if not state["running"]:
    print("System has not been booted with systemd as init system.", file=sys.stderr)
    sys.exit(1)
verb, *names = words
if verb == "show":
    for name in names[names.index("--") + 1 :]:
        unit = state["units"].get(name, {{}})
        print(f"Id={{name}}")
        print(f"NeedDaemonReload={{unit.get('stale', 'no')}}")
        print(f"UnitFileState={{unit.get('file', '')}}")
        print(f"ActiveState={{unit.get('active', 'inactive')}}")
        print()
    sys.exit(0)
with (here / "record").open("a") as record:
    print(*sys.argv[1:], file=record)
if verb in state["fails"]:
    print(f"Failed to {{verb}}: it would not.", file=sys.stderr)
    sys.exit(1)
changes = {{
    "enable": {{"file": "enabled"}},
    "disable": {{"file": "disabled", "active": "inactive"}},
    "start": {{"active": "active"}},
    "restart": {{"active": "active"}},
}}
for name in names:
    state["units"].setdefault(name, {{}}).update(changes.get(verb, {{}}))
if verb == "daemon-reload":
    for unit in state["units"].values():
        unit["stale"] = "no"
(here / "state.json").write_text(json.dumps(state))
"""


class FakeSystemctl:
    """Lives in `directory`, which a test puts at the head of PATH; `python` runs it."""

    def __init__(self, directory: Path, python: str) -> None:
        self.directory = directory
        self.set(version=252, running=True, fails=[], units={})
        for name in ("systemctl", "systemd-sysusers"):
            program = directory / name
            program.write_text(_PROGRAM.format(python=python))
            program.chmod(0o755)

    def set(self, **changes: object) -> None:
        """Make it another: `version`, `running`, `fails` (verbs), `units` (by name)."""
        path = self.directory / "state.json"
        state = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**state, **changes}))

    def take_record(self) -> list[str]:
        """The orders it was given since last asked, questions left out."""
        path = self.directory / "record"
        lines = path.read_text().splitlines() if path.exists() else []
        path.write_text("")
        return lines
