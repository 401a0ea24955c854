"""Only regular files inside the folder come back; every other name is refused with words that show it."""

import os

import pytest

from tinyrs.paths import PathRefused, inside


@pytest.fixture
def folder(tmp_path):
    """A data set with one picture, a neighbour whose name starts alike, and links of each kind."""
    root = tmp_path / "set"
    (root / "a").mkdir(parents=True)
    (root / "a" / "ok.png").write_bytes(b"in")
    (tmp_path / "set-secret").mkdir()
    (tmp_path / "set-secret" / "x.png").write_bytes(b"out")
    (root / "link-in.png").symlink_to(root / "a" / "ok.png")
    (root / "link-out.png").symlink_to(tmp_path / "set-secret" / "x.png")
    (root / "link-dir").symlink_to(tmp_path / "set-secret")
    (root / "link-loop").symlink_to(root / "link-loop")
    (root / "link-dead.png").symlink_to(root / "gone.png")
    os.mkfifo(root / "pipe.png")
    return root


@pytest.mark.parametrize("name", ["a/ok.png", "./a/ok.png", "a//ok.png", "link-in.png"])
def test_a_file_inside_is_returned_by_its_real_path(folder, name):
    assert inside(folder, name).read_bytes() == b"in"
    assert inside(str(folder), name) == (folder / "a" / "ok.png").resolve()


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a",  # a folder
        "gone.png",
        "../set-secret/x.png",
        "../set/a/ok.png",  # comes back in, but went out
        "a/../../set-secret/x.png",
        "a/..",
        "..",
        "/etc/passwd",
        "//etc/passwd",
        "link-out.png",
        "link-dir/x.png",
        "link-loop",
        "link-dead.png",
        "pipe.png",  # opening it would wait for ever
        "a/ok.png\0",
        "a/ok.png\0.jpg",
        "a/ok.png\n",
        "a/\u202egnp.ko",  # right-to-left override
        "\ud800.png",  # half a surrogate pair
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "http://127.0.0.1/x.png",
        "data:image/png;base64,AAAA",
        "C:/x.png",
        "C:x.png",
        "a\\ok.png",
        "..\\x.png",
        "x" * 5000,
        None,
        7,
        ["a/ok.png"],
    ],
)
def test_everything_else_is_refused(folder, name):
    with pytest.raises(PathRefused) as refusal:
        inside(folder, name)
    words = str(refusal.value)
    assert words and "\0" not in words and "\n" not in words and len(words) < 1400
    words.encode("ascii")  # so that it can be printed on any terminal


def test_a_neighbour_whose_name_starts_alike_is_outside(folder):
    (folder.parent / "set-secret" / "y.png").write_bytes(b"out")
    (folder / "y.png").symlink_to("../set-secret/y.png")
    with pytest.raises(PathRefused, match="out of the folder"):
        inside(folder, "y.png")


def test_the_folder_itself_may_be_reached_through_a_link(folder, tmp_path):
    (tmp_path / "alias").symlink_to(folder)
    assert inside(tmp_path / "alias", "a/ok.png").read_bytes() == b"in"
