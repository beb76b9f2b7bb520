"""The catalogue as a whole: complete, readable, refusing what is outside its domain; and reality, by simulation."""

import dataclasses
import pkgutil
from importlib import import_module

import numpy as np
import pytest
import sympy
from formula_draws import seeded
from formula_routes import ROUTES
from fresh_interpreter import loaded

from modelcollapse.theory import catalogue, formulas, records
from modelcollapse.theory.equation_latex import readable
from modelcollapse.theory.formulas import Condition, Formula, evaluated, letters_of
from modelcollapse.theory.records import sums
from modelcollapse.theory.symbols import QUANTITIES, symbols

BY_NAME = pytest.mark.parametrize("name", catalogue)


def test_every_record_has_an_independent_route():
    assert set(ROUTES) == set(catalogue)


def test_the_mapping_is_read_only():
    with pytest.raises(TypeError):
        catalogue["clean_error"] = None
    with pytest.raises(dataclasses.FrozenInstanceError):
        catalogue["clean_error"].name = "other"


def test_letters_and_names_are_one_to_one():
    letters = [q.letter for q in QUANTITIES.values()]
    assert len({letter.replace("_", "") for letter in letters}) == len(letters)
    assert not {q.name for q in QUANTITIES.values()} & set(letters)


@BY_NAME
def test_a_record_can_be_read(name):
    formula = catalogue[name]
    assert formula._repr_latex_().count("$") == 2
    assert formula.latex().count("{") == formula.latex().count("}")
    assert repr(formula).startswith(name)
    assert formula.title
    assert formula.source
    assert formula.derivation or formula.source != "derived here"
    assert set(formula.symbols) == set(formula.domain) == set(formula.arguments)
    assert hash(formula) == hash(dataclasses.replace(formula))
    assert formula.evaluate(**formula.example).is_finite


WITH_SUMS = [name for name, formula in catalogue.items() if formula.expression.has(sympy.Sum)]


@pytest.mark.parametrize("name", WITH_SUMS)
def test_what_is_printed_is_the_expression(name):
    """With df_q written out again the printed form is the record's own at its example; one with a factor is not."""
    formula = catalogue[name]
    printed = readable(formula.expression)
    for order, degrees in ((1, sums.df_1), (2, sums.df_2)):
        printed = printed.replace(sympy.Function(f"df_{order}"), lambda x, form=degrees: form.subs(sums.kappa, x))
    letters = letters_of(formula.example)
    equation = isinstance(printed, sympy.Eq)
    pairs = zip(printed.args, formula.expression.args, strict=True) if equation else [(printed, formula.expression)]
    for shown, meant in pairs:
        value = evaluated(meant, letters, 30)
        assert abs(evaluated(shown, letters, 30) - value) < 1e-25 * abs(value)
        assert abs(evaluated(1.1 * shown, letters, 30) - value) > 1e-25 * abs(value)


def test_sums_are_printed_by_their_names():
    assert sum("mathrm{df}_2(" in formula.latex() for formula in catalogue.values()) > 15
    assert r"\frac{\kappa \mathrm{df}_1(\kappa)}{T}" in catalogue["effective_ridge_equation"].latex()


@BY_NAME
def test_values_outside_the_domain_are_refused(name):
    formula = catalogue[name]
    for q in formula.quantities:
        bad = (q.domain.low if q.domain.low_open else q.domain.low - 1) if np.isfinite(q.domain.low) else np.nan
        value = [bad] * len(formula.example[q.name]) if q.length else bad
        with pytest.raises(ValueError, match=rf"{q.name}.* is outside .*; "):
            formula.check(**formula.example | {q.name: value})
        with pytest.raises(TypeError, match=q.name):
            formula.check(**formula.example | {q.name: True})
        with pytest.raises(TypeError, match=q.name):
            formula.check(**formula.example | {q.name: [[formula.example[q.name]]]})


