"""The loops over the record batches of a fetch: each batch checked, and its records' places noted in arrays.

Whatever the bytes say, nothing is read or written outside the arrays; what is wrong ends the fetch with a verdict that
says so. Batches of aborted transactions and Kafka's own (control batches) are passed over. Knows no compression: where
records are compressed it stops and asks. Knows nothing of what a value says.
"""

from __future__ import annotations

import numpy as np

from detector.arrays import Int64s, UInt8s
from detector.compiled import compiled, inlined
from detector.records.checksum import crc32c
from detector.records.header import (
    APPEND_TIME,
    ATTRIBUTES_AT,
    CODEC,
    CONTROL,
    COUNT_AT,
    FIRST_TIME_AT,
    FORMAT,
    HEADER_BYTES,
    LAST_DELTA_AT,
    LENGTH_AT,
    LENGTH_END,
    MAGIC_AT,
    NEWEST_TIME_AT,
    OLD_BYTES,
    PRODUCER_AT,
    SUM_AT,
    TRANSACTIONAL,
    number_at,
)
from detector.wide import SPARE_BYTES

(
    STAGE, AT, POSITION, FROM, TO, COMPRESSION, BASE, AFTER, TIME, SETS_TIME, LEFT, CURSOR, USED, LARGE, IN_PLACE, ROWS,
    ABORTS, ACTIVE, STATE_SIZE,
) = range(19)  # fmt: skip
"""What is known between calls. `AT`: the batch in the fetch; `POSITION`: the offset that is asked for next; `FROM`,
`TO`: its records in the fetch; `AFTER`: the offset after it; `CURSOR`: the next of its `LEFT` records in the work
area, of which `USED` bytes are, or in the fetch itself, if that has `LARGE` bytes; `ROWS` records are noted, and lie in
the fetch if `IN_PLACE`; `ABORTS` of the aborted transactions have begun, the producers of `ACTIVE` are in one."""

HEADER, PAYLOAD, RECORDS = range(3)
"""Stages: the batch is to be opened, its records are to be brought to where they are read, they are being read."""

ENDED, ROOM, ROWS_FULL, APART, COMPRESSED, GO_ON, BAD_LENGTH, BAD_SUM, BAD_OFFSET, BAD_RECORD, BAD_MARKER = range(11)
"""Verdicts: nothing whole is left; the work area or the arrays are full; what is noted and what follows do not lie
together; decompress first; and what is wrong."""

BEGIN, START, STOP, OFFSET, MOMENT = range(5)
"""`rows[which, record]`: where the record begins, where its value starts and stops (equal: it has none), its offset,
its time."""

WRONG = -1
"""The end of what does not fit where it is."""
VARINT_BYTES_MAX = 10
_LOW, _MORE, _1, _7 = np.uint64(0x7F), 0x80, np.uint64(1), np.uint64(7)


@inlined
def varint(text: UInt8s, at: int, stop: int) -> tuple[int, int]:
    """The number at `at`, sevens of bits with the low ones first and the sign lowest, and where it ends or WRONG."""
    if at + 1 < stop:  # nearly all are of one byte or two
        first, second = int(np.int64(text[at])), int(np.int64(text[at + 1]))
        if first < _MORE:
            return (first >> 1) ^ -(first & 1), at + 1
        if second < _MORE:
            number = (first & 0x7F) | second << 7
            return (number >> 1) ^ -(number & 1), at + 2
    return _long_varint(text, at, stop)


@compiled
def _long_varint(text: UInt8s, at: int, stop: int) -> tuple[int, int]:
    """The same, of any length."""
    number, shift = np.uint64(0), np.uint64(0)
    for place in range(at, min(stop, at + VARINT_BYTES_MAX)):
        byte = text[place]
        number |= (np.uint64(byte) & _LOW) << shift
        if byte < _MORE:
            return int(np.int64(number >> _1) ^ -np.int64(number & _1)), place + 1
        shift += _7
    return 0, WRONG


@inlined
def _bytes_end(text: UInt8s, at: int, stop: int) -> tuple[int, int]:
    """Where bytes with their length before them start and end; the end is WRONG where they do not fit."""
    size, at = varint(text, at, stop)
    if at == WRONG or size > stop - at:
        return at, WRONG
    return at, at + max(size, 0)  # a length below nothing says that there are none


