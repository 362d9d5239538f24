"""The conversation of an eager implementation with its benchmark, and the choice between variants."""

import json
import sys
import time
from collections.abc import Callable, Sequence


def time_step(step: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - wall, time.process_time() - cpu


def faster(variants: Sequence[str], use: Callable[[str], None], step: Callable[[], object]) -> str:
    """Uses the variant that is faster here: the comparison is with the best that stock operators give."""
    seconds = {}
    for variant in variants:
        use(variant)
        step()
        seconds[variant] = min(time_step(step)[1] for _ in range(3))
    best = min(seconds, key=seconds.get)
    use(best)
    return best


def answer_lines(step: Callable[[], object]) -> None:
    """Each line of standard input is a number of steps; their times go out as one line of JSON."""
    for line in sys.stdin:
        print(json.dumps([time_step(step) for _ in range(int(line))]), flush=True)
