"""Every kernel on NumPy arrays, dual numbers and JAX arrays: one set of formulas, one set of numbers."""

import subprocess
import sys

import jax
import numpy as np
import pytest
import sympy

import modelcollapse as mc
from modelcollapse.numerics.arrays import OPERATIONS, leaves, namespace, tree_map
from modelcollapse.numerics.duals import Dual, tangent_of, value_of
from modelcollapse.numerics.equivalents.contour import complex_ridge
from modelcollapse.numerics.equivalents.features import effective_ridge, unused
from modelcollapse.numerics.equivalents.ridge_equation import solve
from modelcollapse.numerics.equivalents.shares import degrees_of_freedom, samples_left
from modelcollapse.numerics.equivalents.shifted_sources import several_sources
from modelcollapse.numerics.equivalents.sources import shared_sources
from modelcollapse.numerics.evaluation.on_spectrum import OnSpectrum
from modelcollapse.numerics.steps import filtered
from modelcollapse.numerics.steps.angles import angle
from modelcollapse.numerics.steps.features import feature_step
from modelcollapse.numerics.steps.filtered import filtered_step
from modelcollapse.numerics.steps.fit import fit
from modelcollapse.numerics.steps.judged import Judged
from modelcollapse.numerics.steps.kept import fit_kept
from modelcollapse.numerics.steps.links import linked
from modelcollapse.numerics.steps.moments import Atoms, Moments, mixture, readout
from modelcollapse.numerics.steps.pooled import pooled
from modelcollapse.numerics.steps.refits import refit_errors
from modelcollapse.numerics.steps.repeated import accumulate, chain, clean_chain
from modelcollapse.theory.pipelines.keeps import Verified
from modelcollapse.theory.pipelines.links import Clip, Logistic, OfScore, Probit, Quantised, Sign

POINTS, ATOMS, SOURCES = 8, 12, 3
X = sympy.Symbol("x", positive=True)
RNG = np.random.default_rng(0)
FALL = np.arange(1.0, 10)[None] ** -RNG.uniform(0.5, 3, (POINTS, 1))
SPECTRUM = np.pad(FALL, ((0, 0), (0, ATOMS - 9)))  # nine directions, three atoms of padding
COUNT = np.where(np.arange(POINTS)[:, None] % 2, RNG.integers(1, 5, (POINTS, ATOMS)), 1.0)
SAMPLES = COUNT[:, :9].sum(1) * np.array([0.3, 0.9, 0.97, 1.03, 1.2, 2.0, 40.0, 0.5])  # both sides of T = d
RIDGE = np.array([0.0, 1e-12, 1e-6, 0.0, 1e-3, 0.2, 5.0, 1e3])
NOISE = RNG.uniform(0.1, 1, POINTS)
FEATURES = SAMPLES * np.array([2.0, 0.5, 3.0, 2.0, 1e3, 0.7, 0.3, 1.5])
THETA = np.where(SPECTRUM > 0, RNG.uniform(0.1, 1, SPECTRUM.shape), 0)
ATOMS_OF = Atoms(SPECTRUM, THETA, COUNT, SPECTRUM)
PARTS = np.array([0.2, 0.5, 0.3])[:, None]
ROWS = SAMPLES * PARTS
EQUAL, UNEQUAL = np.ones((SOURCES, POINTS)), 10.0 ** RNG.uniform(-3, 3, (SOURCES, POINTS))
SHIFTED = SPECTRUM * RNG.uniform(0.3, 3, (SOURCES, 1, ATOMS))


def model(seed):
    rng = np.random.default_rng(seed)
    ratio = rng.uniform(0.3, 1, SPECTRUM.shape)
    return Moments(ratio, 1 - ratio, rng.uniform(0, 0.3, SPECTRUM.shape) * (SPECTRUM > 0))


