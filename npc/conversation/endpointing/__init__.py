"""End of turn: is the player done, or thinking? Interface in `interface.py`, embedded detector in `embedded.py`."""
