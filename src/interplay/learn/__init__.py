"""What gradient models share: one loop, losses, negatives, layers."""
