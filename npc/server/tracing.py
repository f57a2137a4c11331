"""OpenTelemetry hooks: a span per session, a child per response. Without an SDK installed they cost next to nothing."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode

from npc.protocol import NpcMetrics, ResponseCreated, ResponseDone

_tracer = trace.get_tracer("npc.server")


class SessionTrace:
    """Follows what a session sends: `response.created` opens a span, `npc.metrics` fills it, `.done` ends it."""

    def __init__(self, session_id: str, character: str) -> None:
        self._session = _tracer.start_span(
            "npc.session", attributes={"npc.session": session_id, "npc.character": character}
        )
        self._context = trace.set_span_in_context(self._session)
        self._responses: dict[str, Span] = {}

    def follow(self, event: object) -> None:
        """An event on its way to the client."""
        if isinstance(event, ResponseCreated):
            response = event.response
            self._responses[response.id] = _tracer.start_span(
                "npc.response", context=self._context, attributes={"npc.response": response.id}
            )
        elif isinstance(event, NpcMetrics) and event.response_id in self._responses:
            span = self._responses[event.response_id]
            for stage, value in event.stages_ms.items():
                span.set_attribute(f"npc.stage_ms.{stage}", value)
        elif isinstance(event, ResponseDone):
            done = self._responses.pop(event.response.id, None)
            if done is not None:
                done.set_attribute("npc.status", event.response.status)
                if event.response.status == "failed":
                    done.set_status(Status(StatusCode.ERROR))
                done.end()

    def end(self, reason: str) -> None:
        """The session is over."""
        for span in self._responses.values():
            span.end()
        self._responses.clear()
        self._session.set_attribute("npc.end", reason)
        self._session.end()
