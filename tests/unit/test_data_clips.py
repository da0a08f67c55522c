"""Videos on disk and clips from them: what a reader may rely on, and what is said about a damaged dataset."""

from __future__ import annotations

import gc
import json
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import fsspec
import numcodecs
import numpy as np
import pytest
import zarr
from numcodecs import blosc

from genie_lite.data import (
    ClipLoader,
    DatasetError,
    DatasetWriter,
    check_dataset,
    copy_sample,
    open_dataset,
    sample_dataset,
    write_dataset,
)

LENGTHS = (5, 40, 1, 17, 90)


def videos(lengths: tuple[int, ...] = LENGTHS) -> list[np.ndarray]:
    """Episodes whose pixels tell their episode, their place in it, and noise."""
    rng = np.random.default_rng(0)
    episodes = []
    for number, length in enumerate(lengths):
        episode = rng.integers(0, 256, (length, 8, 12, 3), dtype=np.uint8)
        episode[:, 0, 0, 0], episode[:, 0, 0, 1] = number, np.arange(length)
        episodes.append(episode)
    return episodes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_dataset(tmp_path / "videos.zarr", videos(), {"game": "noise"}, [np.full(n, n, np.uint8) for n in LENGTHS])
    return tmp_path / "videos.zarr"


def test_zarr_itself_reads_what_was_written(path: Path) -> None:
    group = zarr.open_group(str(path), mode="r")
    np.testing.assert_array_equal(group["frames"][:], np.concatenate(videos()))
    np.testing.assert_array_equal(group["env_actions"][:], np.repeat(LENGTHS, LENGTHS))
    assert dict(group.attrs)["game"] == "noise"


def test_dataset_tells_what_it_holds(path: Path) -> None:
    dataset = open_dataset(path)
    assert (dataset.num_frames, dataset.frame_size, dataset.channels) == (sum(LENGTHS), (8, 12), 3)
    assert dataset.episode_lengths.tolist() == list(LENGTHS)
    assert dataset.env_actions().tolist() == np.repeat(LENGTHS, LENGTHS).tolist()
    assert check_dataset(path) == []


def in_place(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file() and file.suffix != ".part"}


