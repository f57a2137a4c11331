"""Durable storage of the conversation: the session log. Ground floor: it knows no characters and no sockets."""

from npc.store.log import LogError, LogStore, Record, SessionLog, parse_retention, read_lines

__all__ = ["LogError", "LogStore", "Record", "SessionLog", "parse_retention", "read_lines"]
