"""What a stage of training promises: it learns, never reads true actions, and keeps what it does not train."""

import dataclasses
import shutil
import sys

import numpy as np
import pytest
import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

from genie_lite import load_config
from genie_lite.api import Genie
from genie_lite.config import StageConfig, TransformerConfig
from genie_lite.data import FrameDataset, sample_dataset
from genie_lite.nn import STTransformer
from genie_lite.training import distributed, read_log, starting, train_genie, train_tokenizer
from genie_lite.training.log import RunLog
from genie_lite.training.loop import fit, training_step
from genie_lite.training.losses import PARTS, latent_action_losses, tokenizer_losses
from genie_lite.training.optim import build_optimizers, set_progress
from genie_lite.training.run import progress_of

LONG = {f"training.{stage}.steps": 12 for stage in ("tokenizer", "genie", "latent_action", "dynamics")}
EVERY = {f"training.{stage}.log_every": 1 for stage in ("tokenizer", "genie", "latent_action", "dynamics")}


@pytest.fixture(scope="module")
def dataset() -> FrameDataset:
    return sample_dataset("train")


@pytest.fixture
def config():
    return load_config("tiny", {**LONG, **EVERY})


def same_weights(a: Genie, b: Genie) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return all(torch.equal(first[name], second[name]) for name in first)


def test_no_stage_reads_true_actions(config, dataset, tmp_path, monkeypatch):
    """With `env_actions` out of reach, every stage trains; and a dataset asked for them says so to this test."""

    def forbidden(self):
        raise AssertionError("a training stage asked for env_actions")

    monkeypatch.setattr(FrameDataset, "env_actions", forbidden)
    with pytest.raises(AssertionError, match="asked for env_actions"):
        dataset.env_actions()
    genie = train_tokenizer(config, dataset, tmp_path / "tokenizer", progress=False)
    for parts in (PARTS, ("latent_action",), ("dynamics",)):
        train_genie(config, dataset, tmp_path / "-".join(parts), tokenizer=genie, parts=parts, progress=False)
    dynamics = dataclasses.replace(config.model.dynamics, action_input="prepended")
    prepended = dataclasses.replace(config, model=dataclasses.replace(config.model, dynamics=dynamics))
    train_genie(prepended, dataset, tmp_path / "prepended", tokenizer=genie, parts=("dynamics",), progress=False)


def test_the_time_that_is_left_is_never_negative(config, tmp_path, capsys):
    """The last step of a run with a time budget may end after its time."""
    log = RunLog(tmp_path, "stage", config.training.tokenizer, 0, progress=True, tensorboard=False)
    log.tick(1.01, 60.0, 1, {"step": 1.0, "loss": 0.5})
    log.close()
    assert "minutes left=0.0" in capsys.readouterr().err


def test_training_does_not_depend_on_true_actions(config, tmp_path):
    """The same videos with other env_actions on disk give the same weights."""
    import zarr

    from genie_lite.data import open_dataset, write_dataset

    source = sample_dataset("train")
    videos = source.read_clips(source.clip_starts(20)[[0, 500, 1000, 2000]], 20)
    base, trained = Genie(config), []
    for name, env_action in (("left", 1), ("right", 7)):
        path = tmp_path / f"{name}.zarr"
        write_dataset(path, videos, {"game": "coinrun"}, [np.full(20, env_action, np.uint8)] * len(videos))
        assert (np.asarray(zarr.open_group(str(path), mode="r")["env_actions"]) == env_action).all()
        run = tmp_path / name
        genie = train_genie(config, open_dataset(path), run, tokenizer=base, progress=False)
        trained.append(genie)
    for part in PARTS:
        first, second = (getattr(genie, part).state_dict() for genie in trained)
        assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_stages_keep_what_they_do_not_train(config, dataset, tmp_path):
    base = train_tokenizer(config, dataset, tmp_path / "tokenizer", progress=False)
    assert base.card["trained"] == ["tokenizer"]
    with_lam = train_genie(config, dataset, tmp_path / "lam", tokenizer=base, parts=("latent_action",), progress=False)
    whole = train_genie(config, dataset, tmp_path / "world", tokenizer=with_lam, parts=("dynamics",), progress=False)
    assert whole.card["trained"] == ["dynamics", "latent_action", "tokenizer"]
    for name, value in with_lam.state_dict().items():
        kept = name.split(".")[0] in ("tokenizer", "latent_action")
        assert not kept or torch.equal(value, whole.state_dict()[name])
    loaded = Genie.load(tmp_path / "world" / "checkpoint")
    assert same_weights(loaded, whole)


