"""The async Python client: typed events, resume, jitter buffer, cues on the played-sample clock. Ground floor only."""

from npc.client.character import CharacterClient, ConnectPlan
from npc.client.connection import ConnectionLost, RealtimeClient
from npc.client.core import ClientCore, FaceFrames, Incoming, OutputAudio
from npc.client.cues import CueScheduler, DueCue
from npc.client.jitter import JitterBuffer
from npc.client.pacer import Pacer
from npc.client.playback import Playback

__all__ = [
    "CharacterClient",
    "ClientCore",
    "ConnectPlan",
    "ConnectionLost",
    "CueScheduler",
    "DueCue",
    "FaceFrames",
    "Incoming",
    "JitterBuffer",
    "OutputAudio",
    "Pacer",
    "Playback",
    "RealtimeClient",
]
