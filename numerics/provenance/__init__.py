"""What labels reveal about the models that wrote them, from the rows at hand: NumPy and SciPy, no JAX."""
