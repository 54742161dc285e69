"""The acts of a simulation second by second, class by class: the file beside ``simulation.json``.

It is a numpy archive (``.npz``), since the same numbers as JSON would be ten times as large. For
act number *n* it holds ``n/classes`` ``[column, class, second]``, ``n/services``
``[column, service, second]`` and ``n/everybody`` ``[column, second]``; ``about`` is JSON that names
acts, columns, classes and services. The file has no date: the same acts give the same content.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capplan.errors import UsageError
from capplan.results.simulation import SecondsFile, act_label

Floats = NDArray[np.floating]

FORMAT = "capplan.seconds/1"
NAME = "seconds.npz"
EVERYONE = "all"
"""The name of the last class, which is the sum of the others."""


@dataclass(frozen=True)
class ActSeconds:
    """What happened in an act in each second ``t_s``, counted from the start of the sale.

    ``of_class[column][second, class]`` has counts of the second, how many were in each layer at its
    end, and quantiles of latency (nan where there are none); the last class is all. Likewise
    ``of_service[column][second, service]`` for the services behind the servers, and
    ``of_everybody[column][second]`` for servers and visits. ``breakers_open`` are those of the
    servers for that service, half open ones among them.
    """

    act: str
    protections: tuple[str, ...]
    t_s: tuple[int, ...]
    classes: tuple[str, ...]
    services: tuple[str, ...]
    of_class: Mapping[str, Floats]
    of_service: Mapping[str, Floats]
    of_everybody: Mapping[str, Floats]

    @property
    def label(self) -> str:
        """The name of the act, and whether there were protections."""
        return act_label(self.act, self.protections)


def pack(acts: Sequence[ActSeconds]) -> tuple[bytes, SecondsFile]:
    """Return the content of the file, and what the result says about it."""
    arrays: dict[str, NDArray[Any]] = {}
    for number, one in enumerate(acts):
        for name, columns in (
            ("classes", one.of_class), ("services", one.of_service), ("everybody", one.of_everybody)
        ):  # fmt: skip
            arrays[f"{number}/{name}"] = _stacked(columns)
    about = np.array(json.dumps({"format": FORMAT, "acts": [_about(one) for one in acts]}))
    file = io.BytesIO()
    np.savez_compressed(file, about=about, **arrays)  # type: ignore[arg-type]
    return file.getvalue(), SecondsFile(file=NAME, sha256=_digest(about, arrays))


def unpack(path: Path, expected: SecondsFile) -> tuple[ActSeconds, ...]:
    """Return the acts in a file.

    Raises ``UsageError`` where it cannot be read, or is not the one that the result speaks of.
    """
    renew = "make it anew with: capplan simulate"
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = arrays.pop("about")
        told = json.loads(str(about))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist", renew) from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} cannot be read: {error}", renew) from None
    if _digest(about, arrays) != expected.sha256:
        raise UsageError(f"{path} belongs to another simulation", renew)
    return tuple(_unstacked(arrays, number, one) for number, one in enumerate(told["acts"]))


def _stacked(columns: Mapping[str, Floats]) -> NDArray[np.float32]:
    # a second after the other, which packs best
    return np.array([values.T for values in columns.values()], np.float32)


def _about(one: ActSeconds) -> dict[str, Any]:
    return {
        "act": one.act,
        "protections": one.protections,
        "from_s": one.t_s[0],
        "seconds": len(one.t_s),
        "classes": one.classes,
        "services": one.services,
        "columns": {
            "classes": list(one.of_class),
            "services": list(one.of_service),
            "everybody": list(one.of_everybody),
        },
    }


def _unstacked(
    arrays: Mapping[str, NDArray[Any]], number: int, about: Mapping[str, Any]
) -> ActSeconds:
    classes, services, everybody = (
        {column: values.T for column, values in zip(names, arrays[f"{number}/{part}"], strict=True)}
        for part, names in about["columns"].items()
    )
    first, seconds = about["from_s"], about["seconds"]
    return ActSeconds(
        act=about["act"],
        protections=tuple(about["protections"]),
        t_s=tuple(range(first, first + seconds)),
        classes=tuple(about["classes"]),
        services=tuple(about["services"]),
        of_class=classes,
        of_service=services,
        of_everybody=everybody,
    )


def _digest(about: NDArray[Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Hash what is in the file, and not the file: packing differs from machine to machine."""
    found = hashlib.sha256(str(about).encode())
    for name, values in arrays.items():
        found.update(name.encode() + values.tobytes())
    return found.hexdigest()
