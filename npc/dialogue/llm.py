"""The `llm` Responder: any LanguageModel, held to this character's facts, emotions and allowed actions.

    context ─> gate ─> evidence ─> prompt ─> model ──tokens──> TagParser ──text──> ClauseSplitter ─> Clause
                                                        └─ emotion, citations, actions (checked) ─┘

With a model that can think ahead (`Anticipating`) the way to the prompt is gone for each growing partial transcript
too: the model prefills and drafts, and the answer to a turn of the same words goes on from there.
How that is done: npc/inference/listening.py.

An engine that takes grammars is held to the form of a reply token by token (`llm_grammar.py`). With any engine, an
action the model writes is done only when it satisfies the schema, the scene, the permission and the preconditions; a
citation only when the fact was in its prompt. Anything else is dropped without a trace in speech.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from npc.animation.interface import Affect
from npc.dialogue.actions import ArgumentError, validate
from npc.dialogue.actions_permission import allowed_actions
from npc.dialogue.character import Character
from npc.dialogue.clauses import ClauseSplitter
from npc.dialogue.context import Context
from npc.dialogue.emotion import VAD
from npc.dialogue.interface import Action, Citation, Clause
from npc.dialogue.knowledge.knowledge import Knowledge
from npc.dialogue.llm_evidence import gather
from npc.dialogue.llm_grammar import reply_grammar
from npc.dialogue.llm_tags import Act, Cite, Mood, TagParser, Text
from npc.dialogue.memory.store import PlayerMemory
from npc.dialogue.prompt import EVERYTHING, REPLY_TOKENS, Allowed, Evidence, build_prompt
from npc.inference.interface import Anticipating, LanguageModel, Message, ModelError, Sampling, Token

#: Actions a single reply may carry: a model that writes more is rambling.
MAX_ACTIONS = 3
#: Sampling for speech: a little variety, low enough to stay with the facts.
SPEECH = Sampling(max_tokens=REPLY_TOKENS, temperature=0.6, top_p=0.9, stop=("\nPlayer:", "\nUser:", "\n===", "\n\n"))


#: Steering direction -> what of a feeling leans on it.
_LEANS = {"valence": "valence", "arousal": "arousal", "assertiveness": "dominance"}
#: Strength of a feeling at its height: half of full strength, which costs hardly any language (docs/inference.md).
_MOST_LEAN = 0.5


def leaning(affect: Affect, known: Collection[str]) -> tuple[tuple[str, float], ...]:
    """The steering of a reply by the character's feelings, for the directions an engine knows. In tenths, so that a
    draft and its reply agree."""
    wanted = ((name, round(_MOST_LEAN * float(getattr(affect, axis)), 1)) for name, axis in _LEANS.items())
    return tuple((name, strength) for name, strength in wanted if strength and name in known)


class LlmResponder:
    """Answers with a language model. `route` tells the inspector which one."""

    name = "llm"

    def __init__(
        self,
        character: Character,
        knowledge: Knowledge,
        memory: PlayerMemory | None,
        model: LanguageModel,
        *,
        new_id: Callable[[], str],
        clock: Callable[[], float],
        sampling: Sampling = SPEECH,
        allowed: Allowed = EVERYTHING,
    ) -> None:
        self._character, self._knowledge, self._memory = character, knowledge, memory
        self._model, self._sampling, self._allowed = model, sampling, allowed
        self._new_id, self._clock = new_id, clock
        self.route = f"llm:{model.name}"
        self._session = uuid.uuid4().hex

    async def respond(self, context: Context) -> AsyncIterator[Clause]:
        """Clauses as the model writes them. Raises ModelError, also in the middle."""
        prompt, evidence = await asyncio.to_thread(self._prompt, context)
        assembler = Assembler(self._character, context, evidence, self._new_id)
        said = False
        tokens = self._tokens(prompt, self._held_to(context, evidence), context.turn.tentative)
        try:
            async for token in tokens:
                for clause in assembler.feed(token.text):
                    said = True
                    yield clause
        except ModelError:
            # What came whole is spoken; whoever goes on must know every word that was.
            for clause in assembler.cut():
                yield clause
            raise
        finally:
            # Closed with this generator, not when it is collected: a draft is given up when its reader is gone.
            close = getattr(tokens, "aclose", None)
            if close is not None:
                await close()
        for clause in assembler.finish():
            said = True
            yield clause
        if not said:
            raise ModelError(f"{self._model.name} answered without a single word to speak")

    async def anticipate(self, context: Context) -> None:
        """The player is still speaking and this is the turn so far: let the model begin."""
        if isinstance(self._model, Anticipating):
            prompt, evidence = await asyncio.to_thread(self._prompt, context)
            self._model.anticipate(prompt, self._held_to(context, evidence), self._session)

    def decided(self) -> None:
        """The turn is over, and what `respond` gave to the tentative turn is the answer."""
        if isinstance(self._model, Anticipating):
            self._model.decided(self._session)

    def speculation(self) -> Mapping[str, float]:
        """The ledger of the last turn for `npc.metrics`, once: milliseconds of computing that the player did not wait
        for, and tokens (prompt and reply) used and thrown away."""
        found = self._model.speculation(self._session) if isinstance(self._model, Anticipating) else None
        if found is None:
            return {}
        return {
            "llm_won_ms": round(1000 * found.won_s, 1),
            "llm_tokens_kept": float(found.rows_kept),
            "llm_tokens_wasted": float(found.rows_wasted),
            "llm_tokens_drafted": float(found.tokens_drafted),
        }

    async def close(self) -> None:
        """The session is over; the model is shared and lives on."""
        if isinstance(self._model, Anticipating):
            self._model.forget(self._session)

    def _prompt(self, context: Context) -> tuple[tuple[Message, ...], Evidence]:
        evidence = gather(self._knowledge, self._memory, context, self._clock())
        return build_prompt(self._character, context, evidence, self._model.context_tokens, self._allowed), evidence

    def _held_to(self, context: Context, evidence: Evidence) -> Sampling:
        """How to sample this reply: with the character's own adapter where the engine has one, leaning with the
        character's feelings where it knows directions, held to its grammar where it can."""
        who = self._character.id
        sampling = replace(
            self._sampling,
            adapter=who if who in getattr(self._model, "adapters", ()) else self._sampling.adapter,
            steering=leaning(context.affect, getattr(self._model, "directions", ())),
        )
        if not getattr(self._model, "takes_grammar", False):
            return sampling
        facts = [name for name, _, _ in evidence.facts]
        return replace(sampling, grammar=reply_grammar(self._character, context, facts))

    def _tokens(self, prompt: tuple[Message, ...], sampling: Sampling, tentative: bool) -> AsyncIterator[Token]:
        if isinstance(self._model, Anticipating):
            return self._model.reply(prompt, sampling, self._session, tentative=tentative)
        return self._model.stream(prompt, sampling)