MODELS = tuple(map(model, range(SOURCES)))
JOINT = (0.4 * np.sqrt(MODELS[0].variance * MODELS[1].variance), 0.1 * np.sqrt(MODELS[1].variance * MODELS[2].variance))


def pairs(joint):
    return {(1, 0): joint[0], (2, 1): joint[1]}


def fit_shared(atoms, rows, noise, weights, ridge, models, joint):
    here = shared_sources(atoms.eigenvalues, atoms.multiplicity, rows, weights, ridge)
    return here, fit(atoms, atoms.eigenvalues[None], here, rows, noise, weights, ridge, False, models, pairs(joint))


def fit_shifted(atoms, inputs, rows, noise, weights, ridge, models, joint):
    here = several_sources(inputs, atoms.multiplicity, rows, weights, ridge)
    return here, fit(atoms, inputs, here, rows, noise, weights, ridge, False, models, pairs(joint))


def trained(kind):
    return lambda atoms, samples, noise, numbers, start: filtered_step(
        kind, atoms, atoms.eigenvalues, samples, noise**2, numbers, start
    )


def path_of(kind):
    """The contour of a filter: what is done on it is done to every filter alike."""

    def one(lane):
        eigenvalues, numbers, _ = filtered._in_units(kind, *lane)
        return tuple(filtered._safe_contour(kind, numbers, eigenvalues)[0])

    return lambda *lanes: namespace(*lanes).over_lanes(one, lanes)


def repeated(step, generations):
    return lambda atoms, samples, noise, ridge, start: step(atoms, generations, samples, noise, ridge, False, start)


MOVING = np.where(RIDGE > 0, RIDGE, 0.03)  # chains differentiate through λ = 0 by cases
NOISES = NOISE * np.array([[1.0], [0.5], [2.0]])
TURNED = np.geomspace(1e-4, 1e2, 6) * np.exp(1j * np.linspace(0.2, 2.9, 6))
LINKS = (
    *(Sign(0.1, 0.3), Probit(0.5), Probit(0.5, soft=True), Probit(9.0, soft=True), Logistic(0.25)),
    *(Logistic(0.25, soft=True), Logistic(9.0, soft=True), Clip(1.0), Quantised([-1, 0, 2], [-2, -1, 1, 3])),
    OfScore(np.tanh),
)


def kept(keep, link):
    """A fit on a source with a filter of rows and one without, of three models."""
    sources = Judged((0,), 1, False, link.form, keep), Judged((2,), None, False, None, None)
    known = tuple(ROWS[:2]), tuple(EQUAL[:2])

    def run(atoms, noise, models, joint, links, keeps):
        pairs = joint[0], 0 * joint[0], joint[1]
        numbers = atoms, atoms.eigenvalues, known[0], noise, known[1], RIDGE, models, pairs
        return fit_kept(*numbers, (links, ()), (keeps, ()), sources=sources)

    numbers = tuple(float(x) + 0 * NOISE for _, x, _ in link.numbers)
    return run, (ATOMS_OF, (NOISE, NOISE), MODELS, JOINT, numbers, (0.9 + 0 * NOISE, 0.2 + 0 * NOISE))


