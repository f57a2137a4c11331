"""What a character remembers of a player: written from what was said and heard, recalled, erased."""
