"""The turn core in virtual time: tables of what happened and what must follow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npc.conversation import turn as core
from npc.conversation.overlap import Overlap, Verdict, Wording, judge, wording
from npc.conversation.turn import Turn, step, wake
from npc.conversation.turn_events import (
    CancelReply,
    Committed,
    Draft,
    DropDraft,
    DropUtterance,
    Effect,
    EndTurn,
    Event,
    Heard,
    Judged,
    NothingSaid,
    OpenUtterance,
    PauseReply,
    ReplyAudible,
    ReplyOver,
    ReplyProgress,
    ResumeReply,
    Rules,
    SpeechStarted,
    SpeechStopped,
    State,
    Tick,
    Typed,
    VoiceStarted,
    VoiceStopped,
    Words,
)

FRAME = 512
RULES = Rules()


def at(ms: float) -> int:
    return round(16 * ms)


class Talk:
    """Feeds a core and keeps what it wanted, with the sample at which it wanted it."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.turn = Turn(rules=rules)
        self.now = 0.0
        self.wanted: list[tuple[int, Effect]] = []

    def do(self, event: Event) -> tuple[Effect, ...]:
        self.turn, effects = step(self.turn, event, self.now)
        self.wanted += [(self.turn.heard, effect) for effect in effects]
        return effects

    def hear(self, until_ms: float, own: float = 0.0) -> None:
        """Frames pass until the session has heard `until_ms`."""
        while self.turn.heard + FRAME <= at(until_ms):
            self.now = (self.turn.heard + FRAME) / 16_000
            self.do(Heard(self.turn.heard + FRAME, own))

    def voice(self, onset_ms: float, own: float = 0.0) -> None:
        self.hear(onset_ms + 64)
        self.do(VoiceStarted(at(onset_ms), max(self.turn.heard, at(onset_ms + 64)), own))

    def silence(self, last_voiced_ms: float) -> None:
        self.hear(last_voiced_ms + 64)
        self.do(VoiceStopped(at(last_voiced_ms), max(self.turn.heard, at(last_voiced_ms))))

    def kinds(self) -> list[str]:
        return [type(effect).__name__ for _, effect in self.wanted if type(effect).__name__ != "Entered"]

    def first(self, kind: type[Effect]) -> tuple[int, Effect]:
        return next((heard, effect) for heard, effect in self.wanted if isinstance(effect, kind))


def speaking(rules: Rules = RULES) -> Talk:
    talk = Talk(rules)
    talk.do(Typed())
    talk.do(ReplyAudible())
    talk.wanted.clear()
    assert talk.turn.state is State.SPEAKING
    return talk


def test_a_spoken_turn_ends_after_the_judged_silence_and_is_drafted_before() -> None:
    talk = Talk()
    talk.voice(1000)
    talk.silence(2000)
    talk.do(Judged(at(240), 0.9))
    talk.hear(3000)
    assert talk.kinds() == ["OpenUtterance", "SpeechStarted", "Draft", "SpeechStopped", "EndTurn"]
    heard, ended = talk.first(EndTurn)
    assert ended == EndTurn(at(1000), at(2000), respond=True)
    assert at(2240) <= heard < at(2240) + FRAME
    assert talk.turn.state is State.THINKING


def test_a_pause_inside_a_turn_drops_the_draft_and_the_turn_goes_on() -> None:
    talk = Talk()
    talk.voice(1000)
    talk.silence(1800)
    talk.do(Judged(at(600), 0.4))
    talk.voice(2200)
    talk.silence(3000)
    talk.do(Judged(at(200), 0.95))
    talk.hear(3500)
    assert talk.kinds() == [
        "OpenUtterance", "SpeechStarted", "Draft", "DropDraft", "Draft", "SpeechStopped", "EndTurn",
    ]  # fmt: skip
    assert talk.first(EndTurn)[1] == EndTurn(at(1000), at(3000), respond=True)


def test_an_unlikely_end_is_drafted_only_shortly_before_it() -> None:
    talk = Talk()
    talk.voice(0)
    talk.silence(1000)
    talk.do(Judged(at(1200), 0.05))
    assert "Draft" not in talk.kinds()
    talk.hear(1800)
    assert "Draft" not in talk.kinds()
    talk.hear(1900)
    assert talk.kinds()[-1] == "Draft", "although nothing new was judged in the meantime"


