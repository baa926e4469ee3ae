"""The wheel has all that its commands need: built from what the image is built from, run from a folder of its own."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import schemas
from tests.unit.compose.test_files import reaches_the_build

NOON = 1_795_608_000_000
Run = Callable[..., str]


def built_from(*folders: str) -> list[str]:
    """The files that reach the image's build: those that git has, or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    return [file for file in listed.stdout.splitlines() if reaches_the_build(file) and Path(file).exists()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for file in built_from():
        (source / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, source / file)
    pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", target, source)
    [file] = target.glob("*.whl")
    return file


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.fixture(scope="module")
def run(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs Python with the wheel and its dependencies, and without this repository: nothing of it is on the path."""
    home, installed = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--no-index", "--no-compile", "--target", installed, wheel)
    # Without `site` (-S) no .pth file is read, and so none that leads back to the repository.
    environment = {
        **os.environ,
        "PYTHONPATH": f"{installed}:{sysconfig.get_path('purelib')}:{sysconfig.get_path('platlib')}",
        "PYTHONWARNINGS": "error",
    }

    def python(*arguments: str, text: str = "") -> str:
        command = [sys.executable, "-S", "-B", *arguments]
        ended = subprocess.run(
            command, cwd=home, env=environment, input=text, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    assert python("-c", "import fraud.run; print(fraud.run.__file__)").startswith(str(installed))
    return python


def test_every_file_of_the_packages_is_in_the_wheel_with_its_data(wheel: Path) -> None:
    files = set(built_from("schemas", "service", "fraud", "ksql", "compose"))
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert "service/web/main.js" in names
    assert names == {file for file in files if not file.startswith("compose/locks/")}


def test_the_version_stands_once_and_is_that_of_the_wheel_and_of_each_program(wheel: Path, run: Run) -> None:
    assert wheel.name.startswith(f"underten-{schemas.__version__}-")
    for module in ("service", "fraud", "compose"):
        assert run("-m", module, "--version").strip() == schemas.__version__
    assert "SERVICE_PORT" in run("-m", "service", "--help")
    assert "replay" in run("-m", "fraud", "--help")


def test_payments_are_replayed_by_the_shipped_rules(run: Run) -> None:
    payments = [
        {
            "topic": "payment_json",
            "partition": 0,
            "offset": number,
            "timestamp": NOON + number,
            "id": f"00000000-0000-4000-8000-00000000000{number}",
            "payee_bank": "First National",
            "payee_account_no": 200,
            "payment_amount": 4000.01,
            "payment_method": "ACH",
            "payor_account_no": 100,
        }
        for number in range(3)
    ]
    rows = run("-m", "fraud", "replay", text="\n".join(json.dumps(payment) for payment in payments))
    totals = {row["rule"]: row["total_amount"] for row in map(json.loads, rows.splitlines())}
    assert totals["structuring"] == "12000.03"


def test_the_sql_the_pages_the_formats_and_the_description_are_there(run: Run) -> None:
    assert "CREATE STREAM" in run("-m", "fraud", "ksql", "render").upper()
    run(
        "-c",
        "import json, service.app, schemas.codecs\n"
        "from service.http import docs, pages\n"
        "assert json.loads(docs.description())['paths']\n"
        "assert docs._asset_bytes('swagger-ui.css')\n",
    )
