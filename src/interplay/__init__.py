"""Interplay: a personalization engine you can talk to."""

__version__ = "0.1.0"