def test_a_run_may_begin_with_another_worlds_weights(dataset, tmp_path):
    """With one step at a rate of nearly nothing, what comes out is what went in; more codes begin as the old ones."""
    still = {f"training.{stage}.{key}": value for stage in ("tokenizer", "genie")
             for key, value in {"steps": 1, "max_lr": 1e-12, "min_lr": 0.0, "muon_lr": 1e-12}.items()}  # fmt: skip
    still |= {"training.tokenizer.sample_every": 0, "training.genie.sample_every": 0}
    torch.manual_seed(5)
    other = Genie(load_config("tiny"))
    more = load_config("tiny", {**still, "model.latent_action.codebook.num_codes": 9})
    genie = train_tokenizer(more, dataset, tmp_path / "tokenizer", start=other, progress=False)
    genie = train_genie(more, dataset, tmp_path / "genie", tokenizer=genie, start=other, progress=False)
    learned = {name: value for name, value in other.named_parameters() if "codebook" not in name}
    assert len(learned) > 50
    for name, value in learned.items():
        torch.testing.assert_close(genie.state_dict()[name], value, rtol=0, atol=1e-6)
    old, new = (g.latent_action.quantizer.lookup(torch.arange(k)) for g, k in ((other, 6), (genie, 9)))
    assert (new @ old.T).argmax(1).tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2]


def test_a_model_is_trained_as_it_was_prepared(config, dataset, tmp_path):
    """`prepare` sees the models that are trained, those alone, and what it replaces is what training calls."""
    prepared, start = [], []

    def prepare(model):
        prepared.append(type(model).__name__)
        start.append(model.quantizer.codebook.clone())
        model.quantizer.learn = lambda latents, codes: None

    plain = train_tokenizer(config, dataset, tmp_path / "plain", progress=False)
    still = train_tokenizer(config, dataset, tmp_path / "still", prepare=prepare, progress=False)
    assert torch.equal(still.tokenizer.quantizer.codebook, start[0])
    assert not torch.equal(plain.tokenizer.quantizer.codebook, start[0])
    genie = train_genie(
        config, dataset, tmp_path / "l", tokenizer=plain, parts=("latent_action",), prepare=prepare, progress=False
    )
    assert prepared == ["VideoTokenizer", type(genie.latent_action).__name__]
    assert torch.equal(genie.latent_action.quantizer.codebook, start[1])


def test_weights_that_do_not_fit_are_named(config, dataset, tmp_path):
    base = Genie(config)
    wider = Genie(load_config("tiny", {"model.dynamics.transformer.d_model": 48}))
    with pytest.raises(ValueError, match=r"start: its dynamics is not built like this one \(size mismatch"):
        train_genie(config, dataset, tmp_path / "a", tokenizer=base, parts=["dynamics"], start=wider, progress=False)
    more = Genie(load_config("tiny", {"model.latent_action.codebook.num_codes": 9}))
    with pytest.raises(ValueError, match="start: its latent_action is not built like this one"):
        train_genie(config, dataset, tmp_path / "b", tokenizer=base, parts=PARTS[:1], start=more, progress=False)


@pytest.mark.parametrize(
    ("start", "parts", "times"), [("codebook", PARTS, 1), ("codebook", PARTS[:1], 0), ("random", PARTS, 0)]
)
def test_a_new_dynamics_model_starts_from_the_codebook_where_its_setting_says_so(
    config, dataset, tmp_path, monkeypatch, start, parts, times
):
    base, seen = Genie(config), []
    monkeypatch.setattr(starting, "start_from_codes", lambda model, codes: seen.append(codes))
    steps = {f"training.{stage}.steps": 1 for stage in ("genie", "latent_action")}
    config = load_config("tiny", {**steps, "model.dynamics.token_start": start})
    train_genie(config, dataset, tmp_path, tokenizer=base, parts=parts, progress=False)
    assert len(seen) == times
    for codes in seen:
        assert torch.equal(codes, base.tokenizer.quantizer.lookup(torch.arange(64)))


def test_training_lowers_the_loss(dataset, tmp_path):
    longer = {f"training.{stage}.{key}": value for stage in ("tokenizer", "dynamics", "latent_action")
              for key, value in {"steps": 60, "log_every": 1, "sample_every": 0, "clips": 4}.items()}  # fmt: skip
    config = load_config("tiny", longer)
    genie = train_tokenizer(config, dataset, tmp_path / "tokenizer", progress=False)
    genie = train_genie(config, dataset, tmp_path / "lam", tokenizer=genie, parts=("latent_action",), progress=False)
    train_genie(config, dataset, tmp_path / "dynamics", tokenizer=genie, parts=("dynamics",), progress=False)
    for run in ("tokenizer", "dynamics"):
        loss = read_log(tmp_path / run)["loss"]
        assert loss[-10:].mean() < 0.8 * loss[:3].mean()
    assert read_log(tmp_path / "lam")["gain_db"][-10:].mean() > 0.1


