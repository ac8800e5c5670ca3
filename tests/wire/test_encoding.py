"""JSON of our own: what it says, and what happens where there is no memory for it."""

import os
import resource

import msgspec
import pytest

from usps_token_broker.wire.encoding import encoder, to_json

VALUES = [
    {},
    [],
    "é\n",
    1.5,
    None,
    {"a": ["x" * 5000, {"b": [1, 2]}]},
    ["y" * n for n in range(90)],
]


@pytest.mark.parametrize("value", VALUES)
def test_it_is_what_msgspec_says(value):
    """However much longer than the first buffer."""
    assert to_json(value) == msgspec.json.encode(value)


def test_a_hook_says_what_others_are():
    """As that of msgspec's own encoder."""
    assert encoder(lambda value: f"<{value.real}>")({"n": 1j}) == b'{"n":"<0.0>"}'


def test_two_answers_share_no_buffer():
    """The first is still what it was."""
    first = to_json(["one"])
    to_json(["another"])
    assert first == b'["one"]'


def test_without_memory_it_raises_and_the_process_lives():
    """The buffer cannot grow: one answer ends, not the broker."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            value = ["x" * 100_000] * 2000
            with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - nothing to import now
                pages = int(statm.read().split()[0])
            room = pages * resource.getpagesize() + 32 * 1024 * 1024
            resource.setrlimit(resource.RLIMIT_AS, (room, resource.RLIM_INFINITY))
            to_json(value)
        except MemoryError:
            code = 70
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 70
