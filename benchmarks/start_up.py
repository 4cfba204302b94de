"""How long `hilum --help` takes to answer, against an empty Python program."""

import platform
import statistics
import subprocess
import sys
import time

REPEATS = 10


def seconds(*arguments: str) -> float:
    """Median wall time of `python ARGUMENTS`, started anew each time, after one run that warms the file cache."""
    command = [sys.executable, *arguments]
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Print both times, in seconds."""
    print(f"Python {platform.python_version()} on {platform.machine()}, median of {REPEATS} runs")
    print(f"python -c pass          {seconds('-c', 'pass'):6.3f} s")
    print(f"python -m hilum --help  {seconds('-m', 'hilum', '--help'):6.3f} s")


if __name__ == "__main__":
    main()