@pytest.mark.parametrize("name", [name for name, formula in catalogue.items() if formula.conditions])
def test_joint_conditions_are_refused(name):
    formula = catalogue[name]
    for point in seeded(formula, 3, 3):
        formula.check(**point)
    for condition in formula.conditions:
        q = condition.quantity
        extreme = 1e9 if "<" in condition.relation.rel_op else max(q.domain.low, -1e9) + 1e-9 * q.domain.low_open
        value = [extreme] * len(formula.example[q.name]) if q.length else extreme
        with pytest.raises(ValueError, match=rf"{q.name}.* violates .*; .|{q.name}.* is outside"):
            formula.check(**formula.example | {q.name: value})


def test_letters_are_understood_and_exact_numbers_stay_exact():
    floor = catalogue["mixture_floor"]
    third = sympy.Rational(1, 3)
    assert abs(floor.evaluate(p2=third, c2=9, digits=50) - 1) < sympy.Float("1e-49", 50)
    with pytest.raises(TypeError, match="is not a number"):
        floor.check(p2=sympy.Symbol("p"), c2=1)
    with pytest.raises(ValueError, match="equal length"):
        catalogue["clean_error"].check(effective_ridge=1, samples=10, noise=1, eigenvalues=[1, 2], signal=[1])


def test_a_pole_is_not_a_number():
    with pytest.raises(ValueError, match="no finite real value"):
        record().evaluate(samples=5, dimension=5)


def test_a_zero_is_known_before_digits_are_raised(monkeypatch):
    asked = []
    monkeypatch.setattr(formulas, "evaluated", lambda *given: asked.append(given[2]) or evaluated(*given))
    for name, at in (
        ("gaussian_accumulated_drift", {"rounds": 0}),
        ("accumulation_equal_rounds", {"rounds": 0}),
        ("gaussian_log_variance", {"rounds": 0, "deviation": 1}),
    ):
        assert catalogue[name].evaluate(**catalogue[name].example | at) == 0
    assert max(asked) <= 80


def test_a_series_has_its_digits_whether_it_falls_by_a_factor_or_by_a_power():
    n = sympy.Symbol("n", integer=True, positive=True)
    for term, value in ((n**-2, sympy.zeta(2)), (n**-5, sympy.zeta(5)), (n**-9, sympy.zeta(9)), (3 ** (1 - n), 1.5)):
        found = evaluated(sympy.Sum(term, (n, 1, sympy.oo)), {}, 40)
        assert abs(sympy.Float(found, 40) - value) < sympy.Float("1e-35", 40)


def record(**changes):
    """A small record, with changes."""
    T, d = symbols("samples", "dimension")
    fields = {
        "name": "trial",
        "title": "A trial",
        "left": "x",
        "expression": d / (T - d),
        "regime": "exact",
        "arguments": ("samples", "dimension"),
        "source": "none",
    }
    return Formula(**fields | changes)


def test_a_record_checks_itself():
    T, d, sigma = symbols("samples", "dimension", "noise")
    record(conditions=(Condition(T > d, "raise samples"),), limits=(("dimension", 0, 0 * d),))
    with pytest.raises(ValueError, match="declares"):
        record(expression=sigma * d / T)
    with pytest.raises(ValueError, match="stated limit"):
        record(limits=(("dimension", 0, 1 + 0 * d),))
    with pytest.raises(ValueError, match="another expression"):
        record(computed_as=d / (T + d))
    with pytest.raises(ValueError, match="violates"):
        record(conditions=(Condition(T < d, "lower samples"),))


# reality: simulations of the settings behind the asymptotic formulas. Each mean may be off by five standard errors
# (a false alarm in 2 million) and by 3 % of finite size at d = 80


def ridge_fit(X, y, ridge):
    """The ridge estimator of the mean squared error."""
    return np.linalg.solve(X.T @ X / len(X) + ridge * np.eye(X.shape[1]), X.T @ y / len(X))


D, TRIALS = 80, 120
SPECTRUM = np.arange(1, D + 1) ** -1.0
TRUTH = np.arange(1, D + 1) ** -0.3


def inputs(generator, samples):
    return generator.standard_normal((samples, D)) * np.sqrt(SPECTRUM)


def kappa_at(ridge, samples, features=np.inf):
    """The effective ridge by bisection on λ = κ (1 - df_1/T)(1 - df_1/m)."""
    low, high = 1e-12, ridge + SPECTRUM.sum() * (1 / samples + 1 / features + SPECTRUM.sum() / samples / features)
    for _ in range(200):
        kappa = np.sqrt(low * high)
        df = np.sum(SPECTRUM / (SPECTRUM + kappa))
        resolved = df < min(samples, features) and kappa * (1 - df / samples) * (1 - df / features) >= ridge
        low, high = (low, kappa) if resolved else (kappa, high)
    return high


