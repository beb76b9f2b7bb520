"""What tests of the estimators share."""

import pytest


@pytest.fixture
def few_shapes(monkeypatch):
    """Four of fourteen shapes that a truth may have, for tests that do not ask how good the choice of weights is."""
    shapes = [(0.0, 0.0, False), (0.5, -1.0, False), (-1.0, -1.0, False), (0.5, -1.0, True)]
    monkeypatch.setattr("modelcollapse.numerics.mixes.evidence.SHAPES", shapes)
