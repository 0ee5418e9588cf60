"""What the fields of every contract are made of: times, names, counts, rates, amounts.

Does not know which contract has which field.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from detector.contracts.moments import EPOCH_MS_MAX, epoch_ms

AMOUNT_MAX: Final = 2**53 - 1
"""The largest whole number that every JSON reader keeps."""

EVENT_BYTES_MAX: Final = 1 << 22
"""Of an event as it is sent: a few kilobytes can inflate to one that takes a JSON reader a minute."""

TEXT_CHARACTERS_MAX: Final = 128

Word: TypeAlias = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=TEXT_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$"),
]
"""1-128 characters without control characters."""

Time: TypeAlias = Annotated[
    int,
    BeforeValidator(epoch_ms),
    WithJsonSchema(
        {
            "oneOf": [
                {"type": "integer", "minimum": 0, "maximum": EPOCH_MS_MAX},
                {"type": "string", "format": "date-time"},
            ]
        }
    ),
]
"""Integer epoch ms, or RFC 3339 text with a zone; integer ms inside."""

Ms: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=EPOCH_MS_MAX)]
"""Integer epoch ms, which is how Pastille writes times."""

Count: TypeAlias = Annotated[int, Field(strict=True, ge=0)]
Rate: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Amount: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=AMOUNT_MAX)]
Currency: TypeAlias = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Z]{3}$")]

PackedFloats: TypeAlias = Annotated[
    str, StringConstraints(strict=True, max_length=4_096, pattern=r"^[A-Za-z0-9+/]*={0,2}$")
]
"""64-bit floats, little-endian, deflated, in base64; how many there are follows from their name."""