def chain(generator, generations=3):
    w = TRUTH
    for _ in range(generations):
        X = inputs(generator, 200)
        w = ridge_fit(X, X @ w + 0.5 * generator.standard_normal(200), 0.0)
    X = inputs(generator, 120)
    return ridge_fit(X, X @ w + 0.4 * generator.standard_normal(120), 0.05)


def mixture(generator):
    X = inputs(generator, 120)
    shifted = TRUTH + 0.3 * generator.choice([-1.0, 1.0], D)
    labels = np.where(np.arange(120) < 72, X @ TRUTH, X @ shifted)
    return ridge_fit(X, labels + 0.4 * generator.standard_normal(120), 0.05)


def features(generator):
    F = generator.standard_normal((60, D)) / np.sqrt(60)
    X = inputs(generator, 120)
    return F.T @ ridge_fit(X @ F.T, X @ TRUTH + 0.4 * generator.standard_normal(120), 0.005)


COMMON = {"samples": 120, "eigenvalues": SPECTRUM, "signal": TRUTH**2}
RIDGE = COMMON | {"effective_ridge": kappa_at(0.05, 120)}
GENERATORS = {"generator_samples": 199, "generator_noise": 0.5}  # T_0 - d - 1 of 200 samples
SIMULATED = {  # name: simulated model, arguments, an argument that makes it wrong
    "chain_error": (chain, RIDGE | GENERATORS | {"noise": 0.4, "generations": 3}, {"generations": 2}),
    "mixture_error": (
        mixture,
        RIDGE | {"real_noise": 0.4, "synthetic_noise": 0.4, "synthetic_share": 0.4, "offset": [0.09] * D},
        {"synthetic_share": 0.0},
    ),
    "random_features_error": (
        features,
        COMMON | {"features": 60, "effective_ridge": kappa_at(0.005, 120, 60), "noise": 0.4},
        {"features": 1e6, "effective_ridge": kappa_at(0.005, 120)},
    ),
}


@pytest.mark.parametrize("name", SIMULATED)
def test_simulations_agree_and_reject_a_wrong_argument(name):
    simulated, arguments, wrong = SIMULATED[name]
    generator = np.random.default_rng(20)
    errors = [np.sum(SPECTRUM * (simulated(generator) - TRUTH) ** 2) for _ in range(TRIALS)]
    mean, spread = np.mean(errors), np.std(errors) / np.sqrt(TRIALS)
    theory = float(catalogue[name].evaluate(**arguments))
    other = float(catalogue[name].evaluate(**arguments | wrong))
    assert abs(mean - theory) <= 5 * spread + 0.03 * theory
    assert abs(mean - other) > 5 * spread + 0.03 * other


def test_the_contents_are_those_of_the_modules(monkeypatch):
    found = {module.name for module in pkgutil.iter_modules(records.__path__)}
    topics = {name for name in found if hasattr(import_module(f"{records.__name__}.{name}"), "FORMULAS")}
    assert topics == set(records.TOPICS)
    assert len(catalogue) == sum(len(names.split()) for names in records.TOPICS.values())  # each name once
    records._records.cache_clear()
    monkeypatch.setitem(records.TOPICS, "workflows", "workflow_accumulate workflow_subsample")
    with pytest.raises(ValueError, match=r"growing_chain; write these in .*contents\.py"):
        catalogue["workflow_accumulate"]


def test_one_formula_is_read_without_the_others():
    topics = [f"{records.__name__}.{topic}" for topic in records.TOPICS]
    ask = "from modelcollapse.theory import catalogue\ncatalogue['workflow_subsample'].evaluate(rounds=2)"
    assert loaded(topics, ask) == [[f"{records.__name__}.workflows"]]


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(KeyError, match="no formula 'mixtureerror'; there is mixture_error"):
        catalogue["mixtureerror"]
    assert "mixtureerror" not in catalogue
    assert catalogue.get("mixtureerror") is None
