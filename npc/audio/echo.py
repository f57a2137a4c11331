"""Our own voice in the player's microphone: found, taken out, and told apart from the player talking over it.

    sent ─▶ reference on the input clock ──delay──▶ EchoFilter ─▶ residual ─▶ cleaned
                     │                                  ▲   │
                     └─▶ DelaySearch (0-500 ms) ────────┘   └─▶ residual/microphone over 128 ms ─▶ own_voice, player

Where `sent` says the sound will play is only roughly true (network, buffers, loudspeaker), so the delay is searched by
generalised cross-correlation with phase transform (Knapp and Carter 1976) over the last 256 ms, again for every reply.
When it is found, the filter is trained on the last second at once instead of from the next frame on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npc.audio.clock import LISTEN_RATE
from npc.audio.echo_filter import BLOCK, BLOCKS, EchoFilter
from npc.audio.pcm import Pcm16, to_int16

FRAME = BLOCK
#: Echoes are looked for up to this long after the time given to `sent`, and a little before it.
LONGEST_DELAY = LISTEN_RATE // 2
EARLIEST = -LISTEN_RATE // 20
#: Pieces given to `sent` whose time differs this little from the end of the last piece belong right after it.
_JITTER = LISTEN_RATE * 150 // 1000
#: Microphone sound kept for training the filter once the delay is known, about a second.
_HISTORY = 33 * FRAME
#: The direct sound is placed this far into the filter, which leaves room for an early estimate.
_MARGIN = 96
_WINDOW = 4_096
_SEARCH = 16_384
#: A correlation peak this many standard deviations over the rest is an echo; noise alone reaches 4.7 in 8,800 lags.
_FOUND = 8.0
_NOISE = 4.7
#: Reference and microphone below this level (-60 dB FS) hold nothing worth judging.
_QUIET = 1e-6
_MEMORY = 4
#: Silence of ours after which the histories are let go.
_REST = 4 * LISTEN_RATE
#: Sound of ours further ahead of the microphone than this was not told early: the client sent no sound while we spoke.
_AHEAD = 2 * LISTEN_RATE
#: Frames after the delay was found at which the filter is trained again, and runs over the last second each time.
_REHEARSALS = (4, 8, 16, 32)
_EPOCHS = 2
#: Frames after which the filter takes out 15 dB and more (`docs/hearing.md`).
_SETTLED = 20


@dataclass(frozen=True, slots=True)
class EchoFrame:
    """`own_voice` is the probability that what is heard is our own voice and nothing else, `player` that a player
    speaks (perhaps over our voice); both are 0 in silence. `cleaned` is the frame without our voice, `delay` the
    samples from the promised to the real time of the echo (None while unknown). `ours` is our own voice as it was sent,
    in [-1, 1], where it sounds in this frame (at its promised time while the delay is unknown); None while we are
    silent and no echo can come any more."""

    own_voice: float
    player: float
    cleaned: Pcm16
    delay: int | None
    ours: NDArray[np.float64] | None = None


class DelaySearch:
    """Finds at which delay the reference comes back, from ever more frames."""

    def __init__(self) -> None:
        self._score = np.zeros(LONGEST_DELAY - EARLIEST)
        self.restart()

    def restart(self) -> None:
        self._score[:] = 0.0
        self._best = 0
        self.suspicion = 0.0
        """Probability that there is an echo, before its delay is sure: from the height of the best peak so far."""

    def step(self, reference: NDArray[np.float64], microphone: NDArray[np.float64]) -> int | None:
        """`reference` ends `EARLIEST` later than `microphone`'s end would at delay 0 and is `_SEARCH` samples long;
        `microphone` is `_WINDOW` samples. The delay in samples once it is sure, else None."""
        a = np.fft.rfft(reference)
        b = np.fft.rfft(np.concatenate([np.zeros(_SEARCH - _WINDOW), microphone * np.hanning(_WINDOW)]))
        cross = np.conj(a) * b
        # Full whitening would trust the empty bins of a small loudspeaker as much as the full ones.
        cross /= (np.abs(cross) + 1e-9) ** 0.8 + 1e-12
        hertz = np.fft.rfftfreq(_SEARCH, 1 / LISTEN_RATE)
        cross[(hertz < 150) | (hertz > 6_500)] = 0.0
        correlation = np.fft.irfft(cross)[: self._score.size]
        spread = float(correlation.std()) + 1e-12
        self._score = 0.7 * self._score + correlation / spread
        best = int(np.argmax(np.abs(self._score)))
        height = abs(float(self._score[best])) / (float(self._score.std()) + 1e-12)
        self.suspicion = min(1.0, max(0.0, (height - _NOISE) / (_FOUND - _NOISE)))
        steady, self._best = abs(best - self._best) <= 2, best
        return best + EARLIEST if height > _FOUND and steady else None


class EchoGuard:
    """One session's echo. `sent` and `heard` belong to one thread; a frame costs about half a millisecond while we
    speak and next to nothing while we do not."""

    def __init__(self) -> None:
        # An idle session must cost next to nothing: what is large exists only once something was sent.
        self._reference: Pcm16 = np.zeros(0, np.int16)
        self._reference_from = 0
        self._reference_until = 0
        self._microphone: Pcm16 = np.zeros(0, np.int16)
        self._now = 0
        self._search: DelaySearch | None = None
        self._filter: EchoFilter | None = None
        self._delay: int | None = None
        self._seeking = True
        self._looked = 0
        self._known = 0
        self._powers: list[tuple[float, float]] = []
        self._floor = 1e-7

    def sent(self, pcm: Pcm16, at: int) -> None:
        """Our sound at 16 kHz that will play at about input sample `at`; pieces in the order in which they play.

        The input clock stands still while a client sends nothing (muted, push to talk): what we said meanwhile comes
        all at once when it sends again. No echo of it can come back but of its end, which sounds now.
        """
        if not pcm.size:
            return
        if max(at, self._reference_until) + pcm.size - at > _AHEAD:
            self._reference, self._reference_until, pcm = np.zeros(0, np.int16), 0, pcm[-FRAME:]
            self._search = None
        follows = abs(at - self._reference_until) <= _JITTER
        start = self._reference_until if follows and self._reference.size else max(at, self._reference_until)
        gap = start - self._reference_until
        if not self._reference.size or gap > _SEARCH + LONGEST_DELAY:
            self._reference, self._reference_from, gap = np.zeros(0, np.int16), start, 0
        if not follows or self._search is None:
            # A new reply has its own error of timing; the room is still the same.
            self._search = DelaySearch()
            self._seeking = True
        self._reference = np.concatenate([self._reference, np.zeros(gap, np.int16), pcm])
        self._reference_until = start + pcm.size
        oldest = self._now - _HISTORY - LONGEST_DELAY - _SEARCH
        if oldest > self._reference_from:
            drop = min(oldest - self._reference_from, self._reference.size)
            self._reference = self._reference[drop:]
            self._reference_from += drop

    def heard(self, frame: Pcm16) -> EchoFrame:
        """Judge the next `FRAME` samples of the microphone. Raises ValueError for another length."""
        if frame.size != FRAME:
            raise ValueError(f"frames must hold {FRAME} samples, got {frame.size}")
        sound = frame / 32768.0
        self._now += FRAME
        if self._search is None:
            self._learn_floor(sound)
            return EchoFrame(0.0, 0.0, frame, self._delay)
        self._microphone = np.concatenate([self._microphone, frame])[-_HISTORY:]
        if not self._reference_active():
            self._powers.clear()
            self._learn_floor(sound)
            if self._now - self._reference_until > _REST:
                self._rest()
            return EchoFrame(0.0, 0.0, frame, self._delay)
        if self._seeking or self._now - self._looked >= 16 * FRAME:
            self._seek(self._search)
        if self._delay is None or self._filter is None:
            return EchoFrame(self._search.suspicion, 0.0, frame, None, self._read(self._now - FRAME, self._now))
        self._known += 1
        if self._known in _REHEARSALS:
            self._train(self._filter)
        residual = self._filter.step(self._block(self._now - FRAME - self._delay), sound)
        begin = self._now - FRAME - self._delay
        return self._judge(sound, residual, self._read(begin, begin + FRAME))

    # -- reference -----------------------------------------------------------------------------------------------------

    def _reference_active(self) -> bool:
        """Whether anything we sent may still sound in this frame, the room's tail included."""
        tail = LONGEST_DELAY + BLOCKS * BLOCK
        begin, end = self._now - FRAME - tail, self._now - EARLIEST
        if end <= self._reference_from or begin >= self._reference_until:
            return False
        return float(np.mean(self._read(begin, end) ** 2)) > _QUIET / 100

    def _rest(self) -> None:
        """Nothing of ours has sounded for a while: keep only what is known of the room."""
        self._reference = np.zeros(0, np.int16)
        self._microphone = np.zeros(0, np.int16)
        self._search = None

    def _read(self, begin: int, end: int) -> NDArray[np.float64]:
        """Reference samples `[begin, end)` of the input clock, zeros where nothing was sent."""
        out = np.zeros(end - begin)
        low, high = max(begin, self._reference_from), min(end, self._reference_until)
        if low < high:
            known = self._reference[low - self._reference_from : high - self._reference_from]
            out[low - begin : high - begin] = known / 32768.0
        return out

    def _block(self, begin: int) -> NDArray[np.float64]:
        return self._read(begin + _MARGIN, begin + _MARGIN + FRAME)

    # -- delay ---------------------------------------------------------------------------------------------------------

    def _seek(self, search: DelaySearch) -> None:
        self._looked = self._now
        window = self._microphone[-_WINDOW:] / 32768.0
        if window.size < _WINDOW or float(np.mean(window**2)) < _QUIET:
            return
        # Correlation index k means that the microphone follows the reference by EARLIEST + k.
        end = self._now - EARLIEST
        found = search.step(self._read(end - _SEARCH, end), window)
        if found is None:
            return
        moved = self._delay is None or abs(found - self._delay) > 8
        self._seeking = False
        if moved:
            self._delay, self._known = found, 0
            self._filter = self._filter or EchoFilter()
            self._train(self._filter)

    def _train(self, filter_: EchoFilter) -> None:
        """Run the filter over the last second again: it knows the room sooner than by hearing every frame once."""
        assert self._delay is not None
        frames = self._microphone.size // FRAME
        for _ in range(_EPOCHS):
            for back in range(frames + BLOCKS, frames, -1):
                filter_.push(self._block(self._now - back * FRAME - self._delay))
            for back in range(frames, 1, -1):
                begin = self._now - back * FRAME
                mic = self._microphone[self._microphone.size - back * FRAME :][:FRAME] / 32768.0
                filter_.step(self._block(begin - self._delay), mic)

    # -- verdict -------------------------------------------------------------------------------------------------------

    def _learn_floor(self, sound: NDArray[np.float64]) -> None:
        power = float(np.mean(sound**2)) + 1e-10
        self._floor = min(power, self._floor * 1.02) if power > self._floor else 0.7 * self._floor + 0.3 * power

    def _judge(self, sound: NDArray[np.float64], residual: NDArray[np.float64], ours: NDArray[np.float64]) -> EchoFrame:
        heard, left = float(np.mean(sound**2)), float(np.mean(residual**2))
        self._powers = [*self._powers[1 - _MEMORY :], (heard, left)]
        heard_db = 10 * np.log10(sum(h for h, _ in self._powers) / len(self._powers) + 1e-10)
        left_db = 10 * np.log10(sum(r for _, r in self._powers) / len(self._powers) + 1e-10)
        over_floor = left_db - 10 * np.log10(self._floor + 1e-10)
        loud = heard_db > -58.0
        # Talk over the echo lifts the residual to a few dB below the microphone; a mere echo leaves it far below.
        taken_out = heard_db - left_db
        # In its first half second the filter takes out little, and a mere echo would look like talk over it.
        needed = 2.0 + 3.0 * min(1.0, self._known / _SETTLED)
        player = float(1 / (1 + np.exp((taken_out - needed) / 1.0))) if loud and over_floor > 6.0 else 0.0
        own = 1.0 - player if loud else 0.0
        # What is left of a mere echo is made as quiet as the room, so that no detector after us takes it for speech.
        keep = player + (1 - player) * min(1.0, np.sqrt(self._floor / (left + 1e-10)))
        return EchoFrame(own, player, to_int16(residual * keep), self._delay, ours)
