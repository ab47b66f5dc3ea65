"""The store: events, catalogue, people, models and keys, in SQLite or PostgreSQL; and model directories."""
