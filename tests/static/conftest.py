# SPDX-License-Identifier: GPL-2.0
"""What several files of static tests need."""

import importlib.machinery
import importlib.util
import sys

import pytest


@pytest.fixture(scope="session")
def load_command():
    """load_command(path): a command without ".py" as a module; nothing is left beside it."""
    def load(path):
        loader = importlib.machinery.SourceFileLoader(f"{path.name}_command", str(path))
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
        before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        loader.exec_module(module)
        sys.dont_write_bytecode = before
        return module
    return load
