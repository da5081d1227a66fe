"""What was reached by when."""

import random
from statistics import mean, stdev

import pytest

from genlab.comparison.curves import SLACK, Curve, History, moments, over_time, read_history
from genlab.comparison.report.sample_grids import data_uri, pictures_of, until

from .synthetic import make_run, value


def test_a_history_is_read_whole_and_without_later_evaluations(tmp_path):
    path = make_run(tmp_path, "a", value("fd_digits", 1.0), steps=4, seconds=400.0)
    with (path / "metrics.jsonl").open("a") as file:
        file.write('{"images_seen": 40000, "seconds": 5000.0, "test/fd_digits": 1.0}\n')
        file.write('{"images_seen": 40000, "seconds": 400.0, "val/loss": "nan", "word": "x"}\n')
        file.write('{"images_seen": 50')
    found = read_history(path)
    assert found.seconds == 400.0
    assert found.curves["val/loss"].images == [10_000, 20_000, 30_000, 40_000]
    assert found.curves["quick/fd_digits_2k"].seconds == [200.0, 400.0]
    assert "test/fd_digits" not in found.curves
    assert not {"lr", "seconds", "time", "word"} & set(found.curves)
    assert [note.split(": ")[1] for note in found.notes] == ["the last line (13) is torn, skipped"]


def test_a_run_without_a_history_has_none(tmp_path):
    assert read_history(tmp_path) == History()


@pytest.mark.parametrize("images", [1, 5_000, 10_000, 14_000, 40_000])
def test_the_time_between_two_lines_is_interpolated(tmp_path, images):
    found = read_history(make_run(tmp_path, "a", steps=4, seconds=400.0))
    assert found.when(images) == pytest.approx(images / 100)
    assert found.when(40_001) is None


@pytest.mark.parametrize("way", ["lower", "higher"])
def test_the_best_so_far_is_that_of_an_enumeration(way):
    noise = random.Random(3)
    runs = []
    for _ in range(3):
        seconds = sorted(noise.uniform(1, 900) for _ in range(30))
        runs.append(Curve(list(range(30)), seconds, [noise.random() for _ in seconds]))
    histories = [History({"m": curve}) for curve in runs]
    times = [60.0, 180.0, 600.0]
    [line] = over_time([(None, histories)], "m", way, times)
    for entry, limit in zip(line, times, strict=True):
        pick = min if way == "lower" else max
        best = [
            pick(v for t, v in zip(c.seconds, c.values, strict=True) if t <= SLACK * limit)
            for c in runs
        ]
        assert entry == pytest.approx((mean(best), stdev(best)))


def test_a_seed_without_a_reading_leaves_the_cell_empty():
    early, late = Curve([1], [10.0], [5.0]), Curve([1], [100.0], [3.0])
    rows = [(None, [History({"m": early}), History({"m": late})])]
    assert over_time(rows, "m", "lower", [60.0, 180.0]) == [[None, (4.0, stdev([5.0, 3.0]))]]


@pytest.mark.parametrize(
    ("longest", "expected"),
    [
        (0.0, []),
        (4.0, [4.0]),
        (31.0, [10.0, 30.0]),
        (172.0, [60.0, 180.0]),  # 3 minutes, less what starting took
        (1300.0, [60.0, 180.0, 600.0]),
        (1e6, [180.0, 600.0, 1800.0, 5400.0, 18000.0, 86400.0][-5:]),
    ],
)
def test_times_go_as_far_as_the_longest_run(longest, expected):
    assert moments([History(clock=[(1, longest)]), History(clock=[(1, longest / 2)])]) == expected


def test_thinning_keeps_the_ends():
    curve = Curve(list(range(1000)), [float(i) for i in range(1000)], [0.0] * 1000)
    thin = curve.thinned(50)
    assert len(thin.images) <= 50
    assert (thin.images[0], thin.images[-1]) == (0, 999)
    assert curve.thinned(1000) is curve


def test_the_picture_at_a_time_is_the_newest_by_then(tmp_path):
    path = make_run(tmp_path, "a", steps=8, seconds=400.0)
    (path / "samples" / "note.png").write_bytes(b"x")
    found = pictures_of(path, read_history(path))
    assert [picture.images for picture in found] == [20_000, 40_000, 60_000, 80_000]
    assert [picture.seconds for picture in found] == [100.0, 200.0, 300.0, 400.0]
    for seconds, images in ((60, None), (100, 20_000), (180, 20_000), (250, 40_000), (1e5, 80_000)):
        picture = until(found, seconds)
        assert (picture and picture.images) == images


def test_only_a_png_is_put_into_a_page(tmp_path):
    (tmp_path / "x.png").write_bytes(b"<script>alert(1)</script>")
    assert data_uri(tmp_path / "x.png") is None
    assert data_uri(tmp_path / "none.png") is None
    (tmp_path / "big.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(5_000_000))
    assert data_uri(tmp_path / "big.png") is None
