"""The inputs that fuzzing begins with, and their mutations by seeded dice."""

import ast
import random
from pathlib import Path

_HERE = Path(__file__).parent
_TELLING = (b"\r", b"\n", b"\0", b'"', b"{", b"\\u0000", b"\\ud800", b"\xff", b"%", b"1e999", b"-1")


def corpus(target: str) -> list[bytes]:
    """The committed inputs of a target: one bytes literal a line."""
    lines = (_HERE / "corpus" / f"{target}.txt").read_text(encoding="ascii").splitlines()
    return [ast.literal_eval(line) for line in lines]


def mutated(seeds: list[bytes], dice: random.Random) -> bytes:
    """One of them with a few changes: bytes changed, cut out, doubled, put in, or crossed over."""
    data = bytearray(dice.choice(seeds))
    for _ in range(dice.randint(1, 4)):
        at = dice.randint(0, len(data))
        end = min(len(data), at + dice.randint(0, 8))
        match dice.randrange(5):
            case 0:
                data[at:end] = dice.randbytes(end - at)
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = data[at:end] * dice.choice((1, 2, 100))
            case 3:
                data[at:at] = dice.choice(_TELLING)
            case _:
                other = dice.choice(seeds)
                data[at:] = other[dice.randint(0, len(other)) :]
    return bytes(data)
