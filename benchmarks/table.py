"""Print how many times faster than plain SciPy the predictions are: `python -m benchmarks.table [--plot FILE]`.

One process, warm, the shortest of several calls each; no threads are pinned, neither ours nor SciPy's. The plain
solution is `benchmarks.problems.plain`; on spectra of 10^6 eigenvalues it is timed at 64 points spread over the grid
and scaled to all of them. The memory limit is the time to read each spectrum once, and to write each result once, at
the bandwidth of a scaled copy measured in the same run.
"""

import argparse
import resource
import sys

import jax
import numpy as np
from benchmarks import problems

import modelcollapse as mc


def compare(name, ours, points, plain_per_point, bytes_touched, bandwidth, target=None, error=None, repetitions=7):
    """One row: ratios to the plain solution and to the memory limit."""
    seconds = problems.best_time(ours, repetitions)
    return {
        "problem": name,
        "faster": plain_per_point * points / seconds,
        "target": target,
        "over limit": seconds / (bytes_touched / bandwidth),
        "difference": error,
        "seconds": seconds,
    }


def surfaces(quick):
    """The rows of the table, all against the plain solution timed in this run."""
    bandwidth = problems.bandwidth()
    rows, largest = [], 10**5 if quick else 10**6
    d = 10**4
    s, signal = problems.power_law_arrays(d)
    T, ridges = problems.grid(d)
    reference = problems.plain(s, signal, T, ridges)
    per_point = problems.best_time(lambda: problems.plain(s, signal, T, ridges), 1) / 2500

    def difference(errors, exact):
        return float(np.max(np.abs(errors / exact - 1)))

    def row(name, spectrum_size, points, plain_per_point, run, **options):
        touched = 8 * (2 * spectrum_size + 5 * points)
        rows.append(compare(name, run, points, plain_per_point, touched, bandwidth, **options))

    fresh = problems.fresh_spectra(s, signal)
    error = difference(problems.ours(mc.Spectrum(s, signal), T, ridges, d), reference)
    anew = lambda: problems.ours(next(fresh), T, ridges, d)  # noqa: E731
    row("d = 1e4, plain array", d, 2500, per_point, anew, target=10, error=error)
    few = mc.Spectrum(s, signal).compress()
    atoms = few.eigenvalues.size
    error = difference(problems.ours(few, T, ridges, d), reference)
    before = lambda: problems.ours(few, T, ridges, d)  # noqa: E731
    row("d = 1e4, compressed before", atoms, 2500, per_point, before, target=40, error=error)

    million = np.geomspace(10, d / 2, 1000)[:, None], np.geomspace(1e-8, 1, 1000)
    some = np.ix_(np.arange(0, 1000, 141), np.arange(0, 1000, 141))
    exact = problems.plain(s, signal, million[0][some[0].ravel()], million[1][some[1].ravel()])
    error = difference(problems.ours(few, *million, d)[some], exact)
    many = lambda: problems.ours(few, *million, d)  # noqa: E731
    row("d = 1e4, 1e6 points", atoms, 10**6, per_point, many, target=100, error=error, repetitions=2)

    big, big_signal = problems.power_law_arrays(largest)
    T, ridges = problems.grid(largest)
    eighth = np.arange(0, 50, 7)
    exact = problems.plain(big, big_signal, T[eighth], ridges[eighth])
    slow = problems.best_time(lambda: problems.plain(big, big_signal, T[eighth], ridges[eighth]), 1) / 64
    pick = np.ix_(eighth, eighth)
    fresh_big = problems.fresh_spectra(big, big_signal)
    error = difference(problems.ours(mc.Spectrum(big, big_signal), T, ridges, largest)[pick], exact)
    big_anew = lambda: problems.ours(next(fresh_big), T, ridges, largest)  # noqa: E731
    row(f"d = {largest:.0e}, plain array", largest, 2500, slow, big_anew, target=60, error=error, repetitions=3)

    def law(dim, generations=problems.GENERATIONS):
        return problems.ours(mc.power_law(1.5, 0.5, dim=dim), T, ridges, dim, generations)

    atoms = mc.power_law(1.5, 0.5, dim=largest).eigenvalues.size
    error = difference(law(largest)[pick], exact)
    row(f"power_law(dim={largest:.0e})", atoms, 2500, slow, lambda: law(largest), target=2000, error=error)
    finite = problems.best_time(lambda: law(largest, 0))
    infinite = problems.best_time(lambda: law(np.inf, 0))
    return rows, finite / infinite


