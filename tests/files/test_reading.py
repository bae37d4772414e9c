"""The one way in and out for files: limits, exceptions, and files that are never half written."""

import gzip
import zipfile

import pytest

from variate.errors import DataError, RecordError, UsageError
from variate.files import reading as files


@pytest.mark.parametrize(
    "problem",
    [ValueError("odd"), KeyError("x"), RecursionError(), MemoryError(), NotImplementedError(), OSError(5, "bad")],
)
def test_every_exception_becomes_ours_and_our_own_pass(problem):
    with pytest.raises(DataError, match="cannot read the file"), files.reading("the file", DataError):
        raise problem
    with pytest.raises(UsageError), files.reading("the file", DataError):
        raise UsageError("no")
    with pytest.raises(KeyboardInterrupt), files.reading("the file", DataError):
        raise KeyboardInterrupt


def test_archives_that_unpack_to_too_much_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LIMIT", 10_000)
    assert files.ungzipped(gzip.compress(bytes(9_000)), "x.gz", DataError) == bytes(9_000)
    with pytest.raises(DataError, match=r"x\.gz unpacks to more than"):
        files.ungzipped(gzip.compress(bytes(10**7)), "x.gz", DataError)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(10**7))
    with pytest.raises(DataError, match=r"x\.zip unpacks to more than"), files.unzipping(tmp_path / "x.zip", DataError):
        pytest.fail("it was opened")


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one(tmp_path):
    path = tmp_path / "folder" / "page.html"
    files.replace_text(path, "old", RecordError, todo="free disk space")

    def half(partial):
        partial.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(RecordError, match="No space left") as error:
        files.replace(path, half, RecordError, todo="free disk space")
    assert "existing files are unchanged" in str(error.value)
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["page.html"]


def test_a_folder_that_is_a_file_is_said_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    files.check_folder(tmp_path / "new" / "folder")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="is a file, not a folder"):
            files.check_folder(path)
