"""What a loss of power may leave on a disk, made from a record of what a server wrote (Tests/Faults/faults.c).

A write is certain to be on the disk when its file was synced after it. Until then the disk may hold all of it, none of it, or some of
its sectors, whatever became of writes before and after it; the same goes for truncations. Names are not modelled: files are made and
removed before the first answer, and the server syncs the folder then.
"""

import os
import pathlib
import struct

ENTRY = struct.Struct("<IIQQ")
SECTOR = 512
WRITE, TRUNCATE, SYNC = ord("w"), ord("t"), ord("s")
# Of unsynced writes, how many survive; and of those that do not, how many leave some sectors.
KEPT = [0.0, 0.1, 0.5, 0.9, 1.0]
TORN = 0.3


class Disk:
    """The record up to some point: for each file what is certain, and what came after its last sync."""

    def __init__(self, record, trusts_syncs=True):
        self.trusts_syncs = trusts_syncs
        self.record = pathlib.Path(record).read_bytes()
        self.position = 0
        self.certain = {}
        self.unsynced = {}

    def advance(self, position):
        """Takes the entries that end at or before `position`."""
        while self.position < len(self.record):
            kind, path_length, offset, length = ENTRY.unpack_from(self.record, self.position)
            start = self.position + ENTRY.size
            data_length = length if kind == WRITE else 0
            end = start + path_length + data_length
            if end > position:
                break
            name = os.path.basename(self.record[start:start + path_length].decode())
            self._take(name, kind, offset, (start + path_length, end))
            self.position = end

    def _take(self, name, kind, offset, data):
        pending = self.unsynced.setdefault(name, [])
        if kind != SYNC:
            pending.append((kind, offset, data))
            return
        if not self.trusts_syncs:
            return
        image = self.certain.setdefault(name, bytearray())
        for entry in pending:
            self._apply(image, *entry)
        pending.clear()

    def _apply(self, image, kind, offset, data, sectors=None):
        if kind == TRUNCATE:
            if len(image) > offset:
                del image[offset:]
            else:
                image.extend(bytes(offset - len(image)))
            return
        content = self.record[data[0]:data[1]]
        pieces = [(0, len(content))] if sectors is None else [(one, min(one + SECTOR, len(content))) for one in sectors]
        for first, last in pieces:
            if len(image) < offset + last:
                image.extend(bytes(offset + last - len(image)))
            image[offset + first:offset + last] = content[first:last]

    def state(self, folder, chance):
        """Writes one state that power may have left to a folder."""
        kept = chance.choice(KEPT)
        for name in self.certain.keys() | self.unsynced.keys():
            # SQLite's journal of the first transaction is gone before the first answer.
            if name.endswith(("-shm", "-journal", ".lock")):
                continue
            image = bytearray(self.certain.get(name, b""))
            for kind, offset, data in self.unsynced.get(name, []):
                if chance.random() < kept:
                    self._apply(image, kind, offset, data)
                elif kind == WRITE and chance.random() < TORN:
                    count = (data[1] - data[0] + SECTOR - 1) // SECTOR
                    sectors = [SECTOR * number for number in range(count) if chance.random() < 0.5]
                    self._apply(image, kind, offset, data, sectors)
            (pathlib.Path(folder) / name).write_bytes(image)