def test_the_player_resumes_before_the_reply_sounds() -> None:
    talk = Talk()
    talk.voice(0)
    talk.silence(900)
    talk.do(Judged(at(150), 0.9))
    talk.hear(1100)
    talk.voice(1200)
    assert talk.turn.state is State.USER_SPEAKING
    assert [e for _, e in talk.wanted if isinstance(e, CancelReply)] == [CancelReply("resumed")]


def test_a_pause_that_nobody_judges_still_ends_the_turn() -> None:
    """A turn that began in the very frame in which the last one ended was never judged and never over."""
    talk = Talk()
    talk.voice(0)
    talk.silence(1000)
    talk.hear(4000)
    heard, ended = talk.first(EndTurn)
    assert ended == EndTurn(0, at(1000), respond=True)
    assert at(3000) <= heard <= at(3064)


def test_a_real_interruption_pauses_at_once_and_is_decided_within_500_ms() -> None:
    talk = speaking()
    talk.voice(2000)
    assert talk.first(PauseReply)[0] - at(2000) <= at(150)
    assert not any(isinstance(e, SpeechStarted) for _, e in talk.wanted), "undecided: stock clients must not hear of it"
    talk.hear(3000)
    heard, cancel = talk.first(CancelReply)
    assert cancel == CancelReply("interrupted")
    assert heard - at(2000) <= at(500)
    assert talk.first(SpeechStarted)[1] == SpeechStarted(at(2000)), "with the true onset"
    assert talk.turn.state is State.USER_SPEAKING


def test_a_command_interrupts_even_when_it_is_short() -> None:
    talk = speaking()
    talk.voice(2000)
    talk.hear(2200)
    talk.do(Words("stop"))
    assert talk.first(CancelReply)[0] - at(2000) <= at(250)


@pytest.mark.parametrize(
    ("length_ms", "text"),
    [(120, ""), (200, "the"), (250, "mhm"), (400, "uh huh"), (450, "yeah"), (700, "oh yeah right"), (330, "")],
    ids=["click", "cough", "mhm", "uh huh", "yeah", "long backchannel", "long cough"],
)
def test_a_false_alarm_resumes_within_600_ms_and_cancels_nothing(length_ms: float, text: str) -> None:
    talk = speaking()
    talk.voice(2000)
    talk.hear(2000 + length_ms / 2)
    talk.do(Words(text))
    talk.silence(2000 + length_ms)
    talk.hear(4000)
    assert not any(isinstance(e, CancelReply) for _, e in talk.wanted)
    assert talk.first(ResumeReply)[0] - talk.first(PauseReply)[0] <= at(600)
    assert any(isinstance(e, DropUtterance) for _, e in talk.wanted)
    assert talk.turn.state is State.SPEAKING
    assert talk.turn.utterance is None


def test_a_voice_that_comes_back_after_a_gap_is_judged_together_with_what_it_said_before() -> None:
    talk = speaking()
    talk.voice(2000)
    talk.silence(2260)
    talk.hear(2470)
    assert talk.kinds()[-1] == "DropUtterance", "what was heard so far is no interruption"
    talk.voice(2500)
    talk.hear(2800)
    heard, cancel = talk.first(CancelReply)
    assert cancel == CancelReply("interrupted")
    assert heard - at(2500) <= at(200), "nobody has to talk for half a second again"
    assert talk.first(SpeechStarted)[1] == SpeechStarted(at(2000)), "with its first word"


@pytest.mark.parametrize(("first_ms", "gap_ms"), [(100, 200), (260, 600)], ids=["a click before", "long before"])
def test_a_voice_on_its_own_is_judged_on_its_own(first_ms: float, gap_ms: float) -> None:
    talk = speaking()
    talk.voice(2000)
    talk.silence(2000 + first_ms)
    again = 2000 + first_ms + gap_ms
    talk.hear(again - 20)
    talk.voice(again)
    talk.hear(again + 300)
    assert not any(isinstance(e, CancelReply) for _, e in talk.wanted)


def test_a_voice_that_is_sinking_is_given_one_frame_more() -> None:
    strong = Overlap(0, at(448), at(448), at(448), True, peak=-20.0, recent=-24.0)
    assert judge(strong) is Verdict.INTERRUPT
    sinking = replace(strong, recent=-32.0)
    assert judge(sinking) is Verdict.WAIT
    assert judge(replace(sinking, heard=at(480), voice_end=at(480))) is Verdict.FALSE_ALARM
    assert judge(replace(sinking, heard=at(480), voice_end=at(480), recent=-24.0)) is Verdict.INTERRUPT


