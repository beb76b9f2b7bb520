"""Real and synthetic rows in one fit: which weight, which ridge, and what a synthetic row is worth. NumPy and SciPy."""
