"""Data sets that models are really trained on."""
