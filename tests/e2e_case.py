# SPDX-License-Identifier: Apache-2.0
"""How an end-to-end test is declared, and what it says when it fails."""
import time

CASES = []


class Skip(Exception):
    """The test cannot run here; the reason is shown."""


class Failure(AssertionError):
    """What was expected and what was found."""


def case(function=None, *, limit=60, quick=False, alone=False, long_only=False):
    """Register a test: a function of a Bench whose name is a sentence.

    limit: seconds; quick: runs under the sanitizers as well; alone: nothing beside it,
    because it measures; long_only: with --long.
    """
    def register(f):
        f.limit, f.quick, f.alone, f.long_only = limit, quick, alone, long_only
        CASES.append(f)
        return f
    return register(function) if function else register


def check(condition, sentence):
    if not condition:
        raise Failure(sentence)


def equal(found, expected, what):
    if found != expected:
        raise Failure(f"{what}: expected {expected!r}, found {found!r}")


def near(found, expected, what, relative=0.0, absolute=0.0):
    allowed = max(absolute, relative * abs(expected))
    if not abs(found - expected) <= allowed:
        raise Failure(f"{what}: expected {expected!r} within {allowed:g}, found {found!r}")


def contains(text, *wanted):
    for part in wanted:
        if part not in text:
            raise Failure(f"{part!r} is not in:\n{text}")


def same_pixels(found, expected, what):
    """Equal bit for bit; NaN equals NaN."""
    import numpy
    equal((found.shape, str(found.dtype)), (expected.shape, str(expected.dtype)), what)
    wrong = ~((found == expected) | ((found != found) & (expected != expected)))
    if wrong.any():
        at = tuple(int(i) for i in numpy.argwhere(wrong)[0])
        raise Failure(f"{what}: {wrong.sum()} of {wrong.size} pixels differ, first at {at}: "
                      f"expected {expected[at]!r}, found {found[at]!r}")


def until(condition, what, seconds=20):
    """Wait for a condition that another process brings about."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(0.02)