@pytest.mark.parametrize("waiting", [0, 2**26])  # bytes: everything compressed at once, or in the background
def test_frames_placed_in_any_order_equal_frames_appended(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    monkeypatch.setattr("genie_lite.data.chunk_buffer.WAITING_BYTES", waiting)
    frames, starts = np.concatenate(videos()), np.cumsum([0, *LENGTHS[:-1]])
    env_actions = np.repeat(LENGTHS, LENGTHS)
    for first, stop in ((0, 70), (70, len(frames))):  # the second sitting goes on in the middle of a chunk
        writer = DatasetWriter(tmp_path / "placed", (8, 12, 3), {"game": "noise"}, arrays=("env_actions",))
        for number in np.random.default_rng(1).permutation(np.arange(first, stop)):
            writer.place(number, frames[number : number + 1])
        before = in_place(tmp_path / "placed")
        inside = starts[(starts >= first) & (starts < stop)] - first
        with pytest.raises(DatasetError, match=f"found {stop - first} frames placed, wanted {stop - first + 1}"):
            writer.commit(stop - first + 1, inside, env_actions=np.zeros(stop - first + 1, np.uint8))
        assert in_place(tmp_path / "placed") == before  # all that a kill would have left, but for temporary files
        writer.commit(stop - first, inside, env_actions=env_actions[first:stop])
    writer.finish()
    assert not list(tmp_path.rglob("*.part"))
    for name in ("frames", "episode_starts", "env_actions"):
        for file in sorted((path / name).iterdir()):
            found, wanted = (tmp_path / "placed" / name / file.name).read_bytes(), file.read_bytes()
            if not file.name.startswith("."):  # a chunk: Blosc's threads may write its blocks in any order
                found, wanted = blosc.decompress(found), blosc.decompress(wanted)
            assert found == wanted, file


@pytest.mark.parametrize(("length", "stride"), [(1, 1), (2, 1), (16, 1), (6, 3), (90, 1)])
def test_clip_starts_are_all_that_fit_and_no_other(path: Path, length: int, stride: int) -> None:
    dataset, episode_of = open_dataset(path), np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    reach = (length - 1) * stride
    fitting = [f for f in range(len(episode_of) - reach) if episode_of[f] == episode_of[f + reach]]
    assert dataset.clip_starts(length, stride).tolist() == fitting


def test_clips_are_the_videos_and_never_cross_an_episode(path: Path) -> None:
    dataset, every = open_dataset(path), np.concatenate(videos())
    starts = dataset.clip_starts(6, 3)
    clips = dataset.read_clips(starts, 6, 3)
    assert clips.shape == (len(starts), 6, 8, 12, 3) and clips.dtype == np.uint8
    np.testing.assert_array_equal(clips, every[starts[:, None] + 3 * np.arange(6)])
    assert (clips[:, :, 0, 0, 0] == clips[:, :1, 0, 0, 0]).all()
    for start in (-1, 0, len(every) - 1):  # before all videos, across the end of the first, over the end of the last
        with pytest.raises(DatasetError, match=f"from frame {start} leaves its episode"):
            dataset.read_clips(np.array([start]), 6)


def test_frames_are_fitted_when_read(path: Path) -> None:
    fitted = open_dataset(path, frame_size=(4, 4)).read_clips(np.array([0]), 5)
    middle = videos()[0][:, :, 2:10].astype(float)  # centre crop to a square, then the mean of each 2x2
    np.testing.assert_allclose(fitted[0], middle.reshape(5, 4, 2, 4, 2, 3).mean((2, 4)), atol=0.51)


def test_batch_depends_on_seed_and_index_alone(path: Path) -> None:
    dataset = open_dataset(path)
    with ClipLoader(dataset, clips=4, frames=8, seed=3) as ahead:
        batches = [next(ahead) for _ in range(6)]
        ahead.seek(2)
        np.testing.assert_array_equal(next(ahead), batches[2])
        assert ahead.step == 3
    plain = ClipLoader(dataset, clips=4, frames=8, seed=3, prefetch=0)
    np.testing.assert_array_equal(plain.batch(4), batches[4])
    plain.seek(5)
    np.testing.assert_array_equal(next(plain), batches[5])
    assert any((a != b).any() for a, b in zip(batches[:-1], batches[1:], strict=True))
    assert (ClipLoader(dataset, clips=4, frames=8, seed=4).batch(0) != batches[0]).any()


def test_a_share_of_the_clips_comes_mirrored(path: Path) -> None:
    dataset = open_dataset(path)
    batches = {share: ClipLoader(dataset, 40, 8, seed=3, mirrored=share).batch(2) for share in (0, 0.25, 1)}
    in_mirror = batches[0][:, :, :, ::-1]
    np.testing.assert_array_equal(batches[1], in_mirror)
    turned = (batches[0.25] == in_mirror).all((1, 2, 3, 4))
    np.testing.assert_array_equal(batches[0.25][~turned], batches[0][~turned])
    assert 4 <= turned.sum() <= 16  # of 40
    parts = [ClipLoader(dataset, 40, 8, seed=3, mirrored=0.25, part=(part, 2)).batch(2) for part in (0, 1)]
    np.testing.assert_array_equal(np.stack(parts, 1).reshape(batches[0.25].shape), batches[0.25])


def test_loader_leaves_no_thread_behind(path: Path) -> None:
    dataset = open_dataset(path)
    before = set(threading.enumerate())
    closed, forgotten = ClipLoader(dataset, 2, 4), ClipLoader(dataset, 2, 4)
    next(closed), next(forgotten)
    started = set(threading.enumerate()) - before
    assert len(started) == 2
    closed.close()
    del forgotten
    gc.collect()
    for thread in started:
        thread.join(5)
        assert not thread.is_alive()


def test_loader_raises_what_its_thread_met(path: Path) -> None:
    dataset = open_dataset(path)
    for file in (path / "frames").glob("*.0.0.0"):
        file.write_bytes(file.read_bytes()[:50])
    with ClipLoader(dataset, 2, 4) as loader, pytest.raises(DatasetError, match="is damaged"):
        next(loader)


def test_an_interrupt_costs_no_batch(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ClipLoader(open_dataset(path), 2, 4, prefetch=0)
    with ClipLoader(open_dataset(path), 2, 4) as loader:
        np.testing.assert_array_equal(next(loader), plain.batch(0))
        with monkeypatch.context() as patch:
            patch.setattr(Future, "result", interrupted)
            with pytest.raises(KeyboardInterrupt):
                next(loader)
        np.testing.assert_array_equal(next(loader), plain.batch(1))
        np.testing.assert_array_equal(next(loader), plain.batch(2))


def interrupted(future: Future) -> None:
    raise KeyboardInterrupt


def test_clips_longer_than_videos_are_refused(path: Path) -> None:
    with pytest.raises(DatasetError, match="longest episode has 90 frames, wanted 100"):
        ClipLoader(open_dataset(path), clips=1, frames=34, stride=3)


def test_urls_open_like_folders(path: Path) -> None:
    np.testing.assert_array_equal(
        open_dataset(f"file://{path}").read_clips(np.array([10]), 8), open_dataset(path).read_clips(np.array([10]), 8)
    )
    memory = fsspec.filesystem("memory")
    memory.put(str(path), "/videos-by-url.zarr", recursive=True)
    try:
        remote = open_dataset("memory://videos-by-url.zarr")
        starts = remote.clip_starts(16)
        np.testing.assert_array_equal(remote.read_clips(starts, 16), open_dataset(path).read_clips(starts, 16))
        assert remote.env_actions().shape == (sum(LENGTHS),)
    finally:
        memory.rm("/videos-by-url.zarr", recursive=True)
    with pytest.raises(DatasetError, match="cannot be opened as a Zarr group"):
        open_dataset("memory://nothing-here.zarr")


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


DAMAGE = {
    "missing chunk": (lambda p: (p / "frames" / "2.0.0.0").unlink(), "found 4 chunk files of frames, wanted 5"),
    "missing frames": (lambda p: shutil.rmtree(p / "frames"), "found no frames; this Zarr group"),
    "frames cut off": (lambda p: edit(p / "frames" / ".zarray", shape=[60, 8, 12, 3]), "reach frame 63, .*truncated"),
    "wrong dtype": (lambda p: edit(p / "frames" / ".zarray", dtype="<f4"), "found dtype '<f4' .*should be"),
    "wrong shape": (
        lambda p: edit(p / "frames" / ".zarray", shape=[153, 96], chunks=[32, 96]),
        "with 4 axes, in chunks along the first",
    ),
    "not finished": (lambda p: edit(p / ".zattrs", complete=False), "stopped after 153 frames; run the same"),
    "no group": (lambda p: (p / ".zgroup").unlink(), "cannot be opened as a Zarr group"),
    "no json": (lambda p: (p / ".zattrs").write_text("{"), ".zattrs: found it .*Invalid JSON"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_at_opening(path: Path, kind: str) -> None:
    damage, message = DAMAGE[kind]
    damage(path)
    with pytest.raises(DatasetError, match=message):
        open_dataset(path)
    assert len(check_dataset(path)) == 1


class Spy(numcodecs.abc.Codec):
    """A codec that tells whether it was ever made, as one that runs code could."""

    codec_id = "spy"
    made = 0

    def __init__(self) -> None:
        Spy.made += 1

    def encode(self, buf: object) -> object:
        return buf

    def decode(self, buf: object, out: object = None) -> object:
        return buf


def name_spy(group: Path, array: str, where: str) -> None:
    """Let the metadata of an array name the spy."""
    spy = {"id": "spy"}
    if where == "compressor":
        edit(group / array / ".zarray", compressor=spy)
    elif where == "filters":
        edit(group / array / ".zarray", filters=[spy])
    elif where == "objects":
        edit(group / array / ".zarray", dtype="|O", filters=[{"id": "vlen-utf8"}], compressor=spy, fill_value="")
    elif where == "consolidated":
        metadata = {str(file.relative_to(group)): json.loads(file.read_text()) for file in group.rglob(".z*")}
        metadata[f"{array}/.zarray"]["compressor"] = spy
        (group / ".zmetadata").write_text(json.dumps({"zarr_consolidated_format": 1, "metadata": metadata}))
    else:  # format 3 beside format 2, which zarr would prefer
        old = json.loads((group / array / ".zarray").read_text())
        (group / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}))
        (group / array / "zarr.json").write_text(
            json.dumps(
                {
                    "zarr_format": 3,
                    "node_type": "array",
                    "shape": old["shape"],
                    "data_type": "uint8",
                    "fill_value": 0,
                    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": old["chunks"]}},
                    "attributes": {},
                    "chunk_key_encoding": {"name": "default"},
                    "codecs": [{"name": "spy", "configuration": {}}],
                }
            )  # fmt: skip
        )


@pytest.mark.parametrize("where", ["compressor", "filters", "objects", "consolidated", "format 3"])
@pytest.mark.parametrize("array", ["frames", "episode_starts", "env_actions"])
def test_a_dataset_cannot_choose_the_code_that_reads_it(path: Path, array: str, where: str) -> None:
    numcodecs.register_codec(Spy)
    Spy.made = 0
    name_spy(path, array, where)
    memory = fsspec.filesystem("memory")
    memory.put(str(path), "/spied.zarr", recursive=True)
    try:
        problems = [check_dataset(name) for name in (path, f"file://{path}", "memory://spied.zarr")]
    finally:
        memory.rm("/spied.zarr", recursive=True)
    assert Spy.made == 0
    for problem in problems:  # metadata that are not ours are left alone; ours must be as we write them
        assert ("/.zarray: found" in problem[0]) if where in ("compressor", "filters", "objects") else problem == []


@pytest.mark.parametrize("array", ["frames", "env_actions"])
def test_a_missing_chunk_is_never_taken_for_black_frames(path: Path, array: str) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(path), "/partial.zarr", recursive=True)
    chunk = next(file.name for file in (path / array).iterdir() if file.name.startswith("0"))
    try:
        memory.rm(f"/partial.zarr/{array}/{chunk}")
        assert [
            f"{array}/{chunk}: chunk 0 of" in p and "missing" in p for p in check_dataset("memory://partial.zarr")
        ] == [True]
        if array == "frames":
            with pytest.raises(DatasetError, match="chunk 0 of 5 is missing"):
                open_dataset("memory://partial.zarr").read_clips(np.array([0]), 4)
    finally:
        memory.rm("/partial.zarr", recursive=True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this platform")
@pytest.mark.parametrize("file", [".zgroup", ".zattrs", "frames/.zarray", "frames/2.0.0.0", "env_actions/0"])
def test_what_is_no_file_is_never_waited_for(path: Path, file: str) -> None:
    (path / file).unlink()
    os.mkfifo(path / file)
    (problem,) = check_dataset(path)
    assert "no regular file" in problem or "chunk files" in problem
    (path / file).unlink()
    (path / file).symlink_to("/dev/zero")
    (problem,) = check_dataset(path)
    assert "no regular file" in problem or "chunk files" in problem


@pytest.mark.parametrize(
    ("key", "value"), [("complete", "yes"), ("frames_written", "many"), ("levels", [1]), ("levels", 5), ("game", 7)]
)
def test_attributes_of_the_wrong_type_are_named(path: Path, key: str, value: object) -> None:
    edit(path / ".zattrs", **{key: value})
    (problem,) = check_dataset(path)
    assert f".zattrs: found {key}" in problem


def test_collected_videos_without_their_env_actions_are_damaged(path: Path) -> None:
    shutil.rmtree(path / "env_actions")
    assert check_dataset(path) == []  # videos from elsewhere have none
    edit(path / ".zattrs", policy="sticky")
    assert any("without env_actions" in problem for problem in check_dataset(path))


def test_check_reads_everything(path: Path) -> None:
    chunk = path / "frames" / "1.0.0.0"
    chunk.write_bytes(chunk.read_bytes()[:-100])
    edit(path / "env_actions" / ".zarray", shape=[100])
    (path / "frames" / "7.0.0.0.99.part").write_bytes(b"")
    problems = "\n".join(check_dataset(path))
    assert "chunk 1 of 5 is damaged" in problems and "env_actions (100,)" in problems and ".part" in problems


def test_missing_and_foreign_paths_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="found nothing there"):
        open_dataset(tmp_path / "nowhere")
    zarr.open_group(str(tmp_path / "other.zarr"), mode="w", zarr_format=2).attrs["title"] = "weather"
    with pytest.raises(DatasetError, match="was not written by genie-lite"):
        open_dataset(tmp_path / "other.zarr")
    zarr.open_group(str(tmp_path / "newer.zarr"), mode="w", zarr_format=3)
    with pytest.raises(DatasetError, match="cannot be opened as a Zarr group of format 2"):
        open_dataset(tmp_path / "newer.zarr")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "letter.txt").write_text("dear reader")
    with pytest.raises(DatasetError, match="neither a Zarr group nor videos"):
        open_dataset(tmp_path / "folder")


