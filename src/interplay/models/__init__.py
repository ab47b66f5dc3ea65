"""One file per family. Families do not import each other; `systems.py` names what is in here."""
