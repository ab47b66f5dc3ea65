"""Worlds whose truth is known: puzzles with one answer, and a market with people in it."""
