"""How benches that are more than fit, rank and measure are carried out: one module each, found by the bench's kind."""