def test_a_run_leaves_a_log_pictures_and_a_checkpoint(config, dataset, tmp_path):
    train_tokenizer(config, dataset, tmp_path, progress=False)
    log = read_log(tmp_path)
    assert {"step", "minutes", "lr", "grad_norm", "loss", "psnr", "codes_in_use"} == set(log)
    assert [p.name for p in sorted((tmp_path / "samples").iterdir())] == [
        f"step-{step:07d}.png" for step in (0, 4, 8, 12)
    ]
    assert sorted(p.name for p in (tmp_path / "state").iterdir()) == ["step-0000012"]
    train_tokenizer(config, dataset, tmp_path, progress=False)  # nothing left to do
    assert read_log(tmp_path)["step"][-1] == 12


def test_a_time_budget_ends_a_run_and_its_schedule():
    stage = StageConfig(steps=1000, time_budget_minutes=2.0)
    assert progress_of(stage, 10, 60) == pytest.approx(0.5)
    assert progress_of(stage, 900, 60) == pytest.approx(0.9)
    assert progress_of(stage, 10, 121) > 1
    model = torch.nn.Linear(2, 2)
    optimizers = build_optimizers(model, stage)
    assert set_progress(optimizers, stage, 500, 0.0) == pytest.approx(stage.max_lr)
    assert set_progress(optimizers, stage, 500, 1.0) == pytest.approx(stage.min_lr)
    assert set_progress(optimizers, stage, 0, 0.0) == pytest.approx(stage.max_lr / stage.warmup_steps)


@pytest.mark.parametrize("micro_batch", [1, 2, 3])
@pytest.mark.parametrize("part", ["tokenizer", "latent_action"])
def test_clips_that_go_through_in_parts_give_the_gradients_of_all(dataset, part, micro_batch):
    learned = {f"model.{part}.codebook.update": "gradient", f"model.{part}.codebook.restart_after": 0}
    torch.manual_seed(0)
    model = getattr(Genie(load_config("tiny", learned)), part)
    for weights in model.parameters():  # fresh blocks do nothing
        torch.nn.init.normal_(weights, std=0.2)
    measure = {"tokenizer": tokenizer_losses, "latent_action": latent_action_losses}[part]
    frames = torch.from_numpy(dataset.read_clips(dataset.clip_starts(4)[[0, 90, 180]], 4)).float() / 255
    seen: list[int] = []

    def losses(clips: torch.Tensor) -> dict[str, torch.Tensor]:
        seen.append(len(clips))
        return measure(model, clips)

    found = []
    for size in (None, micro_batch):
        model.zero_grad()
        result, norm = training_step(model, losses, frames, {}, StageConfig(micro_batch=size, precision="float32"))
        found.append((float(result["loss"]), float(norm), [p.grad.clone() for p in model.parameters()]))
    assert seen == {1: [3, 1, 1, 1], 2: [3, 2, 1], 3: [3, 3]}[micro_batch]
    assert found[1][:2] == pytest.approx(found[0][:2], rel=1e-5)
    assert found[0][1] > 0
    for whole, parts in zip(found[0][2], found[1][2], strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-7)


def test_a_micro_batch_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"micro_batch: found 0, wanted 1 or more"):
        load_config("tiny", {"training.genie.micro_batch": 0})


def test_muon_takes_the_matrices_of_the_blocks_and_adamw_the_rest():
    genie = Genie(load_config("tiny"))
    optimizers = build_optimizers(genie.dynamics, StageConfig(optimizer="muon"))
    in_muon = {id(p) for group in optimizers["muon"].param_groups for p in group["params"]}
    for name, parameter in genie.dynamics.named_parameters():
        assert (id(parameter) in in_muon) == ("blocks" in name), name
    assert "muon" not in build_optimizers(genie.dynamics, StageConfig(optimizer="adamw"))