def test_writer_continues_an_episode_and_overwrites_nothing_foreign(tmp_path: Path) -> None:
    whole = videos((100,))[0]
    for first, last in ((0, 33), (33, 34), (34, 100)):  # each time a writer that knows only what is on disk
        writer = DatasetWriter(tmp_path / "videos.zarr", (8, 12, 3))
        assert writer.num_frames == first
        writer.append(whole[first:last], np.array([0] if first == 0 else [], np.int64))
        with pytest.raises(DatasetError, match=f"stopped after {last} frames"):
            open_dataset(tmp_path / "videos.zarr")
    writer.finish()
    dataset = open_dataset(tmp_path / "videos.zarr")
    np.testing.assert_array_equal(dataset.read_clips(np.array([0]), 100)[0], whole)
    with pytest.raises(DatasetError, match="without env_actions"):
        dataset.env_actions()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(DatasetError, match="is no dataset; nothing was overwritten"):
        DatasetWriter(tmp_path / "mine", (8, 12, 3))


def test_rows_that_do_not_match_their_frames_are_refused(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path / "videos.zarr", (8, 12, 3), arrays=["env_actions"])
    with pytest.raises(DatasetError, match="arrays of lengths .*'env_actions': 3.* wanted .*'env_actions': 5"):
        writer.append(videos((5,))[0], np.array([0]), env_actions=np.zeros(3, np.uint8))
    with pytest.raises(DatasetError, match="must start an episode"):
        writer.append(videos((5,))[0], np.array([1]), env_actions=np.zeros(5, np.uint8))