GENERATIONS = np.arange(POINTS) % 4 * 1.0
KERNELS = {
    "degrees_of_freedom": (lambda *a: degrees_of_freedom(*a, 2), (SPECTRUM, COUNT, RIDGE)),
    "samples_left": (samples_left, (SPECTRUM, COUNT, SAMPLES, RIDGE)),
    "solve": (solve, (SPECTRUM, COUNT, SAMPLES, RIDGE)),
    "effective_ridge": (effective_ridge, (SPECTRUM, COUNT, SAMPLES, FEATURES, RIDGE)),
    "unused": (unused, (SPECTRUM, COUNT, SAMPLES, FEATURES, RIDGE, 0.1 + RIDGE)),
    "one source": (shared_sources, (SPECTRUM, COUNT, SAMPLES[None], UNEQUAL[:1], RIDGE)),
    "equal weights": (shared_sources, (SPECTRUM, COUNT, ROWS, EQUAL, RIDGE)),
    "fit, shared inputs": (fit_shared, (ATOMS_OF, ROWS, NOISES, UNEQUAL, RIDGE, MODELS, JOINT)),
    "fit, shifted inputs": (
        fit_shifted,
        (ATOMS_OF, SHIFTED, ROWS, NOISES, EQUAL * [[1], [0.3], [2]], RIDGE, MODELS, JOINT),
    ),
    "mixture": (lambda c, m, j: mixture(c, m, pairs(j)), (RNG.standard_normal((SOURCES, POINTS)), MODELS, JOINT)),
    **{
        f"link {link!r}": (
            lambda a, m, noise, *values, link=link: linked(a, a.eigenvalues, m, noise, values, form=link.form),
            (ATOMS_OF, MODELS[0], NOISE, *(float(value) + 0 * NOISE for _, value, _ in link.numbers)),
        )
        for link in LINKS
    },
    "kept rows": kept(Verified, LINKS[1]),
    "angle": (angle, (ATOMS_OF, 2 * SPECTRUM, MODELS[0])),
    "readout": (readout, (ATOMS_OF, 2 * SPECTRUM, MODELS[0])),
    "pooled": (
        lambda a, p, n, m, j: pooled(a, a.eigenvalues, p, n, m, pairs(j)),
        (ATOMS_OF, PARTS + 0 * NOISES, NOISES, MODELS, JOINT),
    ),
    "chain": (repeated(chain, GENERATIONS), (ATOMS_OF, SAMPLES, NOISE, MOVING, MODELS[0])),
    "clean chain": (repeated(clean_chain, GENERATIONS), (ATOMS_OF, SAMPLES, NOISE, RIDGE, MODELS[0])),
    "accumulate": (repeated(accumulate, GENERATIONS), (ATOMS_OF, SAMPLES, NOISE, MOVING, MODELS[0])),
    "features": (
        lambda a, *rest: feature_step(a, a.eigenvalues, *rest[:-1], False, rest[-1]),
        (ATOMS_OF, SAMPLES, FEATURES, NOISE**2, MOVING, MODELS[0]),
    ),
    "complex_ridge": (complex_ridge, (SPECTRUM[0], COUNT[0], np.float64(5), TURNED)),
    "gradient flow": (
        trained("gradient-flow"),
        (ATOMS_OF, SAMPLES, NOISE, (np.geomspace(1e-3, 1e4, POINTS),), MODELS[0]),
    ),
    "gradient descent": (path_of("gradient-descent"), (SPECTRUM, (NOISE / 3, 3.0 ** np.arange(POINTS)))),
    "iterated ridge": (path_of("iterated-ridge"), (SPECTRUM, (NOISE / 3, 3.0 ** np.arange(POINTS)))),
    "self-distillation": (
        trained("self-distillation"),
        (ATOMS_OF, SAMPLES, NOISE, (NOISE / 3, np.linspace(-3, 1.5, POINTS), np.arange(POINTS) % 4 * 1.0), MODELS[0]),
    ),
    "refits": (
        lambda atoms, rows, noise, weight, ridge, start: tuple(
            refit_errors(atoms, atoms.eigenvalues, SPECTRUM, rows, noise, weight, ridge, start, 1).form
        ),
        (ATOMS_OF, SAMPLES, NOISE, UNEQUAL[0], np.where(RIDGE > 0, RIDGE, 0.03), MODELS[0]),
    ),
}


SLOW = ("self-distillation", "refits")  # to compile
FILTERS = ("gradient flow", "gradient descent", "iterated ridge", "self-distillation", "complex_ridge")


def direction(arguments, seed):
    """A tangent that leaves counts of repetitions and zeros alone."""
    rng = np.random.default_rng(seed)
    return tree_map(lambda x: x * rng.standard_normal(np.shape(x)), arguments)


