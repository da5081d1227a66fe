"""XMP in a GIF: an application extension, as Adobe's specification (part 3) has it."""

__all__ = ["MAGIC", "find_xmp", "insert_xmp"]

START = b"\x21\xff\x0bXMP DataXMP"
MAGIC = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
"""Behind the packet: leads a reader that takes its bytes for lengths of blocks to the end."""

MOST = 1 << 20
"""Bytes of a packet."""


def insert_xmp(content: bytes, packet: bytes) -> bytes:
    """A GIF with a packet behind its global table of colours.

    Args:
        content: A whole GIF89a.
        packet: UTF-8, without a zero.
    """
    flags = content[10]
    at = 13 + (3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0)
    return content[:at] + START + packet + MAGIC + content[at:]


def find_xmp(content: bytes) -> bytes | None:
    """The first packet in a GIF, None where there is none of a usual length."""
    start = content.find(START)
    if start < 0:
        return None
    start += len(START)
    end = content.find(MAGIC[:3], start, start + MOST)
    return None if end < 0 else content[start:end]
