"""Training the embedded dialogue model: `python -m npc.training.mind --minutes 30` (see docs/mind.md)."""
