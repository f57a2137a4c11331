"""The text chunks of a PNG that carry a character card; nothing of the picture is decoded.

    89 50 4E 47 … | IHDR … | tEXt "chara\\0<base64 JSON>" | IDAT … | IEND

Read: `ccv3` before `chara`, in tEXt, zTXt or iTXt chunks. Written: `chara` always (older programs), and `ccv3` for V3.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Unpacked size a compressed chunk may have: a card larger than this is a decompression bomb.
MAX_TEXT = 30_000_000


class PngError(ValueError):
    """Not a PNG, damaged, or without a card."""


def read_card(png: bytes) -> str:
    """The JSON text of the card. Raises PngError."""
    found: dict[str, str] = {}
    for kind, body in _chunks(png):
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, text = _text(kind, body)
            if keyword in ("chara", "ccv3"):
                found[keyword] = text
    for keyword in ("ccv3", "chara"):
        if keyword in found:
            try:
                return base64.b64decode(found[keyword], validate=False).decode("utf-8")
            except (binascii.Error, UnicodeDecodeError) as error:
                raise PngError(f"the {keyword} chunk holds no base64-coded UTF-8 text") from error
    raise PngError("the picture carries no character card (no text chunk named chara or ccv3)")


def write_card(png: bytes, card_json: str, version: int) -> bytes:
    """The same picture with the card in it; a card it carried before is replaced."""
    coded = base64.b64encode(card_json.encode("utf-8"))
    names = (b"chara", b"ccv3") if version == 3 else (b"chara",)
    out = bytearray(SIGNATURE)
    for kind, body in _chunks(png):
        if kind in (b"tEXt", b"zTXt", b"iTXt") and body.split(b"\0", 1)[0] in (b"chara", b"ccv3"):
            continue
        if kind == b"IEND":
            for name in names:
                out += _chunk(b"tEXt", name + b"\0" + coded)
        out += _chunk(kind, body)
    return bytes(out)


def plain_picture(seed: str, size: int = 256) -> bytes:
    """A plain square whose colour follows from `seed`, for cards without a portrait."""
    red, green, blue = (96 + value // 2 for value in hashlib.sha256(seed.encode()).digest()[:3])
    row = b"\0" + bytes((red % 256, green % 256, blue % 256)) * size
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    pixels = zlib.compress(row * size, 9)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not png.startswith(SIGNATURE):
        raise PngError("not a PNG picture")
    at = len(SIGNATURE)
    while at + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        if len(body) < length or at + 12 + length > len(png):
            break
        (check,) = struct.unpack_from(">I", png, at + 8 + length)
        if zlib.crc32(kind + body) != check:
            raise PngError(f"damaged: the {kind.decode('latin-1')} chunk at byte {at} fails its checksum")
        yield kind, body
        if kind == b"IEND":
            return
        at += 12 + length
    raise PngError(f"damaged: it ends in the middle of a chunk at byte {at}")


def _text(kind: bytes, body: bytes) -> tuple[str, str]:
    name, _, rest = body.partition(b"\0")
    keyword = name.decode("latin-1")
    try:
        if kind == b"zTXt":
            rest = _inflate(rest[1:])
        elif kind == b"iTXt":
            packed = rest[:1] == b"\1"
            rest = rest[2:].split(b"\0", 2)[2]
            rest = _inflate(rest) if packed else rest
    except (zlib.error, IndexError) as error:
        raise PngError(f"damaged: the {keyword} text chunk cannot be read") from error
    return keyword, rest.decode("latin-1")


def _inflate(data: bytes) -> bytes:
    unpack = zlib.decompressobj()
    text = unpack.decompress(data, MAX_TEXT)
    if unpack.unconsumed_tail:
        raise PngError(f"a text chunk unpacks to more than {MAX_TEXT} bytes")
    return text


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
