"""Fits that know who wrote their labels: ridge, gradient flow, and a monitor for training loops (scikit-learn)."""
