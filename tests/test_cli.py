"""What a shell sees: exit codes, one line for an error, a usable state after Ctrl-C."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import simpaint
from simpaint.cli import main
from simpaint.errors import StorageError

COMMAND = [sys.executable, "-m", "simpaint"]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, simpaint.cli;"
        "print({'torch', 'numpy', 'cv2', 'pyarrow', 'faiss', 'matplotlib', 'rich'}"
        " & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "set()\n"


def test_commands_import_with_a_click_whose_types_are_not_generic() -> None:
    code = "import click; click.ParamType.__class_getitem__ = None; import simpaint.cli"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_version_and_help() -> None:
    run = CliRunner().invoke
    assert run(main, ["--version"]).output == f"simpaint, version {simpaint.__version__}\n"
    assert "Usage" in run(main, ["-h"]).output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--bogus", "No such option '--bogus'"),
        ("paint", "No such command 'paint'"),
        ("inpaint a.png --out b.png", "Missing option '--mask'. Try 'main inpaint --help'"),
        ("index search db a.png -k many", "Invalid value for '-k': 'many'"),
    ],
)
def test_a_command_typed_wrongly_is_one_line_too(arguments: str, said: str) -> None:
    result = CliRunner().invoke(main, arguments.split())
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {said}")
    assert result.stderr.count("\n") == 1


def test_a_group_without_a_command_shows_its_help() -> None:
    assert "Commands:" in CliRunner().invoke(main, ["index"]).output


@pytest.fixture
def _failing(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def fails() -> None:
        raise StorageError("cannot write it:\nNo space left on device")

    monkeypatch.setitem(main.commands, "fails", fails)


@pytest.mark.usefixtures("_failing")
def test_an_expected_error_is_one_line_and_exit_code_2() -> None:
    result = CliRunner().invoke(main, ["fails"])
    assert result.exit_code == 2
    assert result.stderr == "Error: cannot write it: No space left on device\n"


@pytest.mark.usefixtures("_failing")
def test_verbose_shows_the_traceback() -> None:
    result = CliRunner().invoke(main, ["-v", "fails"])
    assert result.exit_code == 2
    assert "Traceback" in result.stderr


def test_ctrl_c_ends_with_130_and_the_same_command_goes_on(tmp_path: Path) -> None:
    masks = ["masks", "generate", "synthetic", "--out", str(tmp_path), "--train", "40000"]
    masks += ["--test", "0", "--size", "64", "--workers", "2"]
    process = subprocess.Popen([*COMMAND, *masks], stderr=subprocess.PIPE, text=True)
    while not list((tmp_path / "parts").glob("train-*.parquet")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped." in stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "masks.parquet").exists()
    subprocess.run([*COMMAND, *masks], check=True, capture_output=True)
    assert len(list((tmp_path / "train").glob("*.png"))) == 40000


@pytest.mark.parametrize(
    ("said", "code"), [("DefaultCPUAllocator: can't allocate memory", 2), ("another bug", 1)]
)
def test_no_memory_is_one_line_but_a_bug_is_not(
    monkeypatch: pytest.MonkeyPatch, said: str, code: int
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr("simpaint.index_build.manifest.read_manifest", fail)
    result = CliRunner().invoke(main, ["index", "info", "db"])
    assert result.exit_code == code
    assert (result.output == f"Error: RuntimeError: {said}\n") == (code == 2)


def test_what_the_system_refuses_is_one_line_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied", "secret")

    monkeypatch.setattr("simpaint.index_build.manifest.read_manifest", refuse)
    result = CliRunner().invoke(main, ["index", "info", str(tmp_path)])
    assert result.exit_code == 2
    assert result.output == "Error: PermissionError: [Errno 13] Permission denied: 'secret'\n"


@pytest.mark.parametrize("device", ["gpu", "mps", "cuda:x", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").touch()
    arguments = ["index", "build", "photos", "--out", "db", "--device", device]
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert f"--device {device}: expected" in result.output
