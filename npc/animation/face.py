"""The animator: phones with times, stress and affect in; viseme cues, body cues and the ARKit-52 track out.

    push(clause 1) ─▶ frames final up to its end - 200 ms   (co-articulation may still change the rest)
    push(clause 2) ─▶ the held-back frames, and on to its end - 200 ms
    finish(end)    ─▶ the remaining frames, and 250 ms that decay to an exact rest

Pushing clause by clause gives the same frames as one push with everything, bit for bit, as long as affect and
loudness are the same; an affect change takes hold at the first frame that is not final yet.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from npc.animation.articulation import Manner
from npc.animation.body import BodyDirector, Flash, Stress, brow_track
from npc.animation.channels import ARKIT52
from npc.animation.coarticulation import (
    LOOKAHEAD_S,
    Segment,
    SpeechStyle,
    mouth_track,
    rest_segment,
    segments_of,
)
from npc.animation.expression import Easing, asymmetry, expression
from npc.animation.eyes import BLINK_S, Blink, EyeDirector, GazeShift, eye_track
from npc.animation.interface import Affect, BlendshapeBlock, BodyCue, FaceUpdate, VisemeCue
from npc.animation.mixer import limit_steps, mix, quantise
from npc.animation.prng import unit_at
from npc.phonetics.phones import Phone

#: Decay to rest after the last sample.
TAIL_S: Final = 0.25
#: A voice that delivers little at a time (pushes shorter than `SMALL_PUSH_S`: a phone, which a drawn-out vowel makes
#: 0.25 s long, or a network packet) runs ahead of the sound, and most of the cost of a frame is that of a call: its
#: frames are computed in growing batches, each as long as all before it (a voice twice as fast as real time keeps up),
#: from `FIRST_BATCH_S` to `BATCH_S`, and always up to a pause. Pauses end clauses, so no clause's frames wait for the
#: next one; larger pushes are computed at once.
SMALL_PUSH_S: Final = 0.40
BATCH_S: Final = 1.20
FIRST_BATCH_S: Final = 0.08
#: The mouth leaves rest over the item's first milliseconds.
ONSET_S: Final = 0.10
#: Eyes and flashes are kept this long behind the newest frame (longer than any blink, saccade or flash).
_KEEP_S: Final = 1.0


class FaceAnimator:
    """Makes face streams; see `npc.animation.interface.Animator`. `style` is the speaker's articulation."""

    def __init__(self, style: SpeechStyle | None = None) -> None:
        self._style = style or SpeechStyle()

    def open(self, rate: int, fps: int, seed: int) -> FaceStream:
        """Start an item. Raises ValueError for an fps other than 30 or 60, or a rate outside 8-192 kHz."""
        return FaceStream(rate, fps, seed, self._style)


