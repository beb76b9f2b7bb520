"""Print how long the numbers of a loop take: `python -m benchmarks.modes`.

The plain way is a sum over a million symbols with NumPy and the tail's mass by SciPy's Hurwitz zeta: what a competent
user writes in three lines. Both are warm, the shortest of several calls counts. The last rows have no plain way but to
run the loop, which is timed for one run.
"""

import time

import numpy as np
from scipy.special import zeta

import modelcollapse as mc

RANKS = np.arange(1.0, 1e6 + 1)
BETA = 1.5


def shortest(call, repeats=5):
    """Seconds of the fastest call."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


def plain_missing_mass(samples):
    p, scale = RANKS**-BETA, zeta(BETA)
    p /= scale
    beyond = zeta(BETA, 1e6 + 1) / scale - samples * zeta(2 * BETA, 1e6 + 1) / scale**2
    return np.sum(p * (1 - p) ** samples) + beyond


def plain_modes(samples):
    p, scale = RANKS**-BETA, zeta(BETA)
    p /= scale
    pairs = samples * (samples - 1) / 2 * zeta(2 * BETA, 1e6 + 1) / scale**2
    return np.sum(1 - (1 - p) ** samples) + samples * zeta(BETA, 1e6 + 1) / scale - pairs


def rows():
    """(what, ours, plain, relative difference): seconds for one value."""
    law, many = mc.modes.zipf(BETA), np.geomspace(100, 1e6, 5000)
    for what, ours, plain in (
        ("missing mass, a value of 5000", law.missing_mass, plain_missing_mass),
        ("modes seen, a value of 5000", law.modes, plain_modes),
    ):
        difference = abs(ours(1e4) / plain(1e4) - 1)
        yield (
            what,
            shortest(lambda ours=ours: ours(many)) / len(many),
            shortest(lambda plain=plain: plain(1e4)),
            difference,
        )
    loop = mc.modes.replace(law, 10, 10_000)
    run = shortest(lambda: loop.simulate(2), 2) / 2
    yield "modes alive after 10 generations", shortest(lambda: loop.alive), run, None
    yield "entropy after 10 generations", shortest(lambda: loop.entropy), run, None
    finite = mc.modes.replace(mc.modes.zipf(BETA, size=10**6), 10, 10**7)
    yield "perplexity, 1e6 symbols, 1e7 draws", shortest(lambda: finite.perplexity(10**7)), None, None


def main():
    print(f"{'what':38}{'ours, ms':>10}{'plain, ms':>11}{'faster':>9}{'difference':>12}")
    for what, ours, plain, difference in rows():
        cells = [f"{1e3 * ours:10.4f}", f"{1e3 * plain:11.2f}" if plain else " " * 11]
        cells += [f"{plain / ours:9.0f}" if plain else " " * 9, "" if difference is None else f"{difference:12.1e}"]
        print(f"{what:38}{''.join(cells)}")


if __name__ == "__main__":
    main()
