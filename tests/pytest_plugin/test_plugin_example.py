"""The example of a shop's tests passes, in the shop's own pytest."""

from pathlib import Path

pytest_plugins = ("pytester",)

EXAMPLE = Path(__file__).with_name("example_shop.py")


def test_the_example_passes_with_warnings_as_errors(pytester):
    """Nothing is left open, and none of the fixtures needs a setting of the shop's."""
    pytester.makepyfile(test_shop=EXAMPLE.read_text(encoding="utf-8"))
    done = pytester.runpytest_subprocess("-W", "error", "--strict-markers", "-p", "no:randomly")
    done.assert_outcomes(passed=EXAMPLE.read_text(encoding="utf-8").count("\ndef test_"))
