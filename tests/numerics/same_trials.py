"""Agreements of test errors and of error rates on the same trials, which are run once."""

import modelcollapse as mc
from modelcollapse.validation import agreement as crosschecks
from modelcollapse.validation.simulation import simulate_each

__all__ = ["judged"]


def judged(models, count, monkeypatch, inputs=None, **options):
    """The Agreements of test errors and of error rates."""
    estimates = simulate_each(models, count, conditional=False, inputs=inputs, progress=False, **options)
    monkeypatch.setattr(crosschecks, "simulate_each", lambda *given, **options: estimates)
    return [mc.crosscheck(models, metric=metric, inputs=inputs) for metric in ("test_error", "error_rate")]
