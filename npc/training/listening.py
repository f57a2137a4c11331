"""What a session knows in every silent frame of a recording: the voice-activity detector and the recogniser as they run
there, without the session. For the operating curve (`npc bench turns`) and for fitting the detector.

    voice    ▇▇▇▅▇▂____________▇▇▅▂_______
    text     partials ┊ final, a frame after the gate closed ┊ a segment of its own, with 300 ms of the pause before it
"""

from __future__ import annotations

from dataclasses import dataclass

from npc.asr.interface import Hypothesis, RecognizerStream, StreamingRecognizer
from npc.audio import prosody
from npc.audio.pcm import Pcm16
from npc.audio.vad import FRAME, VoiceActivityDetector, VoiceGate
from npc.conversation.endpointing import voice
from npc.conversation.endpointing.interface import Pause
from npc.conversation.utterance import KEPT

#: Nobody waits for these recognisers, and the machine may be busy: no deadline that a busy machine could miss.
PATIENT_S = 300.0
#: Unvoiced frames that close the gate.
CLOSING = 2


@dataclass(frozen=True, slots=True)
class Known:
    """A silent frame that ends at sample `at`, and what the detector is told of it."""

    at: int
    pause: Pause

    @property
    def last(self) -> int:
        """The last voiced sample."""
        return self.at - self.pause.silence


class _Texts:
    """The recogniser's segments: partials while the voice sounds, the final text once it was silent for a while."""

    def __init__(self, recognizer: StreamingRecognizer, carry: object | None) -> None:
        self._recognizer, self.carry = recognizer, carry
        self._stream: RecognizerStream | None = None
        self._done: list[str] = []
        self._latest = Hypothesis("")
        self.changed_at = 0

    @property
    def text(self) -> str:
        return " ".join(text for text in (*self._done, self._latest.text) if text)

    @property
    def confidence(self) -> float:
        return self._latest.confidence

    def hear(self, pcm: Pcm16, at: int) -> None:
        if self._stream is None:
            self._stream = self._recognizer.open(carry=self.carry)
            self._done, self._latest = [self.text], Hypothesis("")
        found = self._stream.accept(pcm)
        if found is not None:
            self._latest, self.changed_at = found, at

    @property
    def open(self) -> bool:
        return self._stream is not None

    def conclude(self, at: int) -> None:
        if self._stream is not None:
            self._latest, self.changed_at = self._stream.finish(), at
            self.close()

    def close(self) -> None:
        if self._stream is not None:
            self.carry = self._stream.carry() or self.carry
            self._stream.close()
            self._stream = None


def listened(
    pcm: Pcm16, vad: VoiceActivityDetector, recognizer: StreamingRecognizer, carry: object | None = None
) -> tuple[list[Known], object | None]:
    """Every silent frame after speech, and what the recogniser carries to the next turn of the session."""
    texts, ears, gate = _Texts(recognizer, carry), vad.open(), VoiceGate()
    first, last, quiet = -1, 0, 0
    melody: prosody.PauseProsody | None = None
    ending: float | None = None
    found = []
    for at in range(0, pcm.size - FRAME + 1, FRAME):
        now = at + FRAME
        (seen,) = ears.push(pcm[at:now])
        voiced = gate.step(seen.probability)
        if voiced:
            first = at if first < 0 else first
            last, quiet, melody = now, 0, None
            texts.hear(pcm[at:now] if texts.open else pcm[max(0, at - KEPT) : now], now)
            continue
        quiet += 1
        if first < 0 or quiet < CLOSING:
            if texts.open:
                texts.hear(pcm[at:now], now)
            continue
        if melody is None:
            melody, ending = prosody.measure(pcm[:last]), voice.shipped().logit(pcm[:now], last)
        pause = Pause(
            silence=now - last,
            speech=last - first,
            text=texts.text,
            text_age=now - texts.changed_at,
            confidence=texts.confidence,
            speech_probability=seen.probability,
            prosody=melody,
            ending=ending,
        )
        found.append(Known(now, pause))
        if texts.open:
            texts.hear(pcm[at:now], now)
            texts.conclude(now)
    texts.close()
    return found, texts.carry
