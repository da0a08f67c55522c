"""FVD's plumbing: getting the weights file and calling what is in it, with a tiny TorchScript stand-in for I3D.

The stand-in is called as the standard file is, but its features are means of pixels: no number here is an FVD. That
the real file gives the community's numbers is not tested, because it cannot ship.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from genie_lite.evaluation import EvaluationError, Report, frechet_distance, frechet_video_distance, load_i3d
from genie_lite.evaluation.rollout_distances import RolloutDistances

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


class StandIn(torch.nn.Module):
    """Mean colours of the first frame and of the last, for batches [B, C, T, H, W] in [0, 255]."""

    def forward(
        self, x: torch.Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> torch.Tensor:
        assert rescale and resize and return_features and x.shape[1] == 3
        return torch.cat([x[:, :, 0].mean([2, 3]), x[:, :, -1].mean([2, 3])], 1)


class Odd(torch.nn.Module):
    """Not called as I3D is."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("site") / "i3d_torchscript.pt"
    torch.jit.script(StandIn()).save(str(path))
    return path


@pytest.fixture(scope="module")
def site(weights: Path) -> Iterator[str]:
    """A web site on this machine that serves the folder of the weights; /short promises more bytes than it sends."""

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/short":
                return super().do_GET()
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 10)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(weights.parent)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def sha256(weights: Path) -> str:
    return hashlib.sha256(weights.read_bytes()).hexdigest()


@pytest.fixture
def videos() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (9, 10, 8, 12, 3)).astype(np.uint8)


def test_it_is_the_frechet_distance_of_the_files_features(weights: Path, videos: np.ndarray) -> None:
    made = np.clip(videos.astype(int) + np.arange(9)[:, None, None, None, None], 0, 255).astype(np.uint8)
    expected = frechet_distance(*(x[:, [0, -1]].mean((2, 3)).reshape(9, 6) for x in (videos, made)))
    assert expected > 1
    assert frechet_video_distance(videos, made, weights=weights) == pytest.approx(expected, rel=1e-3)
    network = load_i3d(weights)
    assert frechet_video_distance(videos, videos, weights=network) == pytest.approx(0, abs=1e-3)


def test_a_url_is_downloaded_once_and_checked(
    site: str, weights: Path, sha256: str, tmp_path: Path, videos: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{site}/{weights.name}?dl=1"
    monkeypatch.setenv("GENIE_LITE_CACHE", str(tmp_path / "cache"))
    network = load_i3d(url, sha256=sha256.upper())
    assert network.sha256 == sha256
    monkeypatch.setattr("torch.hub.download_url_to_file", None)  # a second download would fail
    assert (load_i3d(url).features(videos) == network.features(videos)).all()
    assert [path.name[-len(weights.name) :] for path in (tmp_path / "cache").iterdir()] == [weights.name]


def test_the_checksum_found_is_told_where_none_is_wanted(
    weights: Path, sha256: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        load_i3d(weights)
    assert sha256 in caplog.text
    caplog.clear()
    load_i3d(weights, sha256=sha256)
    assert not caplog.text


def test_another_file_is_refused_and_not_kept(site: str, weights: Path, sha256: str, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=f"found SHA-256 {sha256}, wanted {'0' * 64}"):
        load_i3d(weights, sha256="0" * 64)
    with pytest.raises(EvaluationError, match=f"{site}.*another file, not kept .*{sha256}"):
        load_i3d(f"{site}/{weights.name}", sha256="0" * 64, cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_download_that_fails_leaves_nothing_and_says_what_to_do(site: str, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="/short: found 10 bytes that are no TorchScript"):
        load_i3d(f"{site}/short", cache=tmp_path)
    with pytest.raises(EvaluationError, match="/missing.pt: cannot be downloaded.*without internet, get i3d"):
        load_i3d(f"{site}/missing.pt", cache=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as closed:
        port = closed.server_port
    with pytest.raises(EvaluationError, match="refused.*without internet, get i3d_torchscript.pt"):
        load_i3d(f"http://127.0.0.1:{port}/i3d_torchscript.pt", cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_missing_truncated_or_foreign_file_is_named(weights: Path, tmp_path: Path, videos: np.ndarray) -> None:
    with pytest.raises(EvaluationError, match="nowhere.pt: no such file"):
        load_i3d(tmp_path / "nowhere.pt")
    whole = weights.read_bytes()
    for content in (whole[: len(whole) // 2], b"<html>Sign in</html>"):
        (tmp_path / "damaged.pt").write_bytes(content)
        with pytest.raises(EvaluationError, match=f"damaged.pt: found {len(content):,} bytes that are no TorchScript"):
            load_i3d(tmp_path / "damaged.pt")
    torch.jit.script(Odd()).save(str(tmp_path / "odd.pt"))
    with pytest.raises(EvaluationError, match="odd.pt: the network failed .* rescale, resize and return_features"):
        load_i3d(tmp_path / "odd.pt").features(videos)


def test_the_network_runs_on_the_device_asked_for(
    weights: Path, videos: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Recorder:
        """Tells where the videos are; its features are on the CPU, for this machine may have nothing else."""

        seen: torch.device

        def eval(self) -> Recorder:
            return self

        def __call__(self, batch: torch.Tensor, **_: bool) -> torch.Tensor:
            Recorder.seen = batch.device
            return torch.zeros(len(batch), 6)

    asked = []
    monkeypatch.setattr(torch.jit, "load", lambda path, map_location: asked.append(map_location) or Recorder())
    load_i3d(weights, device="meta").features(videos)
    assert asked == [torch.device("meta")] and Recorder.seen.type == "meta"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert load_i3d(weights).device.type == "cuda"


@pytest.mark.parametrize("shape", [(2, 9, 8, 8, 3), (2, 10, 8, 8, 1), (10, 8, 8, 3)])
def test_videos_that_i3d_cannot_see_are_refused(weights: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(EvaluationError, match="10 or more frames"):
        load_i3d(weights).features(np.zeros(shape, np.uint8))
    with pytest.raises(EvaluationError, match="found float64"):
        load_i3d(weights).features(np.zeros((2, 10, 8, 8, 3)))


def test_the_evaluation_reports_it_where_weights_are_given(weights: Path, sha256: str) -> None:
    class Videos:
        frame_size = (8, 12)

    generator = np.random.default_rng(0)
    real, made = generator.integers(0, 256, (2, 12, 10, 8, 12, 3)).astype(np.uint8)
    distances = RolloutDistances(Videos(), 10, weights, sha256)
    distances.add(real[:5], made[:5])
    distances.add(real[5:], made[5:])
    metrics, floors, notes = distances.measure(seed=0)
    assert metrics["fvd"].value == pytest.approx(frechet_video_distance(real, made, weights=weights), rel=1e-6)
    assert "fvd" not in floors
    assert any(sha256 in note and "12 videos of 10 frames" in note for note in notes)
    assert "FVD, standard I3D" in Report(metrics).table()