def test_own_voice_never_pauses_and_a_player_over_it_does() -> None:
    talk = speaking()
    talk.voice(1000, own=0.9)
    talk.hear(3000, own=0.9)
    assert talk.wanted == []
    talk.hear(3600, own=0.1)
    assert talk.kinds()[:2] == ["PauseReply", "OpenUtterance"]
    assert any(isinstance(e, CancelReply) for _, e in talk.wanted)


def test_an_echo_recognised_late_resumes() -> None:
    talk = speaking()
    talk.voice(1000, own=0.4)
    talk.hear(1400, own=0.9)
    assert talk.kinds() == ["PauseReply", "OpenUtterance", "ResumeReply", "DropUtterance"]


def test_a_backchannel_that_turns_into_a_question_interrupts() -> None:
    talk = speaking()
    talk.voice(1000)
    talk.hear(1300)
    talk.do(Words("yeah"))
    talk.hear(1600)
    assert talk.kinds()[-1] == "ResumeReply"
    talk.do(Words("yeah but why"))
    assert talk.turn.state is State.USER_SPEAKING
    assert talk.first(SpeechStarted)[1] == SpeechStarted(at(1000))


def test_without_permission_to_interrupt_the_reply_goes_on_and_the_turn_counts_afterwards() -> None:
    talk = speaking(Rules(interruptible=False))
    talk.voice(1000)
    talk.hear(2000)
    assert talk.wanted == []
    talk.do(ReplyOver())
    talk.hear(2100)
    assert talk.first(OpenUtterance)[1] == OpenUtterance(at(1000))
    assert talk.turn.state is State.USER_SPEAKING


def test_min_words_of_the_client_are_respected() -> None:
    talk = speaking(Rules(min_words=3))
    talk.voice(1000)
    talk.hear(1900)
    talk.do(Words("one two"))
    assert not any(isinstance(e, CancelReply) for _, e in talk.wanted)
    talk.do(Words("one two three"))
    assert any(isinstance(e, CancelReply) for _, e in talk.wanted)


def test_push_to_talk_ends_only_with_the_commit() -> None:
    talk = Talk(Rules(hands_free=False))
    talk.voice(0)
    talk.silence(1000)
    talk.do(Judged(at(150), 0.9))
    talk.hear(9000)
    assert talk.wanted == []
    talk.do(Committed(at(9000)))
    assert talk.first(EndTurn)[1] == EndTurn(0, at(9000), respond=False)


def test_the_reply_may_end_in_the_middle_of_an_overlap() -> None:
    talk = speaking()
    talk.voice(1000)
    talk.do(ReplyOver())
    assert talk.turn.state is State.USER_SPEAKING
    assert talk.kinds()[-1] == "SpeechStarted"


def test_the_temperament_that_finishes_its_clause_says_so() -> None:
    talk = speaking(Rules(temperament="finish"))
    talk.voice(1000)
    talk.hear(2000)
    assert talk.first(CancelReply)[1] == CancelReply("interrupted", finish_clause=True)


def test_typing_while_the_character_speaks_cancels_and_thinks() -> None:
    talk = speaking()
    talk.do(Typed())
    assert talk.kinds() == ["CancelReply"]
    assert talk.turn.state is State.THINKING


EVENTS = st.one_of(
    st.builds(VoiceStarted, st.integers(0, 10**5), st.integers(0, 10**5), st.floats(0, 1)),
    st.builds(VoiceStopped, st.integers(0, 10**5), st.integers(0, 10**5)),
    st.builds(Heard, st.integers(0, 10**5), st.floats(0, 1)),
    st.builds(Judged, st.integers(2400, 19200), st.floats(0, 1)),
    st.builds(Words, st.sampled_from(["", "yeah", "stop", "the blue one"]), st.floats(0, 1)),
    st.builds(Committed, st.integers(0, 10**5)),
    st.sampled_from([Typed(), NothingSaid(), ReplyAudible(), ReplyProgress(), ReplyOver(), Tick()]),
)


