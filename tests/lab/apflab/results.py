# SPDX-License-Identifier: GPL-2.0
"""Result files below build/: lists of rows that several lanes of tests, or benchmarks, write to at once."""

import json
import os

from . import paths, proc


def path_of(name, folder="check"):
    return paths.REPO / "build" / folder / f"{name}.json"


def read(name, folder="check"):
    """The rows of build/@folder/@name.json; none if there is no such file."""
    path = path_of(name, folder)
    return json.loads(path.read_text()) if path.exists() else []


def merge(name, row, key, folder="check"):
    """Put @row into the list of build/@folder/@name.json.

    A row that has the same values for the names of @key is replaced.
    """
    path = path_of(name, folder)
    with proc.locked(path.with_name(f".{name}.lock"), f"writing {path.name}"):
        rows = read(name, folder)
        same = [i for i, old in enumerate(rows) if all(old.get(k) == row[k] for k in key)]
        if same:
            rows[same[0]] = row
        else:
            rows.append(row)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(rows, indent=1) + "\n")
        os.replace(part, path)
    return path
