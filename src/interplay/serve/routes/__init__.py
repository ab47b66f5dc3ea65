"""What is served, one file per concern; `app.py` puts them together."""