def growth(quick):
    """Seconds against dimension, points and generations: {axis: (sizes, seconds)}."""

    def by_dimension(d):
        s, signal = problems.power_law_arrays(d)
        fresh = problems.fresh_spectra(s, signal)
        T, ridges = problems.grid(d)
        return lambda: problems.ours(next(fresh), T, ridges, d)

    def by_points(points):
        side = round(points**0.5)
        T, ridges = problems.grid(10**4, side, side)
        return lambda: problems.ours(few, T, ridges, 10**4)

    def by_generations(n):
        T, ridges = problems.grid(10**4)
        return lambda: problems.ours(few, T, ridges, 10**4, n)

    few = mc.Spectrum(*problems.power_law_arrays(10**4)).compress()
    law = mc.power_law(1.5, 0.5, dim=10**4)
    T, ridges = problems.grid(10**4)
    axes = {
        "dimension of an array": (by_dimension, [10**k for k in range(2, 6 if quick else 8)]),
        "dimension of a power law": (
            lambda d: lambda: problems.ours(mc.power_law(1.5, 0.5, dim=d), T, ridges, 10 * d),
            [10**k for k in range(4, 13, 2)],
        ),
        "grid points": (by_points, [10**k for k in range(0, 5 if quick else 7, 2)]),
        "least-squares generations": (by_generations, [10**k for k in range(0, 7, 2)]),
        "ridge generations": (
            lambda n: lambda: mc.predict(mc.chain(mc.truth(law), n, 300, 0.1, 0.01)),
            [10**k for k in range(0, 4 if quick else 6)],
        ),
    }
    return {
        axis: (np.array(sizes, float), np.array([problems.best_time(make(n), 1 if n > 10**5 else 3) for n in sizes]))
        for axis, (make, sizes) in axes.items()
    }


def training(times=1000):
    """What an error curve over the time of gradient flow costs, in predictions of one time."""
    labels = mc.chain(mc.truth(mc.power_law(1.5, 0.5, dim=10**4)), 5, 20_000, 0.1)

    def curve(grid):
        return problems.best_time(lambda: mc.predict(mc.fit(labels.label(300, 0.1), filter=mc.GradientFlow(grid))))

    return curve(np.geomspace(1, 1e6, times)) / curve(1e3)


def exponent(sizes, seconds):
    """The slope of log seconds in log size over the larger half of the sizes."""
    half = len(sizes) // 2
    return float(np.polyfit(np.log(sizes[half:]), np.log(seconds[half:]), 1)[0])


def devices(d=10**4):
    """(name, times faster than the CPU, largest relative difference) for every other device."""
    s, signal = problems.power_law_arrays(d)
    few = mc.Spectrum(s, signal).compress()
    T, ridges = np.geomspace(10, d / 2, 1000)[:, None], np.geomspace(1e-8, 1, 1000)

    def run():
        return problems.ours(few, T, ridges, d)

    found = []
    for device in jax.devices():
        if device.platform == "cpu":
            continue
        with jax.default_device(jax.devices("cpu")[0]):
            reference, slow = run(), problems.best_time(run, 2)
        with jax.default_device(device):
            errors, fast = run(), problems.best_time(run, 2)
        found.append((str(device), slow / fast, float(np.max(np.abs(errors / reference - 1)))))
    return found


def picture(curves, path):
    """Seconds against size, log-log, one curve for each axis."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for axis, (sizes, seconds) in curves.items():
        axes.loglog(sizes, seconds / seconds[0], "o-", label=f"{axis}: slope {exponent(sizes, seconds):.2f}")
    axes.set(xlabel="size", ylabel="time relative to the smallest size")
    axes.legend()
    figure.savefig(path)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="d = 1e5 in place of 1e6 and 1e7")
    parser.add_argument("--plot", metavar="FILE", help="a log-log picture of how time grows")
    options = parser.parse_args(arguments)
    rows, infinite = surfaces(options.quick)
    print(f"{'50 x 50 grid, n = 10':30} {'faster':>8} {'target':>7} {'over limit':>11} {'difference':>11}")
    for row in rows:
        print("{problem:30} {faster:8.0f} {target:7} {over limit:11.1f} {difference:11.1e}".format(**row))
    print(f"{'power_law(inf) : (finite), n=0':30} {infinite:8.2f} {0.5:7}")
    model = mc.fit(mc.truth(mc.power_law(1.5, 0.5, dim=10**6)).label(100, 0.1), ridge=1e-3)
    print(f"one point, warm: {1e3 * problems.best_time(lambda: mc.predict(model), 200):.2f} ms")
    print(f"an error curve over 1000 training times costs as much as {training():.1f} of its points")
    curves = growth(options.quick)
    for axis, (sizes, seconds) in curves.items():
        print(f"time grows like ({axis})^{exponent(sizes, seconds):.2f} up to {sizes[-1]:.0e}")
    scale = 2**20 if sys.platform == "darwin" else 2**10
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale:.0f} MiB")
    for name, faster, difference in devices():
        print(f"{name}: {faster:.1f} times the CPU's speed at 1e6 points, largest relative difference {difference:.1e}")
    if options.plot:
        picture(curves, options.plot)


if __name__ == "__main__":
    main()
