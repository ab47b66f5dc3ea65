"""Retrieve, fuse, rank, arrange: the one path of every request."""
