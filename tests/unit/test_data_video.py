"""Videos of one's own: videos and moving pictures become episodes."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genie_lite.data import ClipLoader, DatasetError, fit_frames, open_dataset, write_dataset

av = pytest.importorskip("av")


def moving(frames: int, height: int, width: int) -> np.ndarray:
    """A bright square in the centre that grows darker from frame to frame; red sides."""
    video = np.zeros((frames, height, width, 3), np.uint8)
    video[:, :, :2] = video[:, :, -2:] = (255, 0, 0)
    across = slice(width // 2 - height // 4, width // 2 + height // 4)
    for t in range(frames):
        video[t, height // 4 : 3 * height // 4, across] = 250 - 10 * t
    return video


def write_mp4(path: Path, video: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt, stream.bit_rate = *video.shape[1:3], "yuv420p", 8_000_000
        for picture in video:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def write_gif(path: Path, video: np.ndarray, **options: int) -> None:
    first, *others = [Image.fromarray(picture) for picture in video]
    first.save(path, save_all=True, append_images=others, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_mp4(tmp_path / "b.mp4", moving(12, 96, 160))
    write_gif(tmp_path / "a.gif", moving(7, 64, 64), duration=100)
    (tmp_path / "notes.txt").write_text("not a video")
    return tmp_path


def test_a_folder_of_videos_is_one_dataset(folder: Path) -> None:
    dataset = open_dataset(folder)
    assert (dataset.num_frames, dataset.frame_size, dataset.episode_starts.tolist()) == (19, (64, 64), [0, 7])
    assert dataset.attributes["files"] == ["a.gif", "b.mp4"]
    clips = dataset.read_clips(np.array([0, 7]), 7)
    for clip in clips:
        np.testing.assert_allclose(clip[:, 32, 32].mean(-1), 250 - 10 * np.arange(7), atol=6)
    assert clips[1, :, :, 0, 0].max() < 60  # the red sides of the wide video are cropped away
    with ClipLoader(dataset, clips=3, frames=5) as loader:
        assert next(loader).shape == (3, 5, 64, 64, 3)


def test_one_video_and_another_size(folder: Path) -> None:
    dataset = open_dataset(folder / "b.mp4", frame_size=(48, 80))
    assert (dataset.num_frames, dataset.frame_size) == (12, (48, 80))
    assert dataset.read_clips(np.array([0]), 12)[..., 0, 0].max() > 150  # nothing cropped: the shapes agree


def test_videos_have_no_env_actions_and_no_levels(folder: Path) -> None:
    dataset = open_dataset(folder)
    with pytest.raises(DatasetError, match="without env_actions"):
        dataset.env_actions()
    with pytest.raises(DatasetError, match="without level_seeds"):
        dataset.level_seeds()


def test_videos_can_be_kept_as_a_dataset(folder: Path, tmp_path: Path) -> None:
    videos = open_dataset(folder)
    write_dataset(tmp_path / "kept.zarr", [videos.read_clips(videos.episode_starts[1:], 12)[0]])
    assert open_dataset(tmp_path / "kept.zarr").num_frames == 12


@pytest.mark.parametrize("content", [b"", b"not a video at all", bytes(5_000), b"GIF89a", b"GIF89a" + bytes(500)])
@pytest.mark.parametrize("name", ["c.mp4", "c.gif"])
def test_unreadable_videos_are_named(folder: Path, content: bytes, name: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(DatasetError, match=f"{name}: "):
        open_dataset(folder)


@pytest.mark.parametrize("options", [{}, {"duration": 0}, {"duration": 10}, {"duration": 500, "loop": 0}])
def test_every_picture_of_a_gif_is_read_whatever_its_delays(tmp_path: Path, options: dict[str, int]) -> None:
    video = moving(20, 64, 64)
    write_gif(tmp_path / "a.gif", video, **options)
    dataset = open_dataset(tmp_path / "a.gif")
    assert dataset.num_frames == 20
    np.testing.assert_allclose(dataset.read_chunk(0)[:, 32, 32], video[:, 32, 32], atol=6)


def test_a_huge_canvas_is_refused_before_it_is_decoded(folder: Path) -> None:
    content = bytearray((folder / "a.gif").read_bytes())
    content[6:10] = struct.pack("<HH", 65_535, 65_535)
    (folder / "a.gif").write_bytes(content)
    with pytest.raises(DatasetError, match="a.gif: found pictures of 65535 x 65535|a.gif: .*exceeds limit"):
        open_dataset(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this platform")
@pytest.mark.parametrize("name", ["c.mp4", "c.gif"])
def test_a_pipe_is_never_waited_for(folder: Path, name: str) -> None:
    os.mkfifo(folder / name)
    for path in (folder, folder / name):
        with pytest.raises(DatasetError, match=f"{name}: found no regular file"):
            open_dataset(path)


def test_a_video_cut_off_is_named_or_shorter(folder: Path) -> None:
    whole = (folder / "b.mp4").read_bytes()
    (folder / "b.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match="b.mp4: cannot be decoded"):
        open_dataset(folder)


@pytest.mark.parametrize("shape", [(64, 64), (100, 37), (37, 100), (8, 8), (1, 1), (640, 480)])
def test_fitting_keeps_colours_and_range(shape: tuple[int, int]) -> None:
    assert (fit_frames(np.full((2, *shape, 3), 201, np.uint8), (64, 48)) == 201).all()
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert fit_frames(noise, (16, 16)).shape == (16, 16, 3)
    np.testing.assert_array_equal(fit_frames(noise, shape), noise)