class FaceStream:
    """One item; see `npc.animation.interface.FaceStream`."""

    def __init__(self, rate: int, fps: int, seed: int, style: SpeechStyle) -> None:
        if fps not in (30, 60):
            raise ValueError(f"fps must be 30 or 60, got {fps}")
        if not 8_000 <= rate <= 192_000:
            raise ValueError(f"rate must lie in 8000-192000 Hz, got {rate}")
        self._rate, self._fps, self._style = rate, fps, style
        self._samples_per_frame = round(rate / fps)
        self._segments = [rest_segment(-1.0, 0.0)]
        self._until = 0
        self._frame = 0
        self._last_pose = np.zeros(len(ARKIT52), np.uint8)
        self._easing = Easing(self._samples_per_frame / rate)
        self._lean = asymmetry(unit_at(seed, 31, 0))
        self._eyes, self._body = EyeDirector(seed), BodyDirector(rate, seed)
        self._blinks: list[Blink] = []
        self._shifts: list[GazeShift] = [GazeShift(-1.0, 0.0, 0.0, "look")]
        self._flashes: list[Flash] = []
        self._phrase_ends: list[float] = []
        self._phrase_start: float | None = None
        self._gesture: str | None = None
        self._affect: Affect | None = None
        self._finished = False

    def push(
        self,
        phones: tuple[Phone, ...],
        until: int,
        affect: Affect,
        loudness_db: float = -20.0,
        gesture: str | None = None,
    ) -> FaceUpdate:
        """Add phones; audio is known up to `until`. `gesture` is struck on the next stressed vowel.

        Raises ValueError when phones go back in time or past `until`, or after `finish`.
        """
        self._check(phones, until)
        body: list[BodyCue] = []
        if affect != self._affect:
            self._affect = affect
            body = self._body.affect(affect, self._frame * self._samples_per_frame / self._rate)
            self._easing.retarget(expression(affect) * self._lean, self._frame)
        self._gesture = gesture or self._gesture
        fresh: list[Segment] = []
        for phone in phones:
            segments = segments_of(phone, self._rate, loudness_db, self._style)
            fresh.extend(segments)
            body.extend(self._hear(phone, segments))
        self._segments.extend(fresh)
        small = until - self._until < SMALL_PUSH_S * self._rate
        self._until = until
        horizon = until / self._rate - LOOKAHEAD_S
        pause = bool(fresh) and fresh[-1].art.manner is Manner.REST
        told = self._frame * self._samples_per_frame / self._rate
        if small and not pause and horizon - told < min(BATCH_S, max(FIRST_BATCH_S, told)):
            return FaceUpdate(tuple(self._cues(fresh)), tuple(body), None)
        return self._emit(self._cues(fresh), body, horizon, None)

    def finish(self, until: int) -> FaceUpdate:
        """Everything held back, then the decay. The last frame is exact rest."""
        if self._finished:
            raise ValueError("the stream is finished")
        if until < self._until:
            raise ValueError(f"audio was known up to sample {self._until}, it cannot end at {until}")
        end = until / self._rate
        # At a time that no push can have passed, so that it does not depend on how the phones came.
        body = self._direct_eyes(end - LOOKAHEAD_S)
        shift = self._eyes.look_back(max(0.0, end - LOOKAHEAD_S))
        if shift is not None:
            self._shifts.append(shift)
            body.append(self._gaze_cue(shift))
        self._finished = True
        self._segments.append(rest_segment(end, end + 1.0))
        return self._emit([], body, end + TAIL_S, end)

    def _check(self, phones: tuple[Phone, ...], until: int) -> None:
        if self._finished:
            raise ValueError("the stream is finished: open another for the next item")
        if until < self._until:
            raise ValueError(f"audio was known up to sample {self._until}, it cannot now be known up to {until}")
        last = self._until
        for phone in phones:
            if phone.span.start < last or phone.span.end > until:
                raise ValueError(
                    f"phone {phone.ipa!r} spans samples [{phone.span.start}, {phone.span.end}), outside "
                    f"[{last}, {until}): phones come in order and lie within the audio that is known"
                )
            last = phone.span.end

    def _hear(self, phone: Phone, segments: tuple[Segment, ...]) -> list[BodyCue]:
        """Follow phrases and stress, for the directors of eyes and body."""
        if segments[0].art.manner is Manner.REST:
            start, end = segments[0].start, segments[-1].end
            if self._phrase_start is not None and end - start >= 0.06:
                self._phrase_start = None
                self._phrase_ends.append(start + 0.04)
            return self._body.pause(start, end)
        if self._phrase_start is None:
            self._phrase_start = segments[0].start
        if phone.stress != 1 or segments[0].art.manner is not Manner.VOWEL:
            return []
        vowel = Stress(
            segments[0].start, segments[-1].end, segments[0].start - self._phrase_start, max(s.weight for s in segments)
        )
        cues, flashes = self._body.stress(vowel, self._gesture)
        self._gesture = None
        self._flashes.extend(flashes)
        return cues

    def _cues(self, segments: list[Segment]) -> list[VisemeCue]:
        """Viseme cues of new segments; neighbours with the same viseme merge.

        A closure's cue is the closure, not the phone.
        """
        cues: list[VisemeCue] = []
        for seg in segments:
            start, end = seg.start, seg.end
            if seg.art.manner is Manner.BILABIAL:
                length, (first, last) = seg.end - seg.start, seg.art.hold
                start, end = seg.start + first * length, seg.start + last * length
            at, until = round(start * self._rate), round(end * self._rate)
            weight = (
                1.0 if seg.art.manner in (Manner.BILABIAL, Manner.LABIODENTAL, Manner.REST) else round(seg.weight, 3)
            )
            if cues and cues[-1].viseme == seg.art.viseme and cues[-1].until == at:
                cues[-1] = VisemeCue(seg.art.viseme, cues[-1].at, until, max(weight, cues[-1].weight))
            else:
                cues.append(VisemeCue(seg.art.viseme, at, until, weight))
        return cues

    def _gaze_cue(self, shift: GazeShift) -> BodyCue:
        at = max(0, round(shift.start * self._rate))
        if shift.kind == "look":
            return BodyCue("gaze", "look", at, at + round(0.2 * self._rate), target="player")
        name = ("up" if shift.pitch > 0.08 else "down" if shift.pitch < -0.04 else "side") + (
            "_left" if shift.yaw > 0 else "_right"
        )
        return BodyCue("gaze", f"avert_{name}", at, at + round(0.2 * self._rate), weight=round(abs(shift.yaw), 3))

    def _emit(self, visemes: list[VisemeCue], body: list[BodyCue], horizon: float, end: float | None) -> FaceUpdate:
        """Frames at times below `horizon`; with `end`, the expression fades after it and the last frame is rest."""
        first = self._frame
        last = max(first, int(np.ceil(horizon * self._rate / self._samples_per_frame)))
        body.extend(self._direct_eyes(horizon if end is None else end))
        body.sort(key=lambda cue: (cue.at, cue.kind, cue.name))
        if last == first:
            return FaceUpdate(tuple(visemes), tuple(body), None)
        frames = self._render(first, last, end)
        self._frame = last
        self._forget(last * self._samples_per_frame / self._rate)
        block = BlendshapeBlock(first * self._samples_per_frame, self._samples_per_frame, frames)
        return FaceUpdate(tuple(visemes), tuple(body), block)

    def _direct_eyes(self, horizon: float) -> list[BodyCue]:
        """Decide what the eyes do before `horizon`, and tell it."""
        cues: list[BodyCue] = []
        if horizon <= 0.0:
            return cues
        due = [e for e in self._phrase_ends if e < horizon]
        self._phrase_ends = self._phrase_ends[len(due) :]
        for event in self._eyes.advance(horizon, due):
            if isinstance(event, Blink):
                self._blinks.append(event)
                at = round(event.start * self._rate)
                cues.append(BodyCue("blink", "blink", at, at + round(BLINK_S * self._rate)))
            else:
                self._shifts.append(event)
                if event.kind != "saccade":
                    cues.append(self._gaze_cue(event))
        return cues

    def _render(self, first: int, last: int, end: float | None) -> NDArray[np.uint8]:
        t = np.arange(first, last, dtype=np.float64) * (self._samples_per_frame / self._rate)
        presence = np.ones(len(t))
        if end is not None:
            left = np.clip((end + TAIL_S - 0.02 - t) / TAIL_S, 0.0, 1.0)
            presence = left * left * (3.0 - 2.0 * left)
        mouth = mouth_track(self._segments, t)
        # The face was at rest before the item: a first phone at sample 0 must not jump in.
        mouth.weights[:] *= np.minimum(1.0, (t + self._samples_per_frame / self._rate) / ONSET_S)[:, None]
        face = mix(
            mouth,
            self._easing.poses(first, last),
            eye_track(self._blinks, self._shifts, t),
            brow_track(self._flashes, t),
            presence,
        )
        if end is not None:
            face *= np.where(t <= end, 1.0, presence)[:, None]
            face[-1] = 0.0
        frames = limit_steps(quantise(face), self._last_pose, self._fps)
        self._last_pose = frames[-1].copy()
        return frames

    def _forget(self, now: float) -> None:
        """Drop what can no longer touch a frame; bounded memory however long the item."""
        old = now - _KEEP_S
        self._segments = [s for s in self._segments if s.end >= old]
        self._blinks = [b for b in self._blinks if b.start >= old]
        self._flashes = [f for f in self._flashes if f.peak >= old]
        behind = [i for i, s in enumerate(self._shifts) if s.start < old]
        if len(behind) > 1:
            # The newest old shift still says where the eyes are.
            self._shifts = self._shifts[behind[-1] :]
