"""Sound from the player while the character speaks: an interruption, or a cough, a "mhm", our own echo? Pure.

    character  ▇▇▇▇▇▇▇▇▇▇▇▇┃ paused ┃▇▇▇▇▇▇▇ …          (false alarm: the same sample goes on)
    player             ▂▇▇▇▁
                       onset │
                       │←── a strong voice is decided on after 448 ms ──→│ a sinking one after 480

`judge` is asked at every frame of the overlap and answers INTERRUPT, FALSE_ALARM or WAIT. Where the network of
`npc.conversation.talkover` listens, its word counts: sure of a talker, it cuts in at once, and the longer the sound has
lasted the less sure it must be. A recognised command or backchannel, and a voice that simply keeps talking, overrule
it. Without:

- own voice: the echo judge's probability that all of the sound is ours; high means false alarm whatever else holds;
- length: backchannels and coughs are short; people who want the floor keep talking (LiveKit's default, read in
  livekit/agents `turn.py`, asks for 500 ms of overlap; we decide in half a second, transport included);
- strength: "true" and "all right" are dying away when somebody who goes on talking is at full voice;
- words: a command ("wait", "stop") cuts in at once, a backchannel alone never does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from npc.audio.clock import LISTEN_RATE

#: Samples at 16 kHz, from the onset of the overlap.
DECIDE_BY = LISTEN_RATE * 448 // 1000
#: A voice whose newest frame lies this far below its loudest is ending, or between two words: it gets one frame more.
#: By levels alone this took the share of synthetic backchannels that count as taking the floor from 40 to 25 %, that of
#: interruptions from 73 to 70 % (120 sounds each, docs/log.md); words decide the rest.
SINKING_DB = 10.0
LATER = LISTEN_RATE * 32 // 1000
#: Voice for so much of that time is somebody taking the floor: what is shorter had a chance to end before.
TAKES_FLOOR = LISTEN_RATE * 336 // 1000
#: Frames this far below the loudest one of the overlap are no voice: the gate stays open for up to 160 ms of nothing.
TAIL_DB = 22.0
#: ... and below this level of full scale nobody talks over us: what is left of our echo lies at -60 dB and less.
FLOOR_DB = -52.0
#: Silence after which a short sound counts as over, and a click is forgotten at once...
OVER = LISTEN_RATE * 96 // 1000
#: ... but what was longer than a click is waited for until here: "No, the left one" has a pause after its first word.
LET_GO = LISTEN_RATE * 416 // 1000
CLICK = LISTEN_RATE * 128 // 1000
#: A voice that comes back so soon after a false alarm of at least so much voice goes on with what it was saying. Coughs
#: come in rows too, but seldom pass for so much voice.
COMES_BACK = LISTEN_RATE * 320 // 1000
HAD_BEGUN = LISTEN_RATE * 192 // 1000
#: ... and is decided on so long after it came back.
DECIDE_AGAIN = LISTEN_RATE * 128 // 1000
#: A spoken command shorter than this is not trusted.
SHORTEST_COMMAND = LISTEN_RATE * 160 // 1000
#: A short utterance that ended must have been voiced this long, and recognised this surely, to count as words.
SHORTEST_WORDS = LISTEN_RATE * 288 // 1000
#: A backchannel may be drawn out ("mhmmm", "yeah right") this long before it counts as taking the floor.
LONGEST_BACKCHANNEL = LISTEN_RATE * 900 // 1000
#: With the network: how sure it must be of a talker, by samples from the onset. Nobody is believed before the echo
#: judge had a moment to object, and the less is asked the more was heard. Of 80 interruptions and 80 backchannels
#: (docs/log.md) this decides 90 % by 363 ms and lets 3 backchannels through, where 0.9 until 416 ms and 0.3 from then
#: on takes 386 and lets 9 through. Who was let go and sounds on must be surer again: the reply and its echo go on too.
#: The onset is dated up to 64 ms after the first loud sample, the frame and the
#: client's own frames add 50 ms.
SURE = 0.92
BELIEVED = tuple(
    (LISTEN_RATE * ms // 1000, probability)
    for ms, probability in ((160, SURE), (256, 0.85), (320, 0.75), (384, 0.6), (448, 0.5), (512, 0.8))
)
#: Less than sure is only believed of what is a player for certain: over a real one the network seldom says less, over
#: an echo that is not learnt yet 0.3 to 0.9.
CERTAINLY = 0.95
#: What is not believed by then is let go...
BELIEVE_BY = LISTEN_RATE * 416 // 1000
#: ... but who still sounds is listened to until here before the reply goes on: "okay" is over after 400 ms, "okay,
#: stop" is not, and cutting in a second time takes longer than waiting.
HEARD_OUT = LISTEN_RATE * 480 // 1000
#: A short sound that is over is let go when the network believes less than this in a talker.
UNLIKELY = 0.2
#: A voice that is not ours and keeps on for so long cuts in where the network believes at least a little in a player:
#: it has only heard synthesisers, and does not know every voice.
KEEPS_TALKING = LISTEN_RATE * 900 // 1000
A_LITTLE = 0.15
#: The network must believe this much in a player's voice for it to pause the reply, the more where the echo judge holds
#: against it.
NOTICED, NOTICED_IN_ECHO = 0.4, 0.8
#: Probability of own voice from which the sound is believed to be only that.
OWN_VOICE = 0.6

_BACKCHANNELS = frozenset(
    (
        "mhm", "mm", "mmm", "hm", "hmm", "huh", "uh", "um", "ah", "oh", "aha", "uhuh", "yeah", "yep", "yes", "yup",
        "okay", "ok", "right", "sure", "really", "wow", "cool", "nice", "great", "good", "true", "exactly", "indeed",
    )
)  # fmt: skip
_BACKCHANNEL_PHRASES = frozenset(
    ("uh huh", "mm hmm", "mm hm", "i see", "oh really", "of course", "got it", "go on", "all right", "that's right")
)
#: A text that begins one of these may yet become it ("all" → "all right", "real" → "really").
_BEGINNINGS = tuple(sorted(_BACKCHANNEL_PHRASES | {"really", "exactly", "indeed", "absolutely"}))
_COMMANDS = frozenset(("stop", "wait", "no", "hold", "hey", "excuse", "sorry", "shut", "enough", "quiet", "listen"))
_WORD = re.compile(r"[\w']+")


class Wording(StrEnum):
    """What kind of words an overlap holds."""

    NONE = "none"
    BACKCHANNEL = "backchannel"
    CONTENT = "content"
    COMMAND = "command"


class Verdict(StrEnum):
    WAIT = "wait"
    INTERRUPT = "interrupt"
    FALSE_ALARM = "false_alarm"


def wording(text: str) -> Wording:
    """Class of an English partial transcript. Unknown languages have no lists, so their words are content.

    >>> wording("uh huh"), wording("wait a moment"), wording("the blue one")
    (<Wording.BACKCHANNEL: 'backchannel'>, <Wording.COMMAND: 'command'>, <Wording.CONTENT: 'content'>)
    """
    words = _WORD.findall(text.lower())
    if not words:
        return Wording.NONE
    if words[0] in _COMMANDS:
        return Wording.COMMAND
    whole = " ".join(words)
    if all(word in _BACKCHANNELS for word in words) or any(phrase.startswith(whole) for phrase in _BEGINNINGS):
        return Wording.BACKCHANNEL
    # Two words of which one is a "yeah": the recogniser has too little sound to get the other right ("hell yeah").
    if len(words) == 2 and words[1] in _BACKCHANNELS:
        return Wording.BACKCHANNEL
    return Wording.CONTENT


@dataclass(frozen=True, slots=True)
class Overlap:
    """An overlap so far, in samples at 16 kHz of the session's input.

    `voiced` counts voiced samples since `onset`, `voice_end` is the last voiced one, `heard` the newest sample known.
    `own_voice` is the mean probability over the voiced frames that the sound is only our own (`own_recent` that of the
    newest frame), `peak` the level of the
    loudest frame in dB and `recent` that of the newest; `echoed` says that the recognised words are those that the
    character is saying. `player` and `talker` are what the network says now, if it listens.
    """

    onset: int
    heard: int
    voiced: int
    voice_end: int
    active: bool
    own_voice: float = 0.0
    text: str = ""
    confidence: float = 1.0
    peak: float = -100.0
    recent: float = -100.0
    echoed: bool = False
    own_recent: float = 0.0
    player: float | None = None
    talker: float | None = None
    decide_by: int = DECIDE_BY
    """Samples after `onset`."""


def continued(dismissed: Overlap, seen: Overlap) -> Overlap:
    """A new overlap together with the one let go just before, where it is the same voice going on; else itself."""
    gap = seen.onset - dismissed.voice_end
    ours = dismissed.own_voice >= OWN_VOICE or dismissed.echoed
    if ours or gap > COMES_BACK or dismissed.voiced < HAD_BEGUN:
        return seen
    onset, voiced = dismissed.onset, dismissed.voiced + seen.voiced
    return replace(seen, onset=onset, voiced=voiced, decide_by=seen.onset - onset + DECIDE_AGAIN)


def judge(overlap: Overlap, min_words: int = 0) -> Verdict:
    """Decide an overlap. `min_words` > 0 (a client's wish) lets only that many recognised words interrupt."""
    if overlap.talker is not None and min_words == 0:
        return _by_network(overlap, overlap.talker)
    if overlap.own_voice >= OWN_VOICE or overlap.echoed:
        return Verdict.FALSE_ALARM
    words = wording(overlap.text)
    count = len(_WORD.findall(overlap.text)) if words in (Wording.CONTENT, Wording.COMMAND) else 0
    elapsed = overlap.heard - overlap.onset
    fading = overlap.heard - overlap.voice_end
    over = fading >= OVER and (elapsed >= LET_GO or overlap.voiced <= CLICK)
    speaking = overlap.active and fading < OVER // 2
    if min_words > 0:
        if count >= min_words:
            return Verdict.INTERRUPT
        return Verdict.FALSE_ALARM if over else Verdict.WAIT
    if words is Wording.COMMAND and overlap.voiced >= SHORTEST_COMMAND:
        return Verdict.INTERRUPT
    if over:
        said_something = count > 0 and overlap.voiced >= SHORTEST_WORDS and overlap.confidence >= 0.5
        return Verdict.INTERRUPT if said_something else Verdict.FALSE_ALARM
    if words is Wording.BACKCHANNEL:
        if speaking and overlap.voiced >= LONGEST_BACKCHANNEL:
            return Verdict.INTERRUPT
        return Verdict.FALSE_ALARM if elapsed >= overlap.decide_by else Verdict.WAIT
    if elapsed < overlap.decide_by:
        return Verdict.WAIT
    if speaking and overlap.voiced >= TAKES_FLOOR and overlap.recent >= overlap.peak - SINKING_DB:
        return Verdict.INTERRUPT
    return Verdict.FALSE_ALARM if elapsed >= overlap.decide_by + LATER or not speaking else Verdict.WAIT


def noticed(own_voice: float, player: float | None) -> bool:
    """Whether a voice over the character is to be paused for."""
    if player is None:
        return own_voice < OWN_VOICE
    return player >= (NOTICED if own_voice < OWN_VOICE else NOTICED_IN_ECHO)


def keeps_talking(voiced: int, own_voice: float, player: float | None) -> bool:
    """Whether a voice goes on for so long that it is believed even against the network."""
    return voiced >= KEEPS_TALKING and own_voice < OWN_VOICE and (player is None or player >= A_LITTLE)


def _believed(elapsed: int) -> float:
    """How sure of a talker the network must be so many samples after the onset; more than 1 at first."""
    return next((probability for since, probability in reversed(BELIEVED) if elapsed >= since), 2.0)


def _by_network(overlap: Overlap, talker: float) -> Verdict:
    if overlap.echoed:
        return Verdict.FALSE_ALARM
    words = wording(overlap.text)
    if words is Wording.COMMAND and overlap.voiced >= SHORTEST_COMMAND and talker >= UNLIKELY:
        return Verdict.INTERRUPT
    elapsed = overlap.heard - overlap.onset
    player = talker if overlap.player is None else overlap.player
    # A recognised backchannel asks for the surest talker.
    believed = max(_believed(elapsed), SURE) if words is Wording.BACKCHANNEL else _believed(elapsed)
    # The first echo of a session looks like a player until its delay is known; a player goes on when it has died away.
    objected = overlap.own_recent >= OWN_VOICE
    keeps_on = overlap.active and keeps_talking(overlap.voiced, overlap.own_voice, overlap.player)
    if (talker >= believed and (player >= CERTAINLY or talker >= SURE) and not objected) or keeps_on:
        return Verdict.INTERRUPT
    fading = overlap.heard - overlap.voice_end
    if elapsed >= BELIEVE_BY:
        sounds = overlap.active and fading < OVER // 2 and elapsed < HEARD_OUT
        return Verdict.WAIT if sounds else Verdict.FALSE_ALARM
    # What was a voice gets its time even when it falls silent: "no, | the left one".
    over = fading >= OVER and talker < UNLIKELY and (player < A_LITTLE or overlap.voiced <= CLICK)
    return Verdict.FALSE_ALARM if over else Verdict.WAIT
