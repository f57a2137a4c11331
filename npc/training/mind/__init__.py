"""Training the embedded dialogue model: `python -m npc.training.mind train --minutes 30` (see docs/mind.md)."""
