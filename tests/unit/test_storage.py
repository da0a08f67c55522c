"""Folders that are whole or not there: whatever moment a writer is killed at, and whoever writes beside it."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genie_lite import files, storage

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork: not on Windows")


def save(folder: Path, content: str) -> None:
    with storage.whole_folder(folder) as draft:
        (draft / "a.txt").write_text(content)
        (draft / "b.txt").write_text(content)


def content(folder: Path) -> set[str]:
    return {path.read_text() for path in folder.iterdir()}


def killed_at(module, name: str, call: int, folder: Path) -> None:
    """Save in a process that dies at its n-th call of a function, before the function does anything."""
    child = os.fork()
    if child == 0:
        calls, real = [], getattr(module, name)

        def deadly(*arguments, **named):
            calls.append(1)
            if len(calls) == call:
                os._exit(9)
            return real(*arguments, **named)

        try:
            setattr(module, name, deadly)
            save(folder, "new")
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@needs_fork
@pytest.mark.parametrize(
    ("module", "name", "call", "before", "after"),
    [
        (os, "fsync", 2, "old", "old"),
        (os, "replace", 1, "old", "old"),  # the old folder steps aside
        (os, "replace", 2, "old", "old"),  # the new folder takes its place
        (shutil, "rmtree", 1, "old", "new"),  # the old folder is removed
        (os, "fsync", 2, None, None),
        (os, "replace", 1, None, None),
        (shutil, "rmtree", 1, None, "new"),
    ],
)
def test_a_kill_at_any_moment_is_recovered(tmp_path, module, name, call, before, after):
    folder = tmp_path / "world"
    if before:
        save(folder, before)
    killed_at(module, name, call, folder)
    storage.recover_all(tmp_path)
    assert os.listdir(tmp_path) == (["world"] if after else [])
    assert not after or content(folder) == {after}
    save(folder, "next")
    assert os.listdir(tmp_path) == ["world"] and content(folder) == {"next"}


@needs_fork
def test_saving_again_after_a_kill_leaves_nothing_behind(tmp_path):
    folder = tmp_path / "world"
    save(folder, "old")
    for name in ("replace", "fsync"):
        killed_at(os, name, 2, folder)
    save(folder, "next")
    assert os.listdir(tmp_path) == ["world"] and content(folder) == {"next"}


def test_what_a_living_process_writes_is_left_alone(tmp_path, monkeypatch):
    """And what one wrote that is gone is removed, also where a later process has the same number."""
    living = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    drafts = [tmp_path / f".{name}.{living.pid}{end}.part" for name, end in (("world", ""), ("log.csv", ".00ff00ff"))]
    drafts[0].mkdir()
    drafts[1].write_text("step,loss\n")
    storage.recover_all(tmp_path)
    assert all(draft.exists() for draft in drafts)
    with monkeypatch.context() as patch:
        began = time.time() + 60
        patch.setattr(files.psutil.Process, "create_time", lambda process: began)
        storage.recover_all(tmp_path)
        assert os.listdir(tmp_path) == [], "a process that began later has the writer's number"
    for draft in drafts:
        draft.mkdir()
    living.communicate(b"\n")
    storage.recover_all(tmp_path)
    assert os.listdir(tmp_path) == []


def test_this_process_knows_what_it_writes(tmp_path):
    """Threads may save beside each other, and a draft that two interrupts left is no obstacle later."""
    (tmp_path / f".world.{os.getpid()}.part").mkdir()
    save(tmp_path / "world", "new")
    assert os.listdir(tmp_path) == ["world"]
    with storage.whole_folder(tmp_path / "world"), storage.whole_file(tmp_path / "a.gif"):
        storage.recover_all(tmp_path)
        assert len(os.listdir(tmp_path)) == 3, "one folder, two drafts"
        with pytest.raises(storage.FolderInUseError, match="world: another program is writing into it"):
            save(tmp_path / "world", "newer")
    assert sorted(os.listdir(tmp_path)) == ["a.gif", "world"]


def test_files_and_folders_of_other_names_stay(tmp_path):
    names = [".world.txt", ".world2.1.part.txt", "world.previous", ".other.part", ".world.part"]
    for name in names:
        (tmp_path / name).write_text("mine")
    save(tmp_path / "world", "new")
    storage.recover_all(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([*names, "world"])
