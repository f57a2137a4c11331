"""Conversational 3D characters: hear, decide, think, speak and move on one audio clock.

The rooms of the house, and which may import which, are drawn in `docs/architecture.md`.
"""

__version__ = "0.1.0"
__all__ = ["__version__"]
