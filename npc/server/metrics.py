"""All metrics of the server, in one place, with buckets chosen for what is measured.

Counters of the audio path are plain integers that the scrape reads: a locked counter for every 20 ms frame would be a
tenth of the cost of that frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from npc.protocol import NpcMetrics, NpcStatus

#: Stages of a reply: from "no wait" over the goals (250, 500, 800 ms) to what makes people leave.
_STAGE_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.5, 2.0, 4.0)
#: Loop lag: 1 ms is the rule of the house, 20 ms is one audio frame, 200 ms is the lead of the audio.
_LAG_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_TALK_BUCKETS = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


class Metrics(Collector):
    """Counts of one server; `render` is what `/metrics` answers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.sessions_opened = 0
        self.session_crashes = 0
        self.refused_full = 0
        self.refused_auth = 0
        self.resumed_whole = 0
        self.resumed_resync = 0
        self.messages_in = 0
        self.messages_out = 0
        self.audio_bytes_in = 0
        self.bytes_out = 0
        self.errors = 0
        self.too_slow = 0
        self.abuse = 0
        self.live: Callable[[], int] = lambda: 0
        self._components: dict[str, float] = {}
        self._stage = Histogram(
            "npc_reply_stage_seconds",
            "Latency waterfall of replies, from the last voiced input sample, by stage",
            ["stage"],
            buckets=_STAGE_BUCKETS,
            registry=self.registry,
        )
        self.loop_lag = Histogram(
            "npc_event_loop_lag_seconds",
            "How late the event loop ran a timer",
            buckets=_LAG_BUCKETS,
            registry=self.registry,
        )
        self.talk = Histogram(
            "npc_session_seconds", "How long sessions lasted", buckets=_TALK_BUCKETS, registry=self.registry
        )
        self.registry.register(self)

    def resumed(self, complete: bool) -> None:
        if complete:
            self.resumed_whole += 1
        else:
            self.resumed_resync += 1

    def observe(self, event: NpcMetrics | NpcStatus) -> None:
        """Figures that a session reports to its client, kept here too, whether or not the client gets them."""
        if isinstance(event, NpcMetrics):
            for stage, value in event.stages_ms.items():
                self._stage.labels(stage).observe(value / 1000.0)
        else:
            self._components[event.component] = {"ok": 1.0, "degraded": 0.5, "down": 0.0}[event.state]

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("npc_sessions", "Live sessions", value=self.live())
        state = GaugeMetricFamily(
            "npc_component_state", "Last reported state: 1 ok, 0.5 degraded, 0 down", labels=["component"]
        )
        for name, value in self._components.items():
            state.add_metric([name], value)
        yield state
        for name, help_text, count in (
            ("npc_sessions_opened", "Sessions opened", self.sessions_opened),
            ("npc_session_crashes", "Sessions whose task broke", self.session_crashes),
            ("npc_refused_full", "Connections refused because the server was full", self.refused_full),
            ("npc_refused_auth", "Requests refused by Host, Origin, key or ticket", self.refused_auth),
            ("npc_resumes_whole", "Resumes that lost nothing", self.resumed_whole),
            ("npc_resumes_resync", "Resumes past the replay buffer", self.resumed_resync),
            ("npc_messages_in", "WebSocket messages received", self.messages_in),
            ("npc_messages_out", "WebSocket messages sent", self.messages_out),
            ("npc_audio_in_bytes", "PCM received", self.audio_bytes_in),
            ("npc_out_bytes", "Message payload sent", self.bytes_out),
            ("npc_client_errors", "Error events answered to clients", self.errors),
            ("npc_too_slow", "Sockets closed because they did not take their messages", self.too_slow),
            ("npc_abuse", "Sockets closed for flooding", self.abuse),
        ):
            yield CounterMetricFamily(name, help_text, value=count)

    def render(self) -> bytes:
        """Prometheus text format."""
        return generate_latest(self.registry)
