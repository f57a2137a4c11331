"""Sockets, REST, authentication, limits, metrics, drain; sessions are driven through `npc.conversation.port`."""

from npc.server.app import create_app
from npc.server.run import serve
from npc.server.settings import Bounds, ServerSettings

__all__ = ["Bounds", "ServerSettings", "create_app", "serve"]
