import csv
import errno

import pytest

from calcium_lightning.loggers.metrics_table import MetricsTable, forget_after, read_table


def test_new_names_make_new_columns_and_old_rows_stay(tmp_path):
    path = tmp_path / "metrics.csv"
    table = MetricsTable(path)
    table.log_metrics({"lr": 0.1}, step=0)
    table.log_metrics({"val/loss": 2.5, "epoch": 0}, step=3)
    columns, rows = read_table(path)
    assert columns == ["epoch", "step", "lr", "val/loss"]
    assert rows[0] == {"epoch": "", "step": "0", "lr": "0.1", "val/loss": ""}
    assert rows[1]["val/loss"] == "2.5"


def test_a_resumed_run_goes_on_with_the_table(tmp_path):
    path = tmp_path / "metrics.csv"
    for step in range(4):
        MetricsTable(path).log_metrics({"loss": step, "epoch": 0}, step=step)
    forget_after(path, 3)
    MetricsTable(path).log_metrics({"loss": 30.0, "new": 1, "epoch": 1}, step=3)
    columns, rows = read_table(path)
    assert columns == ["epoch", "step", "loss", "new"]
    assert [row["loss"] for row in rows] == ["0", "1", "2", "30.0"]


def test_nothing_to_forget_is_fine(tmp_path):
    forget_after(tmp_path / "metrics.csv", 3)
    assert not (tmp_path / "metrics.csv").exists()


def test_a_full_disk_leaves_no_half_row(tmp_path, monkeypatch):
    """The next row would go on in it."""
    path = tmp_path / "metrics.csv"
    table = MetricsTable(path)
    table.log_metrics({"loss": 0.5}, step=0)
    whole = path.read_bytes()

    def half(writer, row):
        with path.open("a") as stream:
            stream.write("1,0.")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(csv.DictWriter, "writerow", half)
    with pytest.raises(OSError, match="No space left"):
        table.log_metrics({"loss": 0.25}, step=1)
    assert path.read_bytes() == whole
