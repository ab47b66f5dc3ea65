"""The thin service: a body in, one call of the engine, an answer out."""
