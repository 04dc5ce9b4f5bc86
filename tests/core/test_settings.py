"""Settings under dotted names, and what changed between two sets of them."""

from landuse.core.settings import changed, flatten, what_changed


def test_nested_tables_and_lists_become_dotted_names() -> None:
    content = {"train": {"lr": None, "on": True}, "phases": [{"lr": 0.1}, {"factors": {}}], "members": [], "a": "b"}
    assert flatten(content) == {
        "train.lr": None, "train.on": True, "phases.0.lr": 0.1, "phases.1.factors": {}, "members": [], "a": "b",
    }  # fmt: skip


def test_what_changed_is_named_with_both_values() -> None:
    before, after = {"a": 1, "b": 2, "gone": 3}, {"a": 1, "b": 4, "new": 5}
    assert changed(before, after) == {"b": (2, 4), "gone": (3, None), "new": (None, 5)}
    assert what_changed(before, after) == "b: 2 -> 4, gone: 3 -> None, new: None -> 5"
    assert what_changed(before, before) == ""


def test_of_many_changes_four_are_named() -> None:
    assert what_changed({}, dict.fromkeys("abcdef", 1)).endswith("d: None -> 1, ...")
