"""The table of errors in the README, made from the catalogue."""

from pathlib import Path

from usps_token_broker.catalogue import GROUPS, Row

README = Path(__file__).parents[2] / "README.md"
BEGIN = "<!-- errors: made by `python tests/catalogue` -->\n"
END = "<!-- end of errors -->\n"
REFUSALS = "What the broker refuses"
"""These have a table of their own, with their HTTP status."""
UNSEEN = {"not_an_error"}


def table() -> str:
    """All rows, by group, as Markdown."""
    lines = ["| code | what is seen | why | what to do |", "| --- | --- | --- | --- |"]
    for heading, rows in GROUPS.items():
        if heading != REFUSALS:
            lines.append(f"| **{heading}** | | | |")
            lines.extend(map(_line, (row for row in rows if row.code not in UNSEEN)))
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    cells = (f"`{row.code}`", row.symptom, row.cause, row.fix)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def in_readme() -> str:
    """The table as it stands in the README."""
    return README.read_text().split(BEGIN, 1)[1].split(END, 1)[0]


def write() -> None:
    """Put the table into the README."""
    text = README.read_text()
    before, rest = text.split(BEGIN, 1)
    README.write_text(before + BEGIN + table() + END + rest.split(END, 1)[1])
