"""Fixtures that several test packages share."""

from pathlib import Path

import pytest

from tests.fixtures_capture import make_capture, make_dataset


@pytest.fixture(scope="session")
def planted_runs(tmp_path_factory) -> Path:
    """A folder of runs with one finished capture, ``planted``, and its data set beside them."""
    folder = tmp_path_factory.mktemp("planted")
    make_capture(folder / "runs" / "planted", make_dataset(folder / "data"))
    return folder / "runs"


@pytest.fixture(scope="session")
def planted_store(planted_runs):
    from probes.store import CaptureStore

    return CaptureStore(planted_runs / "planted")


@pytest.fixture(scope="session")
def planted_dataset(planted_runs):
    from reviosa.data import InterRVOSDataset

    return InterRVOSDataset(planted_runs.parent / "data")


@pytest.fixture(scope="session")
def planted_results(planted_store):
    from probes.analysis import analyse

    return analyse(planted_store, resamples=200)


@pytest.fixture
def fresh_caches():
    """What pages cached of another test's folder must not answer here."""
    import streamlit as st

    st.cache_data.clear()
    st.cache_resource.clear()
    yield
    st.cache_data.clear()
    st.cache_resource.clear()
