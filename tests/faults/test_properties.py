"""What mutations of good input do not reach, searched by Hypothesis: any bytes, text or value."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from genlab.config.check import check
from genlab.config.folders import config_dir
from genlab.config.overrides import check_overrides
from genlab.data.storage.idx import parse_idx

from .test_fuzz import ends_well, good, places  # noqa: F401 - a fixture

quickly = settings(max_examples=60, deadline=None, derandomize=True, database=None)

HEADS = st.builds(
    lambda kind, sides: (
        bytes([0, 0, kind, len(sides)]) + b"".join(side.to_bytes(4, "big") for side in sides)
    ),
    st.sampled_from([8, 9, 13, 14, 255]),
    st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 4), max_size=5),
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@quickly
@given(head=HEADS, body=st.binary(max_size=80), whole=st.binary(max_size=40))
def test_any_bytes_are_an_idx_file_or_named_as_none(head, body, whole):
    for content in (head + body, whole):
        ends_well(lambda content=content: parse_idx(content, "x", 3))


@quickly
@given(words=st.lists(st.text(max_size=30), max_size=3))
def test_any_words_are_overrides_or_refused(words):
    ends_well(lambda: check_overrides(words, [config_dir()]))


@pytest.mark.parametrize(
    "section", ["model", "data", "optimizer", "trainer", "callbacks", "logger"]
)
def test_any_value_in_a_config_is_taken_or_refused(good, section):  # noqa: F811
    @settings(quickly, max_examples=12)
    @given(data=st.data())
    def holds(data):
        content = OmegaConf.to_container(OmegaConf.create(good))
        path = data.draw(st.sampled_from(sorted(places(content[section]), key=str)))
        node = content[section]
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = data.draw(PLAIN)
        ends_well(lambda: check(OmegaConf.create(content)), OmegaConfBaseException)

    holds()
