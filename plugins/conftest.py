"""The fixtures of tests/conftest.py, for the Python tests beside the plugins."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from tests.conftest import pipelines, precis, recorded, round_trip  # noqa: E402,F401
