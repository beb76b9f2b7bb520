"""JAX differentiates the numbers of laws and loops: slopes against central differences in NumPy."""

import jax
import pytest

import modelcollapse as mc

m = mc.modes
LAW = m.zipf(1.5)
FUNCTIONS = {
    "modes of an exponent": (lambda x: m.zipf(x).modes(300), 1.5),
    "entropy of an exponent": (lambda x: m.zipf(x).entropy, 1.5),
    "narrowing": (lambda x: m.zipf(1.5, exponent=x).missing_mass(1000.0, real_share=0.1), 2.0),
    "samples": (lambda x: LAW.missing_mass(x), 300.0),
    "missing mass of an exponent": (lambda x: m.replace(m.zipf(x), 8, 1000).missing_mass(500), 1.5),
    "real share": (lambda x: m.mix(LAW, 8, 1000, x).alive, 0.1),
    "divergence of a real share": (lambda x: m.mix(LAW, 8, 1000, x).divergence, 0.1),
    "draws of a pool": (lambda x: m.accumulate(LAW, 8, x).missing_mass(500), 1000.0),
    "diversity of draws": (lambda x: m.mix(LAW, 8, x, 0.1).diversity, 1000.0),
    "growth": (lambda x: m.grow(LAW, 8, 1000, x).founders.mean, 1.1),
    "variance": (lambda x: m.mix(LAW, 8, 1000, x).founders.variance, 0.1),
    "smoothed generators": (lambda x: m.replace(m.zipf(1.5, size=100), 8, 1000, smoothing=x).alive, 0.1),
    "smoothing": (lambda x: m.replace(m.zipf(1.5, size=100), 4, 200).log_loss(100, x), 0.1),
}


QUICK = ("samples", "missing mass of an exponent", "real share", "smoothing")


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in FUNCTIONS])
def test_slopes_are_differences(name):
    function, at = FUNCTIONS[name]
    step = 1e-4 * at
    difference = (function(at + step) - function(at - step)) / (2 * step)
    with jax.enable_x64(True):
        slope = float(jax.jit(jax.grad(function))(at))  # compiled once, not piece by piece
    assert abs(slope / difference - 1) < 1e-5


def test_a_traced_count_is_refused():
    with pytest.raises(TypeError, match="generations is a JAX tracer"):
        jax.grad(lambda x: m.replace(LAW, x, 1000).alive)(3.0)
