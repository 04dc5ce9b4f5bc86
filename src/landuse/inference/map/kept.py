"""Finished blocks on disk, beside the folder that the map will be: a killed run goes on from them."""

import io
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np

from landuse.core.files import atomic, write_text
from landuse.inference.map.answers import Block


@dataclass(frozen=True)
class Kept:
    """Blocks of one digest in a folder, which is there from the first one on."""

    folder: Path
    digest: str

    @classmethod
    def beside(cls, out: Path, digest: str) -> Self:
        """Open the folder of the map ``out``; blocks of another scene, model or options are dropped."""
        kept = cls(out.with_name(f".{out.name}.blocks"), digest)
        if kept.folder.exists() and not (kept._mark.is_file() and kept._mark.read_text(encoding="utf-8") == digest):
            kept.drop()
        return kept

    @property
    def _mark(self) -> Path:
        return self.folder / "digest"

    def drop(self) -> None:
        shutil.rmtree(self.folder)

    def has(self, first: tuple[int, int]) -> bool:
        return self._path(first).is_file()

    def write(self, first: tuple[int, int], block: Block) -> None:
        content = io.BytesIO()  # NumPy would write its parts one by one: a full disk shows more plainly this way
        np.savez(content, **asdict(block))
        if not self._mark.is_file():
            write_text(self._mark, self.digest)
        with atomic(self._path(first)) as part:
            part.write_bytes(content.getbuffer())

    def read(self, first: tuple[int, int]) -> Block:
        with np.load(self._path(first), allow_pickle=False) as found:
            return Block(**found)

    def _path(self, first: tuple[int, int]) -> Path:
        return self.folder / f"{first[0]}-{first[1]}.npz"