def test_a_full_disk_is_said_and_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = DatasetWriter(tmp_path / "videos.zarr", (8, 12, 3))
    writer.append(videos((40,))[0], np.array([0]))
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        write(path, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(DatasetError, match="No space left on device.*make room"):
            writer.append(videos((40,))[0], np.array([0]))
    again = DatasetWriter(tmp_path / "videos.zarr", (8, 12, 3))
    assert again.num_frames == 40
    again.append(videos((40,))[0], np.array([0]))
    again.finish()
    assert check_dataset(tmp_path / "videos.zarr") == []
    assert open_dataset(tmp_path / "videos.zarr").episode_starts.tolist() == [0, 40]


def test_videos_are_written_completely_or_not_at_all(tmp_path: Path) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield videos()[1]
        raise OSError(28, "No space left on device")

    with pytest.raises(DatasetError, match="No space left on device.*make room"):
        write_dataset(tmp_path / "videos.zarr", broken())
    with pytest.raises(DatasetError, match=r"found episode 1 of shape \[8, 12, 3\], wanted frames"):
        write_dataset(tmp_path / "videos.zarr", [videos()[1], videos()[1][0]])
    with pytest.raises(DatasetError, match="'env_actions': 0.* wanted .*'env_actions': 40"):
        write_dataset(tmp_path / "videos.zarr", videos()[:2], env_actions=[np.zeros(5, np.uint8)])
    with pytest.raises(DatasetError, match="found no episode"):
        write_dataset(tmp_path / "videos.zarr", [])
    assert not list(tmp_path.iterdir())
    write_dataset(tmp_path / "videos.zarr", videos())
    assert check_dataset(tmp_path / "videos.zarr") == []
    with pytest.raises(DatasetError, match="exists already"):
        write_dataset(tmp_path / "videos.zarr", videos())


def test_half_a_copied_sample_does_not_block_the_next_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(source: Path, target: Path, dirs_exist_ok: bool) -> None:
        (target / ".zattrs").write_bytes(b"{")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", half)
        with pytest.raises(DatasetError, match="test.zarr: .*No space left on device"):
            copy_sample("test", tmp_path)
    assert not list(tmp_path.iterdir())
    copied = copy_sample("test", tmp_path)
    assert copied.path == str(tmp_path / "test.zarr") and copied.num_frames == sample_dataset("test").num_frames
    with pytest.raises(DatasetError, match="exists already"):
        copy_sample("test", tmp_path)
