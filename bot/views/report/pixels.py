"""A small raster picture: filled boxes, text in a plain font of five by seven dots, and PNG.

Why not a library: the picture is boxes and numbers, and an image library is a large piece of native code in the process
that decides about access.

Invariant: pure. What lies outside of the picture isn't drawn, and a character that the font doesn't have is left blank.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

Color = tuple[int, int, int]
_FONT: Final = bytes.fromhex(
    "000000000000005f00000007000700147f147f14242a7f2a12231308646236495620500008070300001c2241000041221c00"
    "2a1c7f1c2a08083e080800807030000808080808000060600020100804023e5149453e00427f400072494949462141494d33"
    "1814127f1027454545393c4a49493141211109073649494936464949291e0000140000004034000000081422411414141414"
    "004122140802015909063e415d594e7c1211127c7f494949363e414141227f4141413e7f494949417f090909013e41415173"
    "7f0808087f00417f41002040413f017f081422417f404040407f021c027f7f0408107f3e4141413e7f090909063e4151215e"
    "7f09192946264949493203017f01033f4040403f1f2040201f3f4038403f631408146303047804036159494d43007f414141"
    "0204081020004141417f04020102044040404040000307080020545478407f284444383844444428384444287f3854545418"
    "00087e090218a4a49c787f0804047800447d40002040403d007f1028440000417f40007c047804787c080404783844444438"
    "fc1824241818242418fc7c08040408485454542404043f44243c4040207c1c2040201c3c4030403c44281028444c9090907c"
    "4464544c44"
)
"""The characters from the space to z, five columns each, the lowest bit on top."""
_FIRST: Final = 32
_ROWS: Final = 8
_COLUMNS: Final = 5
_ADVANCE: Final = 6


class Picture:
    """A picture of one background colour, to be drawn on."""

    def __init__(self, width: int, height: int, background: Color) -> None:
        self.width = width
        self.height = height
        self._rows = [bytearray(bytes(background) * width) for _ in range(height)]

    def fill(self, x: int, y: int, width: int, height: int, color: Color) -> None:
        """A filled box."""
        left, right = max(x, 0), min(x + width, self.width)
        if right <= left:
            return
        part = bytes(color) * (right - left)
        for row in self._rows[max(y, 0) : max(y + height, 0)]:
            row[left * 3 : right * 3] = part

    def write(self, x: int, y: int, text: str, color: Color, size: int = 2) -> None:
        """A line of text; each dot of the font is a box of this size."""
        for position, character in enumerate(text):
            begin = (ord(character) - _FIRST) * _COLUMNS
            glyph = _FONT[begin : begin + _COLUMNS] if begin >= 0 else b""
            for column, dots in enumerate(glyph):
                for row in range(_ROWS):
                    if dots >> row & 1:
                        left = x + (position * _ADVANCE + column) * size
                        self.fill(left, y + row * size, size, size, color)

    def to_png(self) -> bytes:
        """The picture as a PNG file."""
        head = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        lines = b"".join(b"\0" + bytes(row) for row in self._rows)
        chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
        )


def width_of(text: str, size: int = 2) -> int:
    """How wide a line of text is."""
    return max(len(text) * _ADVANCE - 1, 0) * size
