"""closed_form against predict (which shares no step with it), against limits, and its two forms against each other."""

import pytest
import sympy

import modelcollapse as mc
from modelcollapse.theory import closed_form, effective_ridges

T, T0, d, sigma, sigma0, lam, lam0, alpha, rho = sympy.symbols(
    "T T_0 d sigma sigma_0 lambda lambda_0 alpha rho", positive=True
)
n = sympy.Symbol("n", integer=True, nonnegative=True)
W0 = mc.truth(mc.isotropic(d, rho**2))
ABOVE = {T: 150, T0: 300, d: 100, sigma: 0.1, sigma0: 0.2, lam: 0.05, lam0: 0.02, alpha: 0.3, rho: 1.5, n: 4}
BELOW = {T: 60, T0: 70, d: 100, sigma: 0.1, sigma0: 0.2, lam: 0.05, lam0: 0.02, alpha: 0.3, rho: 1.5, n: 4}


def pipelines():
    least, ridge = mc.chain(W0, n, T0, sigma0), mc.chain(W0, n, T0, sigma0, lam0)
    yield "least squares", mc.fit(least.label(T, sigma))
    yield "least squares, ridge student", mc.fit(least.label(T, sigma), ridge=lam)
    yield "ridge chain", mc.fit(ridge.label(T, sigma), ridge=lam)
    yield "five ridge generations", mc.chain(W0, 5, T0, sigma0, lam0)
    yield (
        "three fits",
        mc.fit(mc.fit(mc.fit(W0.label(T0, sigma0), ridge=lam0).label(T, sigma0)).label(T, sigma), ridge=lam),
    )
    yield "mixed labels", mc.fit((alpha * W0 + (1 - alpha) * ridge).label(T, sigma), ridge=lam)
    yield "real and synthetic rows", mc.fit(ridge.label(T, sigma), W0.label(T0, sigma0), ridge=lam)
    yield "shared teacher", mc.fit(least.label(T, sigma), (alpha * least + W0).label(T0, sigma0), ridge=lam)
    yield "accumulation", mc.fit(mc.accumulate(W0, n, T0, sigma0, lam0).label(T, sigma), ridge=lam)
    yield "accumulated ridge start", mc.accumulate(ridge, 3, T0, sigma0, lam)
    yield "ensemble", alpha * mc.fit(ridge.label(T, sigma), ridge=lam) + (1 - alpha) * mc.fit(ridge.label(T, sigma))
    yield "shifted inputs", mc.fit(ridge.label(T, sigma, inputs=lambda s: 2 * s), ridge=lam)


def number(expression, at):
    """All symbols at once, which SymPy does ten times as fast as one after the other."""
    return float(expression.xreplace({symbol: sympy.sympify(value) for symbol, value in at.items()}).doit())


def predicted(model, at, **options):
    return mc.predict(model, {symbol: at[symbol] for symbol in model.free}, **options).test_error


@pytest.mark.parametrize(("name", "model"), list(pipelines()), ids=lambda v: v if isinstance(v, str) else "")
def test_closed_form_is_the_prediction(name, model):
    value = number(closed_form(model), ABOVE)
    assert value == pytest.approx(predicted(model, ABOVE), rel=1e-10)
    ridges = {kappa: number(formula, ABOVE) for kappa, formula in effective_ridges(model).items()}
    assert number(closed_form(model, in_terms_of="effective_ridge"), ABOVE | ridges) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(("name", "model"), list(pipelines())[2:4], ids=lambda v: v if isinstance(v, str) else "")
def test_ridge_pipelines_hold_on_both_sides_of_the_dimension(name, model):
    assert number(closed_form(model), BELOW) == pytest.approx(predicted(model, BELOW), rel=1e-10)


def test_exact_least_squares():
    model = mc.fit(mc.chain(W0, n, 2 * T, sigma0).label(T, sigma))
    exact = closed_form(model, finite_size=True)
    assert sympy.simplify(exact - d * (sigma**2 / (T - d - 1) + n * sigma0**2 / (2 * T - d - 1))) == 0
    assert float(exact.subs(ABOVE)) == pytest.approx(predicted(model, ABOVE, finite_size=True), rel=1e-12)