@compiled
def _headers_end(text: UInt8s, at: int, stop: int) -> int:
    """Where a record's headers end, or WRONG."""
    count, at = varint(text, at, stop)
    if at == WRONG or count < 0:
        return WRONG
    while count > 0 and at != WRONG:
        size, after = varint(text, at, stop)
        if after == WRONG or size < 0 or size > stop - after:
            return WRONG
        _, at = _bytes_end(text, after + size, stop)
        count -= 1
    return at


@compiled
def _is_abort(text: UInt8s, at: int, stop: int) -> int:
    """Whether the first record of a control batch says that a transaction was aborted: 1, 0, or WRONG."""
    size, at = varint(text, at, stop)
    for _ in range(3):  # attributes, time, offset
        if at == WRONG:
            return WRONG
        _, at = varint(text, at, stop)
    if at == WRONG or size <= 0:
        return WRONG
    start, end = _bytes_end(text, at, stop)
    if end == WRONG or end - start < 4:
        return WRONG
    return 1 if number_at(text, start, 4) == 0 else 0


@compiled
def _is_aborted(raw: UInt8s, state: Int64s, aborted: Int64s, active: Int64s, attributes: int) -> int:
    """Whether the batch belongs to an aborted transaction: 1, 0, or WRONG. `aborted[transaction, producer | offset]`,
    by offset; `active` has the producers that are in one. A marker that compaction emptied tells no end, as to Kafka's
    own client: what it ended is gone, too."""
    while state[ABORTS] < len(aborted) and aborted[state[ABORTS], 1] <= state[BASE]:
        active[state[ACTIVE]] = aborted[state[ABORTS], 0]
        state[ACTIVE] += 1
        state[ABORTS] += 1
    producer, found, ends = number_at(raw, state[AT] + PRODUCER_AT, 8), 0, 0
    if attributes & CONTROL and state[LEFT] > 0:
        ends = _is_abort(raw, state[FROM], state[TO])
        if ends == WRONG:
            return WRONG
    kept = 0
    for place in range(state[ACTIVE]):
        if active[place] == producer:
            found = 1
            if ends:
                continue
        active[kept] = active[place]
        kept += 1
    state[ACTIVE] = kept
    return 1 if found and not ends and attributes & TRANSACTIONAL else 0


@compiled
def _open(raw: UInt8s, state: Int64s, aborted: Int64s, active: Int64s) -> int:
    """Check the batch at `AT` and say what it is; GO_ON where it is to be read, or was passed over."""
    at = state[AT]
    if at + LENGTH_END > len(raw):
        return ENDED
    stop, state[BASE] = at + LENGTH_END + number_at(raw, at + LENGTH_AT, 4), number_at(raw, at, 8)
    if stop > len(raw):
        return ENDED
    if at > 0 and stop >= at + OLD_BYTES and raw[at + MAGIC_AT] < FORMAT:
        return ENDED  # the next fetch begins with it
    if stop < at + HEADER_BYTES or raw[at + MAGIC_AT] != FORMAT:
        return BAD_LENGTH
    if np.int64(crc32c(raw, at + ATTRIBUTES_AT, stop)) != number_at(raw, at + SUM_AT, 4) & 0xFFFFFFFF:
        return BAD_SUM
    attributes = number_at(raw, at + ATTRIBUTES_AT, 2)
    state[FROM], state[TO], state[COMPRESSION] = at + HEADER_BYTES, stop, attributes & CODEC
    state[LEFT] = max(number_at(raw, at + COUNT_AT, 4), 0)
    state[AFTER] = state[BASE] + number_at(raw, at + LAST_DELTA_AT, 4) + 1
    if state[BASE] < state[POSITION] and (at > 0 or state[AFTER] <= state[POSITION]):
        state[BASE] = state[POSITION]  # what it says itself, which no checksum covers, helps nobody find it
        return BAD_OFFSET
    state[SETS_TIME] = 1 if attributes & APPEND_TIME else 0
    state[TIME] = number_at(raw, at + (NEWEST_TIME_AT if state[SETS_TIME] else FIRST_TIME_AT), 8)
    passed_over = _is_aborted(raw, state, aborted, active, attributes)
    if passed_over == WRONG:
        return BAD_MARKER
    if passed_over or attributes & CONTROL:
        state[AT], state[POSITION] = stop, state[AFTER]
    else:
        state[STAGE] = PAYLOAD
    return GO_ON


