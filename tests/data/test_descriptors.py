"""Tables of descriptors: what they may look like, and what is said of those that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stylex.core.errors import DataError
from stylex.data.descriptors import read_descriptors, table_of


def written(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_numbers_words_and_gaps(tmp_path: Path) -> None:
    table = read_descriptors(
        written(
            tmp_path,
            "file_name,age,gender,glasses,camera,all\n"
            "old/a.jpg,71,woman,1,x,1\nyoung/b.jpg,19,man,,y,1\nyoung/c.jpg,,man,0,z,1\nd.jpg,33,man,0,z,1\n",
        )
    )
    assert table.names == ("age", "gender=woman", "glasses")
    assert table.binary == (False, True, True)
    assert table.left_out == ("camera", "all")
    np.testing.assert_array_equal(table.values, [[71, 1, 1], [19, 0, np.nan], [np.nan, 0, 0], [33, 0, 0]])


def test_images_are_known_by_their_name_or_its_last_part(tmp_path: Path) -> None:
    table = read_descriptors(written(tmp_path, "image,x\na.png,1\nleft/b.png,2\nright/b.png,3\nc,4\n"))
    rows, values = table.of(["photos/a.jpg", "right/b.png", "other/b.png", "d.png", "c.png"])
    np.testing.assert_array_equal(rows, [0, 1, 4])
    np.testing.assert_array_equal(values, [[1], [3], [4]])
    with pytest.raises(DataError, match=r"knows none of the images: they are called 'q.png', its rows 'a.png'"):
        table.of(["q.png"])
    rows, values = table.of(["q.png", "r.png", "s.png"], ["00000/img00000000.png", "left/b.png", "a.png"])
    np.testing.assert_array_equal(rows, [1, 2], "where no name is known, by the archive's files, in full")
    np.testing.assert_array_equal(values, [[2], [1]])


def test_a_table_that_is_written_is_read_again(tmp_path: Path) -> None:
    columns = {"width, in px": [0.25, 0.5, 0.75], 'said "yes"': [1.0, 0.0, 1.0]}
    table = read_descriptors(written(tmp_path, table_of(["a.png", "b,c.png", "d.png"], columns)))
    assert table.images == ("a.png", "b,c.png", "d.png")
    assert (table.names, table.binary) == (tuple(columns), (False, True))
    np.testing.assert_allclose(table.values.T, list(columns.values()))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,x\na,1\n", "none of them image or file_name"),
        ("image,x\na,1\na,2\n", "says twice what the image 'a' is"),
        ("image,x\n", "has no rows"),
        ("image,x\na,1,2\n", "a row 2 of another length"),
        ("image,x,x\na,1,2\n", "two columns of one name"),
        ("image,x\na,1\nb,1\n", "no column of numbers, or of two words"),
        ('image,x\n"a,1\n', "is no CSV table"),
        ("", "is empty"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_descriptors(written(tmp_path, text))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_descriptors(tmp_path / "missing.csv")
    (tmp_path / "latin.csv").write_bytes("image,größe\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_descriptors(tmp_path / "latin.csv")


def test_a_row_is_of_no_other_image_of_the_same_name(tmp_path: Path) -> None:
    rows = [f"boot/{i:04}.png,{i}" for i in range(1, 5)]
    (tmp_path / "t.csv").write_text("\n".join(["image,height", *rows]))
    table = read_descriptors(tmp_path / "t.csv")
    known, values = table.of(["boot/0001.png", "sneaker/0001.png", "photos/boot/0002.png", "sneaker/0003.png"])
    assert known.tolist() == [0, 2]
    assert values[:, 0].tolist() == [1, 2]
    (tmp_path / "u.csv").write_text("image,height\n0001,1\n0002,2\n")
    assert read_descriptors(tmp_path / "u.csv").of(["boot/0001.png", "sneaker/0001.png", "boot/0002.png"])[
        0
    ].tolist() == [2]


def test_a_table_of_semicolons_and_decimal_commas_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image;height;maker\na.png;1,5;x\nb.png;2,25;y\nc.png;-3;x\n")
    table = read_descriptors(tmp_path / "t.csv")
    assert table.names == ("height", "maker=y")
    assert table.values[:, 0].tolist() == [1.5, 2.25, -3]
    (tmp_path / "empty.csv").touch()
    with pytest.raises(DataError, match="is empty; expected a line of column names"):
        read_descriptors(tmp_path / "empty.csv")
