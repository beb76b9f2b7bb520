"""Print how long somebody waits for one answer: `python -m benchmarks.latency [--only WORD] [--growth]`.

Every public question is asked in a fresh process: the first call, the median of three later ones with other numbers,
how many kernels XLA compiled, and the process's peak memory. Importing JAX is not counted, nor, of estimators,
importing scikit-learn. Beside it, the same question in plain SciPy (`benchmarks.plain`) in a fresh process. One row
asks everything in one process; those after it (MATRICES) factor matrices of hundreds of rows dozens of times.
`--growth` asks 300 different pipelines in one process and prints its memory every 25.
"""

import argparse
import json
import subprocess
import sys

SETUP = """
import numpy as np, sympy, modelcollapse as mc
p, lam, w = sympy.symbols("p lambda w", positive=True)
law = mc.power_law(1.5, 0.5, dim=200)
w0 = mc.truth(law)
X = np.random.default_rng(0).standard_normal((400, 8))
y, origin = X @ np.ones(8), np.array(["real"] * 100 + ["model"] * 300)
def teacher(noise): return mc.fit(w0.label(100, noise), ridge=0.1)
def mixed(noise, **ridge): return mc.fit(w0.label(100, noise), teacher(noise).label(300, noise, weight=0.5), **ridge)
"""
PLAIN = """
import numpy as np
from benchmarks import plain
s, theta = plain.power_law()
truth = np.ones(200), theta
def teacher(noise): return plain.fit(s, truth, 100, 0.1, noise)
def mixed(noise, ridge, weight=0.5): return plain.mix(s, theta, teacher(noise), 100, 300, ridge, noise, weight)
"""
QUESTIONS = {  # name: (ours, plain SciPy or None), x is 0.1 in the first call and 0.11 to 0.13 in later ones
    "one fit": (
        "mc.predict(mc.fit(w0.label(300, x), ridge=0.01))",
        "plain.error(s, theta, plain.fit(s, truth, 300, 0.01, x))",
    ),
    "a curve of 50 points": (
        "mc.test_error(law, np.geomspace(10, 1000, 50), 0.01, x)",
        "[plain.error(s, theta, plain.fit(s, truth, T, 0.01, x)) for T in np.geomspace(10, 1000, 50)]",
    ),
    "five generations": ("mc.predict(mc.fit(mc.chain(w0, 5, 300, x, 0.01).label(300, x), ridge=0.01))", None),
    "a mix of equal weights": (
        "mc.predict(mc.fit(w0.label(100, x), teacher(x).label(300, x), ridge=0.01))",
        "mixed(x, 0.01, 1.0)",
    ),
    "a mix": ("mc.predict(mixed(x, ridge=0.01))", "mixed(x, 0.01)"),
    "a mix of shifted inputs": (
        "mc.predict(mc.fit(w0.label(100, x), teacher(x).label(300, x, inputs=lambda s: s / 2), ridge=0.01))",
        None,
    ),
    "an ensemble": ("mc.predict(0.5 * teacher(x) + 0.5 * teacher(x))", None),
    "accumulated rounds": ("mc.predict(mc.accumulate(w0, 5, 300, x, 1.0))", None),
    "random features": ("mc.predict(mc.fit(w0.label(300, x), ridge=0.01, features=100))", None),
    "gradient flow": (
        "mc.predict(mc.fit(w0.label(300, x), filter=mc.GradientFlow(10.0)))",
        "plain.flow(s, theta, 300, x, [10.0])",
    ),
    "gradient descent": ("mc.predict(mc.fit(w0.label(300, x), filter=mc.GradientDescent(0.1, 100)))", None),
    "by direction": ("mc.predict(mixed(x, ridge=0.01)).by_direction()", None),
    "effective_ridge": ("mc.effective_ridge(law, 300, x)", "plain.kappa(s, 300, x)"),
    "degrees_of_freedom": ("mc.degrees_of_freedom(law, x)", "np.sum(s / (s + x))"),
    "delta": ("mc.delta(law, 300, 0.01, mc.FakeData(5, 400, x))", None),
    "gradient of a mix": ("mc.gradient(mixed(x, ridge=lam), {lam: 0.01})", None),
    "optimal_ridge": (
        "mc.optimal_ridge(mc.fit(w0.label(300, x)))",
        "plain.best_ridge(lambda ridge: plain.error(s, theta, plain.fit(s, truth, 300, ridge, x)))",
    ),
    "optimal_ridge of features": ("mc.optimal_ridge(mc.fit(w0.label(300, x), features=100))", None),
    "optimal_ridge of a mix": ("mc.optimal_ridge(mixed(x))", "plain.best_ridge(lambda ridge: mixed(x, ridge))"),
    "tune weight and ridge": (
        "mc.tune(mc.fit(w0.label(100, x), teacher(x).label(300, x, weight=w), ridge=lam),"
        " {w: (0.01, 2), lam: (1e-5, 1)})",
        "plain.best_two(lambda weight, ridge: mixed(x, ridge, weight), (0.01, 1e-5), (2, 1))",
    ),
    "tune a time of training": ("mc.tune(mc.fit(w0.label(300, x), filter=mc.GradientFlow(p)), {p: (1, 1000)})", None),
    "tune a step of SGD": ("mc.tune(mc.fit(w0.label(300, x), filter=mc.OnePassSGD(p)), {p: (0.01, 0.5)})", None),
    "tune a verified fit": (
        "mc.tune(mc.fit(w0.label(300, x, link='sign', keep=mc.Verified(by=teacher(x))), ridge=lam), {lam: (1e-5, 1)})",
        None,
    ),
    "largest_synthetic_share": ("mc.largest_synthetic_share(teacher(x), 400, 0.1, noise=x)", None),
    "real_rows_worth": ("mc.real_rows_worth(teacher(x), 100, 300, noise=x)", None),
    "compare_strategies": ("mc.compare_strategies(law, 10, 300, x, 0.01)", None),
    "optimal_stopping": (
        "mc.optimal_stopping(mc.fit(w0.label(300, x)))",
        "plain.flow(s, theta, 300, x, np.geomspace(0.1, 1e3, 100)).min()",
    ),
    "a classifier's error rate": ("mc.predict(mc.fit(w0.label(300, x, link='sign'), ridge=0.01)).error_rate", None),
    "a verifier": (
        "mc.predict(mc.fit(w0.label(300, x, link='sign', keep=mc.Verified(by=teacher(x))), ridge=0.01)).error_rate",
        None,
    ),
    "one pass of SGD": ("mc.predict(mc.fit(w0.label(300, x), filter=mc.OnePassSGD(0.1)))", None),
    "optimal_self_distillation": ("mc.optimal_self_distillation(mc.fit(w0.label(300, x), ridge=0.01))", None),
    "optimal_teacher": ("mc.optimal_teacher(law, 300, 0.01, noise=x)", None),
    "optimal_rounds": ("mc.optimal_rounds(lambda k: mc.chain(w0, k, 300, x, 0.1), most=16)", None),
    "workflow_factor": ("mc.workflow_factor('subsample', 50)", None),
    "a dense Gaussian": (
        "mc.predict(mc.fit(mc.truth(mc.gaussian(np.diag(np.arange(1.0, 201.0) ** -1.5), np.ones(200)))"
        ".label(300, x), ridge=0.01))",
        None,
    ),
    "400 rows of data": ("mc.predict(mc.fit(mc.truth(mc.rows(X, y)).label(200, x), ridge=0.01))", None),
    "400 rows by their spectrum": (
        "mc.predict(mc.fit(mc.truth(mc.rows(X, y, method='spectrum')).label(200, x), ridge=0.01))",
        None,
    ),
    "the spectrum of 400 rows": (
        "mc.predict(mc.fit(mc.truth(mc.from_samples(X, y, 'rbf', gamma=0.1)).label(300, x), ridge=0.01))",
        None,
    ),
    "advise": ("mc.advise(X, y + x, origin)", None),
    "an estimator": ("mc.CollapseAwareRidge().fit(X, y + x * np.sin(9 * X[:, 0]))", None),
    "a classifier": ("mc.CollapseAwareClassifier().fit(X, y + x > 0)", None),
    "modes alive": ("mc.modes.replace(mc.modes.zipf(1.4 + x), 10, 1000).alive", None),
    "entropy of a loop": ("mc.modes.replace(mc.modes.zipf(1.4 + x), 10, 1000).entropy", None),
    "named equations": ("mc.theory.equations(mc.fit(teacher(x).label(300, x), ridge=lam)).evaluate({lam: 0.01})", None),
    "a formula": (
        "mc.theory.catalogue['clean_error_isotropic'].evaluate(d=100, T=300, ridge=x, sigma=1, rho2=1)",
        None,
    ),
    "total variation of a loop": (
        "mc.modes.replace(mc.modes.zipf(1.4 + x), 10, 1000).total_variation",
        None,
    ),
    "optimal_exponent": ("mc.optimal_exponent(1.5, 0.5)", None),
    "closed_form": ("mc.theory.closed_form(mc.fit(mc.truth(mc.isotropic(50)).label(100, x), ridge=lam))", None),
    "simulate": ("mc.simulate(mc.fit(w0.label(300, x), ridge=0.01), trials=20, seed=0)", None),
    "crosscheck": ("mc.crosscheck(mc.fit(w0.label(300, x), ridge=0.01), trials=40)", None),
}
MATRICES = {  # what takes dozens of factorisations
    "ridge of a dense Gaussian": (
        "mc.optimal_ridge(mc.fit(mc.truth(mc.gaussian(np.diag(np.arange(1.0, 201.0) ** -1.5), np.ones(200)))"
        ".label(300, x)))",
        None,
    ),
    "optimal_ridge on 400 rows": ("mc.optimal_ridge(mc.fit(mc.truth(mc.rows(X, y)).label(200, x)))", None),
    "the same by their spectrum": (
        "mc.optimal_ridge(mc.fit(mc.truth(mc.rows(X, y, method='spectrum')).label(200, x)))",
        None,
    ),
    "advise by a kernel": ("mc.advise(X, y + x * np.sin(9 * X[:, 0]), origin, kernel='rbf')", None),
}
_RUN = """
import json, resource, sys, time
import jax, jax.numpy, jax.monitoring
if any("mc.Collapse" in question for question in json.loads(sys.argv[1])):
    import sklearn.base, sklearn.utils.validation
compiled = []
jax.monitoring.register_event_duration_secs_listener(
    lambda name, seconds, **more: compiled.append(seconds) if name.endswith("backend_compile_duration") else None)
{setup}
first, later = 0.0, 0.0
for code in json.loads(sys.argv[1]):
    question = eval("lambda x: " + code)
    start = time.perf_counter(); question(0.1); first += time.perf_counter() - start
    kernels = len(compiled)
    times = []
    for x in (0.11, 0.12, 0.13):
        start = time.perf_counter(); question(x); times.append(time.perf_counter() - start)
    later = max(later, sorted(times)[1])
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
print(json.dumps([first, later, kernels, len(compiled) - kernels, memory]))
"""
_GROW = """
import resource, sys
import jax, jax.numpy
{setup}
rng = np.random.default_rng(0)
for asked in range(1, 301):
    model = w0
    for _ in range(rng.integers(1, 6)):
        noise, other = rng.uniform(0.01, 1), rng.integers(0, 5)
        rows, weight = int(rng.integers(20, 900)), rng.uniform(0.1, 2)
        sources = [w0.label(rows, noise)] * int(other > 2) + [teacher(noise).label(rows)] * int(other == 4)
        mapped = (lambda s: s / 2) if rng.random() < 0.2 else None
        sources.append(model.label(rows, noise, weight=weight, inputs=mapped))
        fitted = mc.fit(*sources, ridge=rng.choice([1e-4, 1e-2, 1.0]))
        model = fitted if other else mc.chain(model, 3, rows, noise, 0.01)
    size = rng.integers(0, 3)
    mc.predict(model if not size else 1.0 * model * np.linspace(0.5, 1, [1, 7, 60][size]))
    if asked % 25 == 0:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        print(f"{{asked:4}} pipelines {{memory:7.0f}} MiB", flush=True)
"""


