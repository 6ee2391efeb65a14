from pathlib import Path

from omegaconf import OmegaConf

from calcium_lightning.loggers.wandb_job import identify
from calcium_lightning.runs.jobs import Job, write_job


def make_run(folder: Path, choices: dict[str, str] | None = None, **job) -> Path:
    (folder / ".hydra").mkdir(parents=True)
    OmegaConf.save(
        {"hydra": {"runtime": {"choices": {"hydra/launcher": "basic", **(choices or {})}}}},
        folder / ".hydra/hydra.yaml",
    )
    if job:
        write_job(folder, Job(hash="ab" * 32, id="abababababab-1", **job))
    return folder


def test_a_job_tells_who_it_is(tmp_path):
    folder = make_run(
        tmp_path / "run",
        {"experiment": "adapt", "encoder": "u_shape"},
        data={"a.h5": "11", "b.h5": "22"},
        git_commit="c0ffee",
        package_version="1.2",
    )
    told = identify(folder)
    assert (told.name, told.id, told.group, told.tags) == ("run", "abababababab-1", None, ("adapt",))
    assert told.config["choices"] == {"experiment": "adapt", "encoder": "u_shape"}
    job = told.config["job"]
    assert (job["git_commit"], job["package_version"]) == ("c0ffee", "1.2")
    assert job["data"] == [{"path": "a.h5", "sha256": "11"}, {"path": "b.h5", "sha256": "22"}]
    assert told.data == {"a.h5": "11", "b.h5": "22"}


def test_the_fingerprint_is_of_the_data_and_not_of_where_it_lies(tmp_path):
    sessions = (
        {"a.h5": "11", "b.h5": "22"},
        {"/elsewhere/b.h5": "22", "/elsewhere/a.h5": "11"},
        {"a.h5": "33"},
    )
    first, moved, other = (
        identify(make_run(tmp_path / str(number), data=data)).config["job"]["data_fingerprint"]
        for number, data in enumerate(sessions)
    )
    assert first == moved != other


def test_a_job_of_a_sweep_is_named_by_what_sets_it_apart(tmp_path):
    given = [
        "+experiment=adapt",
        "data.sessions=[ a.h5 ]",
        "seed=1,2",
        "encoder=choice(u_shape,u_shape_tiny)",
    ]
    OmegaConf.save({"hydra": {"overrides": {"task": given}}}, tmp_path / "multirun.yaml")
    overrides = ["+experiment=adapt", "data.sessions=[a.h5]", "seed=2", "encoder=u_shape"]
    told = identify(make_run(tmp_path / "3", sweep="multirun/train/x", number=3, overrides=overrides))
    assert told.name == "3 seed=2 encoder=u_shape"
    assert told.group == "multirun/train/x"


def test_a_run_of_nobody_has_its_folders_name_only(tmp_path):
    told = identify(tmp_path)
    assert (told.name, told.id, told.group, told.config, told.data) == (tmp_path.name, None, None, {}, {})
