"""What a pipeline is given: units, bad input in one sentence, models that are equal by content."""

import subprocess
import sys
import textwrap

import jax
import numpy as np
import pytest
import sympy

import modelcollapse as mc

POWER_LAW = mc.power_law(1.5, 0.5, dim=60)

W0 = mc.truth(POWER_LAW)
T, T0, lam, share = sympy.symbols("T T0 lambda alpha", positive=True)
n = sympy.Symbol("n", integer=True, nonnegative=True)


def scaled(eigenvalue, signal):
    spectrum = mc.Spectrum(eigenvalue * np.arange(1.0, 41.0) ** -1.5, signal)
    return mc.predict(mc.fit(mc.truth(spectrum).label(30), ridge=0.01 * eigenvalue))


@pytest.mark.parametrize("factor", [1e-280, 1e-150, 1e150, 1e280])
def test_the_unit_of_the_eigenvalues_does_not_matter(factor):
    assert scaled(factor, 1.0).test_error / factor == pytest.approx(scaled(1.0, 1.0).test_error, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: mc.fit(W0.label(50), ridge=-1.0), ValueError, r"ridge = -1.0 is outside \[0, inf\]"),
        (lambda: scaled(1e-306, 1.0), ValueError, "the largest eigenvalue of the spectrum is 1e-306"),
        (lambda: scaled(1e-308, 1e308), ValueError, "the largest eigenvalue of the spectrum is 1e-308"),
        (lambda: scaled(1.0, 1e-299), ValueError, "the label variance of the spectrum is"),
        (lambda: mc.power_law(1.5, 0.5, dim=1e300), ValueError, "dim=math.inf"),
        (lambda: mc.fit(W0.label(50), ridge=np.nan), ValueError, "ridge = nan"),
        (lambda: mc.fit(W0.label(50), ridge=[0.1, -2]), ValueError, r"ridge\[1\] = -2.0"),
        (lambda: mc.fit(W0.label(0)), ValueError, "samples = 0 in every source"),
        (lambda: W0.label(-5), ValueError, "samples = -5"),
        (lambda: W0.label(np.inf), ValueError, "samples = inf"),
        (lambda: W0.label(50, noise=-0.1), ValueError, "noise = -0.1"),
        (lambda: W0.label("50"), TypeError, "samples = '50' is a str"),
        (lambda: W0.label(True), TypeError, "samples = True is a bool"),
        (lambda: W0.label(1j), TypeError, "samples"),
        (lambda: W0.label(np.ma.array([1, 2])), TypeError, "samples"),
        (lambda: mc.fit(), ValueError, "sources is empty"),
        (lambda: mc.fit(W0), TypeError, "a source is a Truth"),
        (lambda: mc.chain(W0, 2.5, 50, 0.1), ValueError, "generations = 2.5"),
        (lambda: mc.chain(W0, 2, 0, 0.1), ValueError, "samples = 0"),
        (lambda: mc.chain(mc.truth(mc.power_law(1.5, 0.5)), 2, 50, 0.1), ValueError, "finite dim"),
        (lambda: W0 + mc.truth(mc.isotropic(5)), ValueError, "different spectra"),
        (lambda: W0.label(50, inputs=[1.0, 2.0]), ValueError, "one eigenvalue per atom"),
        (lambda: mc.predict(mc.fit(W0.label(T))), TypeError, "the symbol T is free"),
        (lambda: mc.predict(mc.fit(W0.label(T)), {T: -3}), ValueError, "samples = T = -3"),
        (lambda: mc.predict(mc.fit(W0.label(T)), {lam: 3}), TypeError, "not a free symbol"),
        (
            lambda: mc.predict(mc.fit(W0.label([1, 2, 3])), {}) and mc.predict(mc.fit(W0.label([1, 2], [1, 2, 3]))),
            ValueError,
            "do not broadcast",
        ),
        (lambda: mc.predict(0.3), TypeError, "model is a float"),
        (lambda: mc.truth(3), TypeError, "spectrum is a int"),
        (lambda: mc.delta(POWER_LAW, 50, 0.1, mc.FakeData(1, 50, 0.1)), ValueError, "more samples than directions"),
        (lambda: mc.delta(POWER_LAW, 50, 0.1, mc.FakeData(1, 90, 0.1, ridge=1)), ValueError, "not linear"),
        (lambda: jax.jit(lambda v: mc.fit(W0.label(v)))(3.0), TypeError, "JAX tracer"),
        (lambda: W0 * W0, TypeError, "cannot be multiplied"),
    ],
)
def test_bad_input_is_one_clear_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_equality_is_by_content_and_identity_is_a_fit():
    one, two = mc.fit(W0.label(50, 0.1)), mc.fit(W0.label(50, 0.1))
    assert one == two
    assert hash(one) == hash(two)
    assert one + one != one + two
    assert mc.predict((one + two) / 2).variance == pytest.approx(mc.predict(one).variance / 2)
    assert one != mc.fit(W0.label(50, 0.2))


def test_scalars_and_arrays_stand_on_either_side():
    model, share = mc.fit(W0.label(50, 0.1), ridge=0.1), np.array([0.2, 0.5])
    left, right = share * model + (1 - share) * W0, model * share + W0 * (1 - share)
    assert left == right
    assert mc.predict(left).test_error.shape == (2,)
    np.testing.assert_allclose(mc.predict(left).test_error, share**2 * mc.predict(model).test_error)


def test_symbols_name_numbers():
    model = mc.fit(mc.chain(W0, n, T0, 0.1, ridge=lam).label(T * share, 0.1), W0.label(T * (1 - share), 0.1), ridge=lam)
    assert model.free == tuple(sorted((n, T0, lam, T, share), key=str))
    some = model.subs({T: 100, share: sympy.Rational(1, 4)})
    assert some.free == tuple(sorted((n, T0, lam), key=str))
    values = {n: [0, 1, 2], T0: 80, lam: 0.01}
    direct = mc.fit(mc.chain(W0, [0, 1, 2], 80, 0.1, ridge=0.01).label(25, 0.1), W0.label(75, 0.1), ridge=0.01)
    np.testing.assert_allclose(mc.predict(some, values).test_error, mc.predict(direct).test_error, rtol=1e-13)


MEASURE_MEMORY = """
    import re
    import numpy as np, modelcollapse as mc
    s = np.arange(1, 10**6 + 1) ** -1.5
    labels = mc.chain(mc.truth(mc.Spectrum(s, s)), 10, 2e7, 0.1)
    T, ridge = np.geomspace(10, 5e5, 50)[:, None], np.geomspace(1e-8, 1, 50)
    assert np.all(mc.predict(mc.fit(labels.label(T, 0.1), ridge=ridge)).test_error > 0)
    print(int(re.search(r"VmHWM:\\s+([0-9]+)", open("/proc/self/status").read())[1]) / 2**20)
"""


def test_memory_of_a_large_grid():
    """2500 grid points on 10⁶ eigenvalues stay under 2 GiB. VmHWM starts anew with a program, ru_maxrss does not."""
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEASURE_MEMORY)], capture_output=True, text=True, check=True
    )
    assert float(out.stdout) < 2