@inlined
def _note(state: Int64s, rows: Int64s, begin: int, start: int, stop: int, time_delta: int, delta: int) -> None:
    """Note a record, unless it lies before the position: the first batch may begin there."""
    offset = state[BASE] + delta
    if offset < state[POSITION]:
        return
    row = state[ROWS]
    rows[BEGIN, row], rows[START, row], rows[STOP, row], rows[OFFSET, row] = begin, start, stop, offset
    rows[MOMENT, row] = state[TIME] if state[SETS_TIME] else state[TIME] + time_delta
    state[ROWS], state[POSITION] = row + 1, offset + 1


@compiled
def _read_records(text: UInt8s, state: Int64s, rows: Int64s) -> int:
    """Note the records that are left of the batch, in the work area or the fetch."""
    at, left, last_delta = state[CURSOR], state[LEFT], state[AFTER] - state[BASE] - 1
    batch_stop = state[TO] if state[IN_PLACE] else state[USED]
    while left > 0:
        if state[ROWS] == rows.shape[1]:
            state[CURSOR], state[LEFT] = at, left
            return ROWS_FULL
        begin = at
        size, at = varint(text, at, batch_stop)
        if at == WRONG or size <= 0 or size > batch_stop - at:
            return BAD_RECORD
        stop = at + size
        time_delta, at = varint(text, at + 1, stop)  # past the attributes, which say nothing
        if at == WRONG:
            return BAD_RECORD
        delta, at = varint(text, at, stop)
        if at == WRONG or delta < 0 or delta > last_delta:
            return BAD_RECORD
        _, at = _bytes_end(text, at, stop)
        if at == WRONG:
            return BAD_RECORD
        value, value_stop = _bytes_end(text, at, stop)
        if value_stop == WRONG:
            return BAD_RECORD
        # Nearly all records have no headers.
        at = value_stop + 1 if value_stop < stop and text[value_stop] == 0 else _headers_end(text, value_stop, stop)
        if at != stop:
            return BAD_RECORD
        _note(state, rows, begin, value, value_stop, time_delta, delta)
        left -= 1
    if at != batch_stop:
        return BAD_RECORD
    state[AT], state[POSITION], state[STAGE] = state[TO], state[AFTER], HEADER
    return GO_ON


@compiled
def _copy(source: UInt8s, target: UInt8s) -> None:
    """Copy bytes; a loop from 0 on, which is what becomes a copy of many at once."""
    for place in range(len(source)):
        target[place] = source[place]


@compiled
def _bring(raw: UInt8s, state: Int64s, work: UInt8s) -> int:
    """Have the batch's records where they are read."""
    can_stay = state[COMPRESSION] == 0 and state[TO] + SPARE_BYTES <= len(raw)
    in_place = 1 if can_stay and len(raw) >= state[LARGE] else 0
    if state[ROWS] and in_place != state[IN_PLACE]:
        return APART
    state[IN_PLACE] = in_place
    if state[COMPRESSION]:
        return COMPRESSED
    state[CURSOR] = state[FROM]
    if not in_place:
        used, size = state[USED], state[TO] - state[FROM]
        if used + size > len(work) - SPARE_BYTES:
            return ROOM
        _copy(raw[state[FROM] : state[TO]], work[used : used + size])
        state[CURSOR], state[USED] = used, used + size
    state[STAGE] = RECORDS
    return GO_ON


@compiled
def unpack(raw: UInt8s, state: Int64s, aborted: Int64s, active: Int64s, work: UInt8s, rows: Int64s) -> int:
    """Go on with a fetch until it is over, something is full, or a decompressor is needed: a verdict."""
    while True:
        if state[STAGE] == HEADER:
            verdict = _open(raw, state, aborted, active)
            if verdict != GO_ON:
                return verdict
        if state[STAGE] == PAYLOAD:
            verdict = _bring(raw, state, work)
            if verdict != GO_ON:
                return verdict
        if state[STAGE] == RECORDS:
            verdict = _read_records(raw, state, rows) if state[IN_PLACE] else _read_records(work, state, rows)
            if verdict != GO_ON:
                return verdict