@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`")
def test_a_transformer_that_is_really_compiled_computes_the_same(tmp_path, monkeypatch):
    """Output and gradients, from one graph without breaks."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    model = STTransformer(TransformerConfig(num_layers=1, d_model=16, num_heads=2), window=4)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    x, found = torch.randn(2, 3, 4, 16), []
    torch._dynamo.reset()
    for compiled in (False, True):
        if compiled:
            model.compile(fullgraph=True)
        model.zero_grad()
        y = model(x)
        y.square().sum().backward()
        found.append([y.detach(), *(parameter.grad for parameter in model.parameters())])
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_compile_is_asked_for_by_the_setting_and_gone_after_training(config, dataset, tmp_path, monkeypatch):
    compiled = []  # the two transformers that would be compiled; the test above really compiles one

    def stand_in(self):
        compiled.append(self)
        self._compiled_call_impl = self._call_impl

    monkeypatch.setattr(STTransformer, "compile", stand_in)
    train_tokenizer(config, dataset, tmp_path / "plain", progress=False)
    assert not compiled
    genie = train_tokenizer(
        load_config("tiny", {"training.tokenizer.compile": True}), dataset, tmp_path / "compiled", progress=False
    )
    assert compiled == [genie.tokenizer.encoder, genie.tokenizer.decoder]
    assert all(transformer._compiled_call_impl is None for transformer in compiled)


def test_tensorboard_is_optional_and_says_so(config, dataset, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # as if it were not installed
    with pytest.raises(ModuleNotFoundError, match=r"pip install genie-lite\[tensorboard\]"):
        train_tokenizer(config, dataset, tmp_path, progress=False, tensorboard=True)


def test_wrong_parts_are_named(config, dataset, tmp_path):
    with pytest.raises(ValueError, match="parts: found .'lam'., wanted one or both"):
        train_genie(config, dataset, tmp_path, tokenizer=Genie(config), parts=("lam",), progress=False)


def test_fit_needs_no_more_than_frames(config, dataset, tmp_path):
    """The loop takes any model and any loss of frames: one hook."""
    model = torch.nn.Linear(3, 3)
    fit(
        model, lambda frames: {"loss": (model(frames) - frames).square().mean()}, dataset,
        config.training.tokenizer, tmp_path, title="mirror", progress=False,
    )  # fmt: skip
    assert read_log(tmp_path)["loss"][-1] < read_log(tmp_path)["loss"][0]


def test_a_codebook_of_patches_is_fitted_once_and_kept(dataset, tmp_path, caplog):
    book = {"num_codes": 64, "latent_dim": 192, "normalize": False, "update": "fixed", "restart_after": 0}
    settings = {"model.tokenizer.codes": "patches", "model.tokenizer.patch_size": 8, "model.tokenizer.codebook": book}
    caplog.set_level("INFO")
    steps = "training.tokenizer.steps"
    first = train_tokenizer(load_config("tiny", settings | {steps: 2}), dataset, tmp_path, progress=False)
    codebook = first.tokenizer.quantizer.codebook
    assert "looking for 64 typical patches" in caplog.text and codebook.std() > 0.1
    caplog.clear()
    longer = train_tokenizer(load_config("tiny", settings | {steps: 4}), dataset, tmp_path, progress=False)
    assert "looking for" not in caplog.text  # resumed: it has them
    assert torch.equal(longer.tokenizer.quantizer.codebook, codebook)
    assert not torch.equal(longer.tokenizer.to_patch.weight, first.tokenizer.to_patch.weight)


@pytest.mark.parametrize("end", ["2,0.2,0.", "2,0.2,0.5", "2,0.2,", "2,", "2", "2,0.2,0.5,7\r\n", "2,\0\0,0.5\r\n"])
def test_a_row_of_the_log_that_was_cut_short_is_left_out(tmp_path, end: str) -> None:
    """A kill may end a row anywhere: what is left of a number must not be taken for one."""
    (tmp_path / "log.csv").write_bytes(b"step,minutes,loss\r\n1,0.1,0.75\r\n" + end.encode())
    log = read_log(tmp_path)
    assert {name: list(values) for name, values in log.items()} == {"step": [1.0], "minutes": [0.1], "loss": [0.75]}


def test_the_norm_of_gradients_is_taken_of_gradients_alone(tmp_path, monkeypatch) -> None:
    """Of an empty list PyTorch says 0 on the CPU, which cannot be added to norms on a GPU."""
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        parameter = torch.nn.Parameter(distribute_tensor(torch.ones(4), mesh, [Shard(0)]))
        parameter.grad = distribute_tensor(torch.tensor([3.0, 0.0, 4.0, 0.0]), mesh, [Shard(0)])
        real = torch.nn.utils.get_total_norm
        asked = []
        monkeypatch.setattr(torch.nn.utils, "get_total_norm", lambda grads: asked.append(len(grads)) or real(grads))
        norm = distributed.clip_gradients([parameter], 1.0)
        assert asked == [1] and norm == 5.0
        torch.testing.assert_close(parameter.grad.full_tensor(), torch.tensor([0.6, 0.0, 0.8, 0.0]))
    finally:
        torch.distributed.destroy_process_group()
