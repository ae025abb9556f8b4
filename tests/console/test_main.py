"""The command line as a whole: quick help, known exit codes, and errors that tell no value."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from console.cli import main
from console.cli.output import boundary
from models.errors import ConfigurationError, ConsignError, Findings, RefusedByPolicy, RemoteError, UsageError

CONSIGN = [sys.executable, "-m", "console.cli.main"]
HELP_CPU_SECONDS = 0.5
MARKER = "Zhang San 13800138000"
runner = CliRunner()


def consign(*words: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CONSIGN, *words],
        env={**os.environ, "CONSIGN_HOME": str(home), "CONSIGN_ENGINE": "direct", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_help_answers_at_once(tmp_path: Path) -> None:
    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    spent = []
    for _ in range(3):
        before = cpu()
        assert consign("--help", home=tmp_path).returncode == 0
        spent.append(cpu() - before)
    assert min(spent) < HELP_CPU_SECONDS


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from console.cli.main import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print(sorted({'pandas', 'prefect', 'sqlalchemy', 'pydantic', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "[]\n"


def test_help_lists_the_parts_that_are_there() -> None:
    listed = runner.invoke(main.app, ["--help"]).stdout
    for part in main.PARTS:
        assert (f"│ {part.name} " in listed) == main._is_there(part.module)


@pytest.mark.parametrize("part", [part.name for part in main.PARTS if main._is_there(part.module)])
def test_every_part_explains_itself(part: str) -> None:
    result = runner.invoke(main.app, [part, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.stdout


def test_a_slip_of_the_fingers_is_recognised() -> None:
    result = runner.invoke(main.app, ["docter"])
    assert (result.exit_code, "doctor" in result.output) == (2, True)


def test_the_version_is_told() -> None:
    from importlib.metadata import version

    assert runner.invoke(main.app, ["--version"]).stdout == f"consign {version('consign')}\n"


def test_completion_knows_the_commands(tmp_path: Path) -> None:
    done = consign(home=tmp_path, _CONSIGN_COMPLETE="complete_bash", COMP_WORDS="consign doc", COMP_CWORD="1")
    assert done.stdout.split() == ["doctor"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConsignError, 1),
        (UsageError, 2),
        (Findings, 3),
        (ConfigurationError, 4),
        (RemoteError, 5),
        (RefusedByPolicy, 6),
    ],
)
def test_our_errors_say_what_why_and_what_next(
    error: type[ConsignError], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, boundary("consign place"):
        raise error("the plan is not approved", fix="have it approved")
    told = capsys.readouterr()
    assert ended.value.exit_code == code
    assert (told.out, told.err) == ("", "the plan is not approved\n→ have it approved\n")


def test_an_unexpected_error_tells_its_type_and_place_and_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONSIGN_HOME", str(tmp_path))
    with pytest.raises(typer.Exit) as ended, boundary("consign place"):
        raise ValueError(MARKER)
    told = capsys.readouterr()
    assert (ended.value.exit_code, told.out) == (1, "")
    assert "consign place failed: ValueError" in told.err
    (noted,) = (tmp_path / "faults").iterdir()
    assert noted.name in told.err.replace("\n", "")
    assert MARKER not in told.err + noted.read_text()


def test_an_interrupt_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, boundary("consign place"):
        raise KeyboardInterrupt
    assert (ended.value.exit_code, "Interrupted" in capsys.readouterr().err) == (130, True)


def test_ctrl_c_at_the_keyboard_leaves_no_traceback(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom console.cli import main, output\n"
        "def sleep(): print('on', flush=True); time.sleep(30)\n"
        "app = __import__('typer').Typer(); app.command('doctor')(sleep)\n"
        "import console.cli.doctor; console.cli.doctor.app = app\n"
        "sys.argv = ['consign', 'doctor']; main.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "on\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in err) == (130, False)


@pytest.mark.parametrize("words", [("doctor",), ("keys", "list", "--help")])
def test_a_reader_that_goes_away_is_no_fault(tmp_path: Path, words: tuple[str, ...]) -> None:
    process = subprocess.Popen(
        [*CONSIGN, *words],
        env={**os.environ, "CONSIGN_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) in {141, 1}  # rich ends by 1 when it finds out first
    assert err == ""
    assert not (tmp_path / "faults").exists()


def test_a_connection_that_breaks_is_not_taken_for_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONSIGN_HOME", str(tmp_path))
    with pytest.raises(typer.Exit) as ended, boundary("consign place"):
        raise BrokenPipeError
    assert (ended.value.exit_code, "BrokenPipeError" in capsys.readouterr().err) == (1, True)


def test_a_setting_that_cannot_be_is_named_without_its_value(tmp_path: Path) -> None:
    done = consign("doctor", home=tmp_path, CONSIGN_SHARD_ROWS="very secret", CONSIGN_PASSPHRASE="more secret")
    assert done.returncode == 4
    assert "shard_rows" in done.stderr
    assert "secret" not in done.stdout + done.stderr


def test_nothing_but_the_result_is_on_stdout(tmp_path: Path) -> None:
    import json

    made = consign("init", "--json", home=tmp_path)
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["home"] == str(tmp_path)
    assert "root.key" in made.stderr
