"""Numerics that several rooms share: sparse matrices, top-k, text, statistics."""
