"""Which tiles are shown, how, and with which words."""

from collections.abc import Callable

import numpy as np
import pytest
import small

from landuse import params, sensors
from landuse.model import backbones
from landuse.model.classifier import Classifier
from landuse.report.explain import galleries, suspects
from landuse.report.gallery import Gallery, encoded, overlay, pictures, stretch


def build(p, model: Classifier | None = None) -> dict[str, Gallery]:  # type: ignore[no-untyped-def]
    found = suspects.find(p.tiles, p.probabilities, p.names)
    model = model or small.network(len(p.names)).eval()
    return {g.name: g for g in galleries.build(p.store, model, p.tiles, p.probabilities, p.names, found)}


def test_errors_come_with_truth_and_prediction_the_surest_first(predicted: Callable) -> None:
    p = predicted(count=60, errors=6)
    shown = build(p)
    errors = shown["errors"].exhibits
    is_test = p.tiles["split"] == "test"
    wrong = p.tiles[is_test & (p.probabilities.argmax(1) != p.tiles["target"])]
    assert {e.file for e in errors} == set(wrong["file"])
    assert len(errors) == 5  # one of the six is a validation tile
    assert "5 of 5" in shown["errors"].about
    assert [e.probability for e in errors] == sorted((e.probability for e in errors), reverse=True)
    for e in errors:
        position = p.tiles.index[p.tiles["file"] == e.file][0]
        assert e.truth == p.tiles["label"][position] != e.prediction
        assert e.probability == p.probabilities[position].max()
        assert e.note == f"{e.truth}: {p.probabilities[position, p.tiles['target'][position]]:.1%}"
        assert (e.picture[::8, ::8] == p.store.images[p.tiles["row"][position]]).all()
        assert e.overlay is not None
        assert e.overlay.shape == e.picture.shape == (128, 128, 3)
        assert (e.overlay != e.picture).any()


def test_the_least_certain_and_the_right_ones_of_each_label(predicted: Callable) -> None:
    p = predicted(count=300, errors=30)
    shown = build(p)
    certainty = dict(zip(p.tiles["file"], p.probabilities.max(axis=1), strict=True))
    tests = p.tiles.loc[p.tiles["split"] == "test", "file"]
    uncertain = [e.file for e in shown["uncertain"].exhibits]
    assert uncertain == sorted(tests, key=certainty.__getitem__)[:24]
    right = shown["correct"].exhibits
    assert all(e.truth == e.prediction for e in right)
    assert {name: sum(e.truth == name for e in right) for name in p.names} == dict.fromkeys(p.names, 8)
    of_first = [e.probability for e in right if e.truth == p.names[0]]
    assert of_first == sorted(of_first)
    every = [certainty[f] for f in tests if f.startswith(p.names[0])]
    assert of_first[0] < np.quantile(every, 0.25) < np.quantile(every, 0.75) < of_first[-1]


def test_the_note_of_a_right_tile_names_the_runner_up_even_of_equals(predicted: Callable) -> None:
    p = predicted(count=2, classes=2, errors=0)
    p.probabilities[:] = 0.5
    (right, wrong) = sorted(build(p)["uncertain"].exhibits, key=lambda e: e.file)
    assert (right.prediction, right.note) == (p.names[0], f"{p.names[1]}: 50.0%")
    assert (wrong.prediction, wrong.note) == (p.names[0], f"{p.names[1]}: 50.0%")


def test_suspects_are_of_validation_too_and_stay_in_order(predicted: Callable) -> None:
    p = predicted(count=60, errors=6)
    found = suspects.find(p.tiles, p.probabilities, p.names)
    assert [e.file for e in build(p)["suspects"].exhibits] == found["file"].to_list()
    assert (p.tiles.loc[found.index, "split"] == "val").any()


@pytest.mark.parametrize("classes", [2, 85])
def test_any_number_of_labels_fits(predicted: Callable, classes: int) -> None:
    shown = build(predicted(count=170, classes=classes, errors=40))
    assert all(len(g.exhibits) <= 24 for g in shown.values())
    assert len({e.truth for e in shown["correct"].exhibits}) == min(classes, 24)


def test_one_tile_without_errors_is_enough(predicted: Callable) -> None:
    shown = build(predicted(count=1, errors=0))
    assert {name: len(g.exhibits) for name, g in shown.items()} == {
        "errors": 0,
        "uncertain": 1,
        "correct": 1,
        "suspects": 0,
    }
    assert shown["errors"].about.endswith(": none.")


def test_a_model_that_is_never_right_has_no_right_ones(predicted: Callable) -> None:
    shown = build(predicted(count=20, errors=20))
    assert shown["correct"].exhibits == ()
    assert len(shown["errors"].exhibits) == 16


def test_without_a_feature_map_the_galleries_say_why_there_is_no_heat(predicted: Callable) -> None:
    p = predicted(count=10, errors=2)
    backbone = backbones.build("test_vit", 3)
    model = Classifier(backbone, params.Head(hidden=None, dropout=0.0), 3, [127.0] * 3, [60.0] * 3, 160).eval()
    shown = build(p, model)
    assert all(e.overlay is None for g in shown.values() for e in g.exhibits)
    assert "no feature map of at least 4 x 4" in shown["errors"].about


def test_thirteen_bands_are_shown_in_true_and_in_false_colours(predicted: Callable) -> None:
    p = predicted(count=3, size=64, bands=13)
    true, false = pictures(p.store, 5, stretch(p.store))
    assert true.shape == false.shape == (128, 128, 3)
    assert (true[::2, ::2] == sensors.to_rgb(p.store.images[5][..., [3, 2, 1]])).all()
    (large,) = pictures(predicted(count=3, size=200).store, 5, np.zeros((2, 3)))
    assert large.shape == (200, 200, 3)


def test_false_colours_of_all_tiles_are_stretched_alike(predicted: Callable) -> None:
    """A dark tile stays darker than a bright one, and the bands are B8A, B11 and B04 as red, green and blue."""
    p = predicted(count=3, size=16, bands=13)
    p.store.images[0], p.store.images[1] = 1000, 2000
    p.store.images[0, ..., 12] = 3000
    ends = stretch(p.store)
    dark, bright = (pictures(p.store, row, ends)[1][0, 0].astype(int) for row in (0, 1))
    assert dark[0] > dark[1] == pytest.approx(dark[2], abs=3)
    assert (bright[1:] > dark[1:] + 30).all()


def test_only_tiles_of_other_bands_than_rgb_have_a_second_picture(predicted: Callable) -> None:
    model = small.network(3, bands=13).eval()
    shown = build(predicted(count=5, errors=1, bands=13), model)
    assert all(e.false is not None and e.overlay is not None for e in shown["uncertain"].exhibits)
    assert all(picture and falsely for _, picture, falsely, _ in encoded([*shown.values()])["uncertain"])
    assert all(e.false is None for e in build(predicted(count=5, errors=1))["uncertain"].exhibits)


def test_an_overlay_leaves_what_is_cold_as_it_is() -> None:
    shown = np.full((128, 128, 3), 90, np.uint8)
    assert (overlay(shown, np.zeros((64, 64), np.float32)) == shown).all()
    heat = np.zeros((64, 64), np.float32)
    heat[:16, :16] = 1
    warm = overlay(shown, heat)
    assert (warm[100:, 100:] == 90).all()
    assert (warm[:20, :20, 0] > 150).all()