@given(
    st.lists(EVENTS, max_size=60),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["yield", "finish", "protest"]),
)
@settings(max_examples=300, deadline=None)
def test_from_any_history_the_watchdogs_lead_back_to_listening(
    events: list[Event], hands_free: bool, interruptible: bool, temperament: str
) -> None:
    turn = Turn(rules=Rules(hands_free, True, interruptible, 0, temperament))  # type: ignore[arg-type]
    now, paused = 0.0, False
    for event in events:
        now += 0.02
        turn, effects = step(turn, event, now)
        for effect in effects:
            if isinstance(effect, PauseReply):
                assert not paused, "paused twice"
                paused = True
            elif isinstance(effect, ResumeReply):
                assert paused, "resumed without a pause"
                paused = False
            elif isinstance(effect, CancelReply | EndTurn):
                paused = False
        if isinstance(event, ReplyOver):
            paused = False
        assert (turn.state is State.MAYBE_INTERRUPTED) <= (turn.overlap is not None)
    for _ in range(12):
        due = wake(turn)
        if due is None:
            break
        turn, _ = step(turn, Tick(), due)
    resting = turn.state is State.LISTENING
    assert resting or (turn.state is State.USER_SPEAKING and not hands_free)


def test_ticks_before_their_time_change_nothing() -> None:
    talk = speaking()
    talk.voice(1000)
    before = talk.turn
    due = wake(before)
    assert due is not None
    assert step(before, Tick(), due - 0.001) == (before, ())
    after, effects = step(before, Tick(), due)
    assert after.state is State.SPEAKING
    assert isinstance(effects[0], ResumeReply)


def test_the_time_of_pauses_is_counted_in_samples_not_seconds() -> None:
    """A stalled network must not cut the player off: no sound, no end of turn, until the sound is given up as lost."""
    talk = Talk()
    talk.voice(0)
    talk.silence(1000)
    talk.do(Judged(at(400), 0.9))
    turn, effects = step(talk.turn, Tick(), talk.now + 1.0)
    assert (turn, effects) == (talk.turn, ())
    _, effects = step(talk.turn, Tick(), talk.turn.since + core.SOUND_LOST)
    assert any(isinstance(e, EndTurn) for e in effects)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", Wording.NONE), ("...", Wording.NONE), ("Mhm.", Wording.BACKCHANNEL), ("uh huh", Wording.BACKCHANNEL),
        ("yeah okay right", Wording.BACKCHANNEL), ("wait", Wording.COMMAND), ("no that's wrong", Wording.COMMAND),
        ("where is the well", Wording.CONTENT), ("yeah where", Wording.CONTENT),
    ],
)  # fmt: skip
def test_wording(text: str, kind: Wording) -> None:
    assert wording(text) is kind


def test_every_overlap_is_decided_by_500_ms_unless_a_backchannel_or_min_words_holds_it() -> None:
    for voiced_ms in range(0, 501, 20):
        for active in (True, False):
            for text in ("", "yeah", "hello there"):
                overlap = Overlap(0, at(500), at(voiced_ms), at(voiced_ms), active, 0.0, text)
                assert judge(overlap) is not Verdict.WAIT


def test_drop_draft_follows_only_a_draft() -> None:
    talk = Talk()
    talk.voice(0)
    talk.silence(500)
    talk.voice(700)
    assert not any(isinstance(e, DropDraft | Draft) for _, e in talk.wanted)
    assert not any(isinstance(e, SpeechStopped) for _, e in talk.wanted)
    assert replace(talk.turn, heard=0).state is State.USER_SPEAKING


def over(talk: Talk, until_ms: float, player: float, talker: float, own: float = 0.0) -> None:
    """Frames pass in which the network hears a player with these probabilities."""
    while talk.turn.heard + FRAME <= at(until_ms):
        talk.now = (talk.turn.heard + FRAME) / 16_000
        talk.do(Heard(talk.turn.heard + FRAME, own, player=player, talker=talker))


def opened(talk: Talk, onset_ms: float, player: float) -> None:
    talk.hear(onset_ms + 64)
    talk.do(VoiceStarted(at(onset_ms), max(talk.turn.heard, at(onset_ms + 64)), 0.0, player))


