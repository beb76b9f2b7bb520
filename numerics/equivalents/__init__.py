"""Deterministic equivalents: the effective ridge of every kind of fit, and what follows from it."""
