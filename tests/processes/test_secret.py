"""Orders are taken from one's own processes only."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from calcium_lightning.core.errors import InputError
from calcium_lightning.processes.secret import secret, sign, verified


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.delenv("CALCIUM_LIGHTNING_SECRET", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_what_was_signed_is_read_back(monkeypatch):
    signed = sign(b"go on", "1/0/order", b"17")
    assert verified(signed, "1/0/order", b"17") == b"go on"
    assert verified(signed, "1/1/order", b"17") is None  # said again for another job
    assert verified(signed, "1/0/order", b"18") is None  # said again in another run
    assert verified(signed + b"!", "1/0/order", b"17") is None
    assert verified(b"go on", "1/0/order", b"17") is None
    assert verified(b"", "1/0/order", b"17") is None
    monkeypatch.setenv("CALCIUM_LIGHTNING_SECRET", "another")
    assert verified(signed, "1/0/order", b"17") is None


def test_the_secret_is_kept_and_is_the_user_s_alone(cache):
    first = secret()
    (file,) = (cache / "calcium_lightning").iterdir()
    assert len(first) == 64
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert secret() == first
    file.chmod(0o644)
    with pytest.raises(InputError, match="others may read"):
        secret()


def test_processes_that_start_together_agree(cache):
    code = "from calcium_lightning.processes.secret import secret; print(secret().decode())"
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in started}) == 1
    assert len(list((cache / "calcium_lightning").iterdir())) == 1


def test_a_folder_that_can_t_be_made_is_told_with_the_way_round(cache, monkeypatch):
    (cache / "calcium_lightning").write_text("")
    with pytest.raises(InputError, match="CALCIUM_LIGHTNING_SECRET"):
        secret()
    monkeypatch.setenv("CALCIUM_LIGHTNING_SECRET", "told")
    assert secret() == b"told"
    assert os.listdir(cache) == ["calcium_lightning"]
