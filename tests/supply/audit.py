"""Known vulnerabilities in what the broker is made of: `python audit.py PIP_AUDIT`.

Asks with this pip-audit, where the package index offers such data. Ends with 1 for a finding alone:
an index that offers none is told plainly, and is nobody's fault.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

_SBOM = Path(__file__).parents[2] / "broker" / "usps-token-broker.cdx.json"
_MOST_SECONDS = 60


def main(program: str) -> int:
    """Ask about every part, and say what came of it."""
    parts = json.loads(_SBOM.read_text(encoding="utf-8"))["components"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as pinned:
        pinned.write("".join(f"{part['name']}=={part['version']}\n" for part in parts))
        pinned.flush()
        command = [program, "--no-deps", "--disable-pip", "--timeout", "5", "--format", "json"]
        try:
            done = subprocess.run(
                [*command, "--progress-spinner", "off", "-r", pinned.name],
                capture_output=True,
                text=True,
                check=False,
                timeout=_MOST_SECONDS,
            )
            answers = json.loads(done.stdout)["dependencies"]
        except (OSError, ValueError, subprocess.TimeoutExpired):
            answers = []
    return tell(answers, len(parts))


def tell(answers: list[dict], parts: int) -> int:
    """Print the findings, or what was looked at; 1 for a finding."""
    looked_at = [answer for answer in answers if "vulns" in answer]
    findings = [(answer, vuln) for answer in looked_at for vuln in answer["vulns"]]
    for answer, vuln in findings:
        fixed = ", ".join(vuln.get("fix_versions", ())) or "no release yet"
        print(f"{answer['name']} {answer['version']}: {vuln['id']}, mended in {fixed}")
    if findings:
        return 1
    if looked_at:
        print(f"none known in {len(looked_at)} of {parts} packages")
    elif not answers:
        print("NOT LOOKED AT: pip-audit is not there, or ended without an answer")
    else:
        print("NOT LOOKED AT: the package index here offers no data about vulnerabilities")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
