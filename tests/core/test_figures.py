"""Figures as data: what the names in a folder say, and that they are read as they are made."""

from __future__ import annotations

from stylex.core.figures import Flips, flip_figures, flips_in


def test_flips_are_gathered_by_label_and_compared_with_the_better_chance() -> None:
    found = flips_in(
        {
            "flips_top1_to_cat": 0.2,
            "flips_top10_to_cat": 0.9,
            "random_flips_equal_range_to_cat": 0.1,
            "random_flips_equal_length_to_cat": 0.3,
            "random_flips_equal_range_std_to_cat": 0.9,
            "flip_images_to_cat": 50.0,
            "flips_top2_to_a_to_b": 0.5,
            "flips_top2_to_none": float("nan"),
        }
    )
    assert [(f.target_label, f.count, f.random, f.random_std, f.images) for f in found] == [
        ("cat", 10, 0.3, None, 50),
        ("a_to_b", 2, None, None, None),
    ]


def test_flips_are_read_as_they_are_written() -> None:
    flips = Flips(target_label="a_to_b", top={1: 0.25, 10: 0.75}, random=0.1, random_std=0.05, images=40)
    figures = flip_figures(flips)
    assert flips_in(figures) == (flips,)
    assert figures == {
        "flips_top1_to_a_to_b": 0.25,
        "flips_top10_to_a_to_b": 0.75,
        "flip_images_to_a_to_b": 40.0,
        "random_flips_equal_length_to_a_to_b": 0.1,
        "random_flips_equal_length_std_to_a_to_b": 0.05,
    }
