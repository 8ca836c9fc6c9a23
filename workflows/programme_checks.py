"""Stopgap."""

from workflows.programme import read as load

__all__ = ["load"]
