"""A host's JAX configuration, and processes forked from one that computed: the same numbers, or one sentence."""

import os
import subprocess
import sys
import textwrap

import pytest

QUESTIONS = """
    import jax, numpy as np, sympy, modelcollapse as mc
    from modelcollapse.numerics import lower
    lam = sympy.Symbol("lambda", positive=True)
    w0 = mc.truth(mc.power_law(1.5, 0.5, dim=20))
    teacher = mc.fit(w0.label(15, 0.1), ridge=0.1)
    several = mc.fit(w0.label(30, 0.1), teacher.label([[10], [20]], 0.2), ridge=lam)
    ladder = np.geomspace(0.01, 1, 20)

    def answers():
        yield mc.predict(several, {lam: [0.1, 0.2, 0.3]}).test_error
        yield mc.predict(mc.fit(teacher.label(np.geomspace(10, 100, 30)[:, None], 0.1), ridge=ladder)).test_error
        yield mc.predict(mc.fit(teacher.label(20, 0.1), filter=mc.GradientFlow(ladder))).test_error
        yield mc.predict(mc.chain(w0, 3, 30, 0.1, ridge=0.1)).test_error
        yield mc.gradient(several, {lam: 0.1})[lam]
        yield mc.optimal_ridge(mc.fit(teacher.label(30, 0.1))).ridge
        yield mc.effective_ridge(w0.spectrum, 30, 0.1)
        yield mc.predict(mc.fit(teacher.label(30, 0.1))).by_direction().bias
        yield mc.simulate(mc.fit(w0.label(15, 0.1), ridge=0.1), trials=20, seed=0, backend="jax").mean
        yield lower(mc.fit(teacher.label(30, 0.1), ridge=lam), (lam,))(ladder)
"""
STRICT = {
    "jax_numpy_rank_promotion": "raise",
    "jax_numpy_dtype_promotion": "strict",
    "jax_transfer_guard": "disallow",
    "jax_debug_infs": True,
    "jax_default_matmul_precision": "bfloat16",
}


def python(code):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    code = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(code, env=environment, capture_output=True, text=True, timeout=300)


def test_a_strict_host_gets_the_numbers_of_a_lenient_one_and_keeps_its_configuration():
    ran = python(
        textwrap.dedent(QUESTIONS)
        + textwrap.dedent(f"""
        expected = [np.asarray(x) for x in answers()]
        for name, value in {STRICT!r}.items():
            jax.config.update(name, value)
        for found, known in zip(answers(), expected, strict=True):
            np.testing.assert_array_equal(np.asarray(found), known)
        for name, value in {STRICT!r}.items():
            assert getattr(jax.config, name) == value, name
        """)
    )
    assert ran.returncode == 0, ran.stderr


CHILD = """
    import multiprocessing, numpy as np, modelcollapse as mc
    def error(points=300_000):
        rows = np.linspace(20, 40, points)
        return mc.predict(mc.fit(mc.truth(mc.isotropic(10)).label(rows, 0.1), ridge=0.1)).test_error.mean()
    def tell(pipe):
        try:
            pipe.send(float(error()))
        except RuntimeError as refused:
            pipe.send(str(refused))
    def child(method):
        context = multiprocessing.get_context(method)
        ours, theirs = context.Pipe()
        process = context.Process(target=tell, args=(theirs,))
        process.start()
        answer = ours.recv() if ours.poll(120) else "no answer"
        process.kill()
        return answer
"""


@pytest.fixture(scope="module")
def told():
    """What children say that were forked before any question, after a small one, after a large one, and of an error
    lowered there."""
    lowered = """
        import sympy
        from modelcollapse.numerics import lower
        first = child("fork")
        large = error
        def error():
            return large(3)
        print(child("fork") == float(error()))
        print(first == float(large()))
        error = large
        print(child("fork"))
        ridge = sympy.Symbol("ridge")
        function = lower(mc.fit(mc.truth(mc.isotropic(10)).label(20, 0.1), ridge=ridge), ridge)
        def error():
            return function(0.1)
        print(child("fork"))
    """
    ran = python(textwrap.dedent(CHILD) + textwrap.dedent(lowered))
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_a_process_forked_after_a_small_question_answers(told):
    """Few points never meet JAX."""
    assert told[0] == "True"


def test_a_process_forked_before_the_first_large_prediction_answers(told):
    assert told[1] == "True"


def test_a_process_forked_after_a_prediction_is_told_to_be_spawned(told):
    assert "forked" in told[2]
    assert "get_context('spawn')" in told[2]


def test_a_lowered_error_says_so_too(told):
    assert "get_context('spawn')" in told[3]
