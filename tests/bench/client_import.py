"""What `import usps_token_client` adds to a bare Python."""

import statistics
import subprocess
import sys
import time

ROUNDS = 31


def start_ms(code: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - begin) * 1000


def main() -> None:
    """Print the medians of interleaved starts."""
    codes = {
        "bare Python": "pass",
        "import json, socket": "import json, socket",
        "import usps_token_client": "import usps_token_client",
    }
    times: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(ROUNDS):
        for name, code in codes.items():
            times[name].append(start_ms(code))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:<26} {value:7.1f} ms  +{value - medians['bare Python']:.1f} ms")
