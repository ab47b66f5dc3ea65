"""Judging: replay a split, compare systems, audit for leaks. The only place where a test part is read."""