def ask(setup, questions):
    """[first, later, kernels of the first, kernels of later ones, MiB] of questions asked in one fresh process."""
    code = _RUN.format(setup=setup)
    done = subprocess.run([sys.executable, "-c", code, json.dumps(questions)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{questions} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="WORD", default="", help="questions whose name contains WORD")
    parser.add_argument("--growth", action="store_true", help="memory of a process that asks 300 pipelines")
    options = parser.parse_args(arguments)
    if options.growth:
        raise SystemExit(subprocess.run([sys.executable, "-c", _GROW.format(setup=SETUP)]).returncode)
    asked, matrices = ({k: v for k, v in some.items() if options.only in k} for some in (QUESTIONS, MATRICES))
    heads = ("first s", "later s", "kernels", "again", "MiB", "SciPy s", "later s")
    print(f"{'question':26}", *(f"{head:>9}" for head in heads))
    for name, codes in asked.items():
        show(name, *codes)
    if asked:
        row = ask(SETUP, [ours for ours, _ in asked.values()])
        print(f"{'all in one process':26} {row[0]:9.2f} {row[1]:9.4f} {'':9} {'':9} {row[4]:9.0f}", flush=True)
    for name, codes in matrices.items():
        show(name, *codes)


def show(name, ours, plain):
    """A line of the table."""
    row = ask(SETUP, [ours])
    beside = ask(PLAIN, [plain])[:2] if plain else []
    print(f"{name:26} {row[0]:9.2f} {row[1]:9.4f} {row[2]:9} {row[3]:9} {row[4]:9.0f}", end="")
    print(*(f" {seconds:9.4f}" for seconds in beside), sep="", flush=True)


if __name__ == "__main__":
    main()
