"""The heard ledger: what of a reply the player really heard. Pure; the only source of what is written into history.

    words     │ Good │ day, │ traveller. │ What │ brings │ you …
    sample    0 ─────┴──────┴────────────┴──────┴────────┴────▶
                                    ▲ played_samples: "Good day," was heard, "traveller." was not

A word counts when its last sample is ≤ the samples played. Where the samples played come from, best first:

1. `npc.playback` reports (they only grow, and never pass what was sent);
2. `conversation.item.truncate` with `audio_end_ms` (stock clients);
3. what was paced out less the lead, since a client that says nothing still buffers the lead. A reply that was played
   out to its end was heard whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from npc.audio.clock import samples_in


@dataclass(frozen=True, slots=True)
class LedgerWord:
    """A whitespace-separated word of the reply's text, and the samples of the item in which it sounds."""

    text: str
    at: int
    until: int


@dataclass(frozen=True, slots=True)
class LedgerAction:
    """An action placed at sample `at` of the item."""

    call_id: str
    name: str
    at: int


@dataclass
class HeardLedger:
    """Ledger of one item at `rate` Hz. `sent` and `lead` are samples; words come in order of time."""

    rate: int
    words: list[LedgerWord] = field(default_factory=list)
    actions: list[LedgerAction] = field(default_factory=list)
    sent: int = 0
    reported: int | None = None
    truncated: int | None = None
    finished: bool = False

    def add(self, words: Sequence[LedgerWord], actions: Sequence[LedgerAction] = ()) -> None:
        """More of the item's timeline; raises ValueError when a word ends before the one in front of it."""
        for word in words:
            if self.words and word.until < self.words[-1].until:
                raise ValueError(f"word {word.text!r} ends at {word.until}, before {self.words[-1].text!r}")
            self.words.append(word)
        self.actions.extend(actions)

    def report(self, played: int) -> None:
        """`npc.playback`: reports that come late or claim more than was sent are held to the truth."""
        self.reported = max(self.reported or 0, min(played, self.sent))

    def truncate(self, audio_end_ms: int) -> int:
        """`conversation.item.truncate`; the samples it means. Raises ValueError beyond the audio that was sent."""
        played = samples_in(audio_end_ms, self.rate)
        # OpenAI's API refuses this too, and clients round up: one piece of grace.
        if played > self.sent + self.rate // 25:
            sent_ms = self.sent * 1000 // self.rate
            raise ValueError(f"audio_end_ms {audio_end_ms} is beyond the {sent_ms} ms that were sent")
        self.truncated = min(played, self.sent)
        return self.truncated

    def played(self, lead: int) -> int:
        """Samples of the item that were played, by the best source there is."""
        if self.reported is not None:
            return self.reported
        if self.truncated is not None:
            return self.truncated
        return self.sent if self.finished else max(0, self.sent - lead)

    def heard_words(self, played: int) -> int:
        """How many leading words were heard."""
        count = 0
        for word in self.words:
            if word.until > played:
                break
            count += 1
        return count

    def heard_text(self, played: int) -> str:
        return " ".join(word.text for word in self.words[: self.heard_words(played)])

    def split_actions(self, played: int) -> tuple[tuple[LedgerAction, ...], tuple[LedgerAction, ...]]:
        """(begun, not begun): an action begins when its sample has been played."""
        begun = tuple(action for action in self.actions if action.at < played or action.at == played == self.sent)
        return begun, tuple(action for action in self.actions if action not in begun)
