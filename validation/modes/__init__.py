"""Loops really run: samples drawn from samples, texts generated from texts, and their agreement with the theory."""