@dataclass
class Assembler:
    """From token texts to clauses with their marks. Not async, no model: everything about marks is tested here."""

    character: Character
    context: Context
    evidence: Evidence
    new_id: Callable[[], str]
    _parser: TagParser = field(default_factory=TagParser)
    _splitter: ClauseSplitter = field(default_factory=ClauseSplitter)
    _affect: Affect = Affect()
    _cites: list[tuple[int, str]] = field(default_factory=list)
    _acts: list[tuple[int, Action]] = field(default_factory=list)
    _acted: int = 0
    _fed: int = 0
    _given: int = 0
    _last: str = " "
    _space: str = ""
    """White space held back until the next word: a source mark may still come for the words before it."""
    _opening: str | None = ""

    def feed(self, text: str) -> list[Clause]:
        found: list[Clause] = []
        for piece in self._parser.feed(text):
            if isinstance(piece, Text):
                found += self._speak(piece.text)
            elif isinstance(piece, Mood):
                self._affect = self._felt(piece.emotion)
            else:
                # The mark stands behind the words held back so far.
                found += self._opened() if self._opening else []
                if isinstance(piece, Cite):
                    self._cites.append((self._fed, piece.fact_id))
                else:
                    self._act(piece)
        return found

    def cut(self) -> list[Clause]:
        """The stream broke: the words that surely came whole. A last word with nothing behind it may be half a word."""
        whole = self._opened()
        rest = self._splitter.finish()
        if rest and not self._space and rest[-1][-1:].isalnum():
            rest[-1] = rest[-1].rpartition(" ")[0]
        self._acts.clear()
        return [*whole, *(self._clause(text) for text in rest if text)]

    def finish(self) -> list[Clause]:
        found: list[Clause] = []
        for piece in self._parser.finish():
            if isinstance(piece, Text):
                found += self._speak(piece.text)
        found += self._opened()
        found += [self._clause(clause) for clause in self._splitter.finish()]
        if self._acts and found:
            rest = tuple(action for _, action in self._acts)
            last = found[-1]
            at = len(last.text.split())
            actions = (*last.actions, *(Action(a.call_id, a.name, a.arguments, at) for a in rest))
            found[-1] = Clause(last.text, last.affect, last.citations, actions, last.gesture)
            self._acts.clear()
        return found

    def _speak(self, text: str) -> list[Clause]:
        # "Ada:" at the beginning is the script's margin, not speech; hold back until it is clear.
        if self._opening is not None:
            self._opening += text
            limit = len(self.character.name) + 2
            stripped = self._opening.lstrip()
            return [] if len(stripped) < limit and "\n" not in stripped else self._opened()
        return self._split(text)

    def _opened(self) -> list[Clause]:
        """What was held back while it could be the margin; after that nothing is."""
        held, self._opening = self._opening, None
        return self._split(_without_speaker(held.lstrip(), self.character.name)) if held else []

    def _split(self, text: str) -> list[Clause]:
        for letter in text:
            if letter.isspace() != self._last.isspace() and not letter.isspace():
                self._fed += 1
            self._last = letter
        text = self._space + text
        kept = text.rstrip()
        self._space = text[len(kept) :]
        return [self._clause(clause) for clause in self._splitter.feed(kept)]

    def _clause(self, text: str) -> Clause:
        start, end = self._given, self._given + len(text.split())
        # "six silver <cite:rope>." leaves a space where the mark was.
        text = re.sub(r"\s+(?=[,;:!?]|\.(?!\w))", "", text)
        words = len(text.split())
        self._given = end
        sources = {name: source for name, _, source in self.evidence.facts}
        citations = tuple(
            Citation(name, sources[name], 0, max(1, min(at - start, words)))
            for at, name in self._cites
            if start < at <= end and name in sources
        )
        self._cites = [(at, name) for at, name in self._cites if at > end]
        actions = tuple(
            Action(action.call_id, action.name, action.arguments, min(max(0, at - start), words))
            for at, action in self._acts
            if at < end
        )
        self._acts = [(at, action) for at, action in self._acts if at >= end]
        return Clause(text, self._affect, citations, actions)

    def _act(self, piece: Act) -> None:
        if self._acted >= MAX_ACTIONS or self.context.act != "open":
            return
        spec = next((s for s in allowed_actions(self.character, self.context) if s.name == piece.name), None)
        if spec is None or spec.confirm:
            return
        ids = frozenset(entity.id for entity in self.context.scene.entities) if self.context.scene else frozenset()
        try:
            arguments = validate(spec, piece.arguments, ids)
        except ArgumentError:
            return
        self._acted += 1
        self._acts.append((self._fed, Action(self.new_id(), spec.name, arguments)))

    def _felt(self, emotion: str) -> Affect:
        """The model's choice of label, at the strength and mood that the character's own state has."""
        state = self.context.affect
        strength = max(0.3, state.intensity)
        valence, arousal, dominance = (
            max(-1.0, min(1.0, 0.5 * mood + 0.5 * value * strength * 2))
            for mood, value in zip((state.valence, state.arousal, state.dominance), VAD[emotion], strict=True)
        )
        return Affect(emotion, round(strength, 4), round(valence, 4), round(arousal, 4), round(dominance, 4))


def _without_speaker(text: str, name: str) -> str:
    first = re.escape(name.split()[0])
    return re.sub(rf"^\s*(?:{re.escape(name)}|{first})\s*:\s*", "", text, flags=re.IGNORECASE)