def test_a_sure_talker_cuts_in_at_once_and_a_likely_one_the_later_the_less_sure_it_is() -> None:
    sure = speaking()
    opened(sure, 2000, 0.9)
    over(sure, 2200, 0.97, 0.95)
    assert sure.first(CancelReply)[0] - at(2000) <= at(190)
    for talker, undecided, decided in ((0.86, 240, 290), (0.78, 310, 350), (0.65, 370, 410), (0.55, 440, 480)):
        likely = speaking()
        opened(likely, 2000, 0.9)
        over(likely, 2000 + undecided, 0.97, talker)
        assert likely.kinds() == ["PauseReply", "OpenUtterance"]
        over(likely, 2000 + decided, 0.97, talker)
        assert likely.first(CancelReply)[0] - at(2000) <= at(decided)


def test_who_is_not_certainly_a_player_must_be_a_sure_talker() -> None:
    """An echo in the first second of a session, of which the network thinks half a player, stopped the character."""
    talk = speaking()
    opened(talk, 2000, 0.9)
    over(talk, 2700, 0.75, 0.7)
    assert CancelReply("interrupted") not in [effect for _, effect in talk.wanted]


def test_whose_backchannel_was_recognised_must_be_a_sure_talker() -> None:
    talk = speaking()
    opened(talk, 2000, 0.9)
    over(talk, 2300, 0.95, 0.8)
    talk.do(Words("of course"))
    over(talk, 2700, 0.95, 0.8)
    assert CancelReply("interrupted") not in [effect for _, effect in talk.wanted]


def test_a_dip_inside_the_words_of_a_talker_is_no_end() -> None:
    """ "I meant | the other one" was resumed for 40 ms in its gap, which is what a player hears as not being heeded."""
    talk = speaking()
    opened(talk, 2000, 0.9)
    over(talk, 2250, 0.97, 0.6)
    talk.do(VoiceStopped(at(2220), talk.turn.heard))
    over(talk, 2350, 0.97, 0.6)
    talk.do(VoiceStarted(at(2340), talk.turn.heard, 0.0, 0.9))
    over(talk, 2500, 0.97, 0.7)
    assert "ResumeReply" not in talk.kinds()
    assert talk.first(CancelReply)[1] == CancelReply("interrupted")


def test_who_still_sounds_is_heard_out_before_the_reply_goes_on() -> None:
    """ "Okay, | stop" was taken for a listener after "okay", resumed, and cut in a second time after 608 ms."""
    talk = speaking()
    opened(talk, 2000, 0.9)
    over(talk, 2450, 0.97, 0.2)
    assert talk.kinds() == ["PauseReply", "OpenUtterance"]
    over(talk, 2480, 0.97, 0.5)
    assert talk.first(CancelReply)[0] - at(2000) <= at(500)
    assert "ResumeReply" not in talk.kinds()


def test_who_fell_silent_after_a_word_is_let_go_when_others_are_decided_on() -> None:
    talk = speaking()
    opened(talk, 2000, 0.9)
    over(talk, 2200, 0.9, 0.1)
    talk.do(VoiceStopped(at(2140), talk.turn.heard))
    over(talk, 2350, 0.9, 0.1)
    assert "ResumeReply" not in talk.kinds()
    over(talk, 2450, 0.9, 0.1)
    assert talk.kinds()[:3] == ["PauseReply", "OpenUtterance", "ResumeReply"]


def test_a_noise_does_not_even_pause_the_reply() -> None:
    talk = speaking()
    opened(talk, 2000, 0.1)
    over(talk, 2600, 0.1, 0.05)
    assert talk.wanted == []


def test_a_listener_lets_the_reply_go_on_and_is_watched_without_pausing_it_again() -> None:
    talk = speaking()
    opened(talk, 2000, 0.9)
    over(talk, 2700, 0.9, 0.1)
    assert talk.kinds() == ["PauseReply", "OpenUtterance", "ResumeReply"]
    over(talk, 2800, 0.9, 0.95)
    assert talk.first(CancelReply)[1] == CancelReply("interrupted"), "right, but"


def test_a_voice_that_keeps_on_cuts_in_whatever_the_network_says() -> None:
    talk = speaking()
    opened(talk, 2000, 0.2)
    over(talk, 3200, 0.2, 0.05)
    assert talk.first(CancelReply)[0] - at(2000) <= at(1_100)
    echo = speaking()
    echo.voice(2000, own=0.9)
    over(echo, 4000, 0.1, 0.05, own=0.9)
    assert echo.wanted == []