def worst(found, wanted):
    """The largest deviation relative to the value, or to 1e-2 of the largest in the array."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    floor = 1e-2 * np.max(np.abs(wanted), initial=0)
    return np.max(np.abs(found - wanted) / np.maximum(np.abs(wanted), floor + 1e-200), initial=0)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in KERNELS]
)
def test_numpy_duals_and_jax_agree(name):
    """Values to 1e-13 and derivatives to 1e-12, beside T = d and at λ = 0 too; warnings are errors.

    Contours of the filters lose digits of small shares: 1e-10 there.
    """
    kernel, arguments = KERNELS[name]
    moved = [direction(arguments, seed) for seed in (1, 2)]
    if name in ("gradient descent", "iterated ridge"):  # steps and rounds are whole
        moved = [(m[0], (m[1][0], 0 * m[1][1])) for m in moved]
    if name == "self-distillation":
        moved = [(*m[:3], (*m[3][:-1], 0 * m[3][-1]), m[4]) for m in moved]
    plain = leaves(kernel(*arguments))
    carried = leaves(kernel(*tree_map(lambda x, *t: Dual(x, np.stack(t)), arguments, *moved)))
    with jax.enable_x64(True):
        along = jax.jit(
            lambda a, t: jax.jvp(lambda *a: tuple(x for x in jax.tree.leaves(kernel(*a)) if x.dtype != bool), a, t)
        )
        traced = [along(arguments, t) for t in moved]
    flags = [x for x in plain if np.asarray(x).dtype == bool]
    assert all(np.all(flag) for flag in flags)
    plain = [x for x in plain if np.asarray(x).dtype != bool]
    carried = [x for x in carried if value_of(x).dtype != bool]
    assert any(isinstance(x, Dual) for x in carried)
    tolerance = 1e-10 if name in FILTERS else 1e-13
    for number, dual, value in zip(plain, carried, traced[0][0], strict=True):
        assert worst(value_of(dual), number) < tolerance
        assert worst(number, value) < tolerance
    for k, (_, slopes) in enumerate(traced):
        for dual, slope in zip(carried, slopes, strict=True):
            assert worst(tangent_of(dual, k), slope) < 10 * tolerance


@pytest.mark.parametrize("unit", [1e-140, 1e-22, 1e22, 1e140])
@pytest.mark.parametrize("kind", ["gradient-flow", "gradient-descent", "iterated-ridge", "self-distillation"])
def test_filters_do_not_feel_the_unit_of_the_data(kind, unit):
    """Products of four resolvents, of the unit to the power −4, once left the range of numbers."""
    start = MODELS[0]._replace(variance=MODELS[0].variance * 0)

    def shares_and_variance(unit):
        atoms = Atoms(SPECTRUM * unit, THETA, COUNT, SPECTRUM * unit)
        first = np.geomspace(1e-11, 1e3, POINTS) if kind != "gradient-descent" else np.full(POINTS, 0.1)
        first = first / unit if kind.startswith("gradient") else first * unit
        numbers = (first,) if kind == "gradient-flow" else (first, 3.0 ** np.arange(POINTS))
        if kind == "self-distillation":
            numbers = first, np.linspace(-3, 1.5, POINTS), np.arange(POINTS) % 4 * 1.0
        moments, learned, converged = filtered_step(
            kind, atoms, atoms.eigenvalues, SAMPLES, NOISE**2 * unit, numbers, start
        )
        assert converged.all()
        return learned, moments.variance / unit

    for found, wanted in zip(shares_and_variance(unit), shares_and_variance(1.0), strict=True):
        assert worst(found, wanted) < 1e-11


@pytest.mark.parametrize("seed", range(20))
def test_a_square_is_not_negative(seed):
    """A mixture minus itself, written another way: rounding left variances of −2e-12 here."""
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((2, 4, 1, 30)) * np.array([1.0, 1e-3])[:, None, None, None]  # four models of rank two
    covariance = np.einsum("fgpa,fhpa->ghpa", factors, factors)
    models = tuple(Moments(np.ones((1, 30)), np.zeros((1, 30)), covariance[g, g]) for g in range(4))
    joint = {(g, h): covariance[g, h] for g in range(4) for h in range(g)}
    weights = 10.0 ** rng.uniform(-4, 3, (4, 1)) * rng.choice([-1, 1], (4, 1))
    direction = np.linalg.svd(factors[:, :, 0, 0])[2][-1][:, None]  # no combination of the models at the first atom
    mixed, _ = mixture(weights[0] * direction, models, joint)
    assert np.all(mixed.variance >= 0)
    assert mixed.variance[0, 0] <= 1e-14 * np.abs(weights[0, 0]) ** 2 * covariance.max()
    plain = (weights**2 * covariance[range(4), range(4), 0]).sum(0)
    plain = plain + 2 * sum(weights[g] * weights[h] * value[0] for (g, h), value in joint.items())
    assert np.allclose(mixture(weights, models, joint)[0].variance[0], plain, rtol=1e-7, atol=1e-11 * plain.max())


def test_what_is_no_rounding_is_not_clipped():
    """Two models that are more alike than a model is like itself, on every namespace: their difference is no number."""
    one = np.ones((1, 3))
    models, weights = (Moments(one, 0 * one, one),) * 2, np.array([[1.0], [-1.0]])
    compiled = jax.jit(lambda *arguments: mixture(*arguments)[0].variance)
    for excess, right in ((0.0, True), (1e-10, True), (1e-6, False)):
        joint = {(1, 0): one * (1 + excess)}
        plain = mixture(weights, models, joint)[0].variance
        doubled = mixture(Dual(weights, weights[None]), models, joint)[0].variance.value
        with jax.enable_x64(True):
            traced = compiled(weights, models, joint)
        for found in (plain, doubled, np.asarray(traced)):
            assert np.all(found == 0) if right else np.all(np.isnan(found))


@pytest.mark.parametrize(
    "ask",
    [
        lambda model: mc.predict(model, {X: 0.5}),
        lambda model: mc.gradient(model, {X: 0.5}),
        lambda model: mc.predict(mc.fit(model.label(30, 0.1), ridge=0.1), {X: 0.5}),
        lambda model: mc.predict(model, {X: 0.5}).error_rate,
        lambda model: mc.optimal_ridge(mc.fit(model.label(30, 0.1)), {X: 0.5}),
    ],
)
def test_every_door_refuses_a_square_that_is_negative(ask, monkeypatch):
    teacher = mc.fit(mc.truth(mc.isotropic(10)).label(20, 0.1))
    model = teacher - mc.fit(teacher.label(100, 0.1 * X))
    ask(model)
    right = OnSpectrum.covariance
    monkeypatch.setattr(OnSpectrum, "covariance", lambda *given: 2 * right(*given))
    with pytest.raises(RuntimeError, match="not a number"):
        ask(model)


def test_all_namespaces_have_the_same_operations():
    with jax.enable_x64(True):
        kinds = [namespace(x) for x in (np.ones(1), Dual(np.ones(1), np.ones((1, 1))), jax.numpy.ones(1))]
    assert len(set(map(id, kinds))) == 3
    names = [set(vars(kind)) for kind in kinds]
    assert names[0] == names[1] == names[2] >= set(OPERATIONS)


def test_kernels_do_not_import_jax():
    code = (
        "import sys, numpy as np\n"
        "from modelcollapse.numerics.steps import filtered, features, pooled, repeated\n"
        "from modelcollapse.numerics.equivalents.sources import one_source\n"
        "one = np.ones(1)\n"
        "one_source(np.ones((1, 3)), np.ones((1, 3)), 5 * one, one, one)\n"
        "sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