@pytest.mark.parametrize(("ridge", "rows"), [(0, 60), (lam0, 60), (lam0, 300), (0, 300)])
def test_symbolic_generations_are_repeated_ones(ridge, rows):
    w0 = model = mc.truth(mc.isotropic(100, 2))
    general = closed_form(mc.chain(w0, n, rows, 0.1, ridge))
    for k in range(4):
        one, other = (z.subs({n: k, lam0: sympy.Rational(1, 7)}).evalf(40) for z in (general, closed_form(model)))
        assert abs(one - other) <= 1e-35 * abs(other)
        model = mc.fit(model.label(rows, 0.1), ridge=ridge)


def test_clean_plus_n_delta():
    """The error is linear in n, its slope is the literature's Δ and its start the clean error."""
    kappa = sympy.Symbol("kappa", positive=True)
    model = mc.fit(mc.chain(W0, n, T0, sigma0).label(T, sigma), ridge=lam)
    error = closed_form(model, in_terms_of="effective_ridge")
    df2 = d / (1 + kappa) ** 2
    delta = sigma0**2 / (T0 - d) * (df2 + kappa**2 * df2 * df2 / (T - df2))
    clean = (kappa**2 * rho**2 / (1 + kappa) ** 2 + sigma**2 * df2 / T) / (1 - df2 / T)
    assert sympy.simplify(error - clean - n * delta) == 0


def test_exactness_of_numbers():
    w0 = mc.truth(mc.isotropic(100))
    assert closed_form(mc.fit(w0.label(200, 0.1))) == sympy.Rational(1, 100)
    assert sympy.simplify(closed_form(mc.chain(w0, n, 60, 0)) - (1 - sympy.Rational(3, 5) ** n)) == 0
    assert closed_form(mc.fit(w0.label(100, 0.1))) == sympy.oo
    assert closed_form(mc.fit(w0.label(100))) == 0
    assert closed_form(mc.fit(w0.label(50, 0.1), ridge=sympy.oo)) == 1
    assert closed_form(w0) == 0
    assert closed_form(mc.chain(w0, 0, 60, 0.1)) == 0


def test_assumptions_decide_which_side():
    gap = sympy.Symbol("g", positive=True)
    under = closed_form(mc.fit(mc.truth(mc.isotropic(T + gap)).label(T)))
    assert sympy.simplify(under - gap / (T + gap)) == 0


def test_phi_by_substitution():
    phi = sympy.Symbol("phi", positive=True)
    error = closed_form(mc.fit(W0.label(T, sigma))).subs(T, d / phi)
    assert sympy.simplify(error - sigma**2 * phi / (1 - phi)) == 0


def test_accumulation_limit():
    """d ≪ T: k fits add up to Σ 1/g² times σ² d/T, the classical π²/6."""
    w0 = mc.truth(mc.isotropic(1))
    terms = [float(closed_form(mc.accumulate(w0, k, 10**9, 1)) * 10**9) for k in (1, 2, 3, 50)]
    assert terms == pytest.approx([1, 1.25, 1.25 + 1 / 9, sum(1 / k**2 for k in range(1, 51))], rel=1e-7)


def test_readable_in_terms_of_effective_ridges():
    model = mc.fit(
        mc.fit(mc.fit(W0.label(T, sigma), ridge=lam).label(T0, sigma0), ridge=lam0).label(T, sigma), ridge=lam
    )
    expression = closed_form(model, in_terms_of="effective_ridge")
    assert len(effective_ridges(model)) == 2  # the first and the last fit share T and λ
    assert expression.count_ops() < 250
    assert expression.free_symbols.isdisjoint({lam, lam0})


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (mc.fit(mc.truth(mc.power_law(1.5, 0.5, dim=10)).label(20)), "several eigenvalues"),
        (mc.fit(W0.label(T, sigma), W0.label(T0, sigma, weight=2), ridge=lam), "differ in weight"),
        (mc.fit(W0.label(T, sigma), ridge=[0.1, 0.2]), "ridge is an array"),
    ],
)
def test_what_has_no_closed_form_says_so(model, sentence):
    with pytest.raises(ValueError, match=sentence):
        closed_form(model)
    with pytest.raises(ValueError, match="in_terms_of"):
        closed_form(W0, in_terms_of="kappa")
