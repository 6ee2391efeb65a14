"""What NWB wants to know of a session: the settings, when it began, the animal, the microscope.

Knows :class:`~calcium_lightning.core.cells.Cells` and pynwb; nothing of what was found.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from calcium_lightning.core.cells import Cells
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.plain import readable
from calcium_lightning.core.version import __version__

if TYPE_CHECKING:
    from pynwb import NWBFile
    from pynwb.ophys import ImagingPlane

SUBJECT = ("subject_id", "species", "sex", "age", "strain", "genotype")


@dataclass(frozen=True)
class NwbSettings:
    """What NWB wants to know and a cells file doesn't.

    Attributes
    ----------
    session_start_time : str, optional
        ISO 8601, with or without a time zone (then the local one); default: what the recorder said, or else
        when the session file was last changed, or the cells file if the session is gone.
    masks : {"pixel", "image"}
        Footprints as lists of (x, y, weight), or as whole images (compressed).
    localizations : bool
        Write the table of every localisation in every frame too.
    indicator, location, excitation_nm, emission_nm, device
        Of the imaging plane.
    subject_id, species, sex, age, strain, genotype, subject_description
        Of the animal; ``sex`` is M, F, U or O, ``age`` is ISO 8601 (P90D).
    experimenter, lab, institution, session_description, experiment_description
        Of the session.
    """

    session_start_time: str | None = None
    masks: str = "pixel"
    localizations: bool = False
    indicator: str = "unknown"
    location: str = "unknown"
    device: str | None = None
    excitation_nm: float | None = None
    emission_nm: float | None = None
    subject_id: str | None = None
    species: str | None = None
    sex: str | None = None
    age: str | None = None
    strain: str | None = None
    genotype: str | None = None
    subject_description: str | None = None
    experimenter: str | None = None
    lab: str | None = None
    institution: str | None = None
    session_description: str | None = None
    experiment_description: str | None = None


def start_time(cells: Cells, settings: NwbSettings, source: Path | None) -> tuple[datetime, str]:
    """When the session began, with a time zone, and how that is known.

    Raises
    ------
    InputError
        If the given time isn't ISO 8601.
    """
    if settings.session_start_time is not None:
        try:
            moment = datetime.fromisoformat(str(settings.session_start_time))
        except ValueError as error:
            raise InputError(
                f"nwb.session_start_time={settings.session_start_time}: not a time "
                "like 2026-03-01T14:30:00+01:00"
            ) from error
        return (moment if moment.tzinfo else moment.astimezone()), "given"
    if (noted := _recorded(cells)) is not None:
        return noted, "as the recorder noted it"
    for file in (Path(cells.session) if cells.session else None, source):
        if file is not None and file.is_file():
            moment = datetime.fromtimestamp(file.stat().st_mtime, tz=UTC)
            return moment, f"unknown; this is when {file.name} was last changed"
    return datetime(1970, 1, 1, tzinfo=UTC), "unknown"


def _recorded(cells: Cells) -> datetime | None:
    """The start that the recorder noted; None where it did not, or in no form that is known."""
    try:
        moment = datetime.fromisoformat(cells.about.get("session_start_time", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.astimezone()


def began(cells: Cells, settings: NwbSettings) -> str:
    """When the recording began, ISO 8601, as far as that is known; empty otherwise."""
    return settings.session_start_time or cells.about.get("session_start_time", "")


def session_file(cells: Cells, settings: NwbSettings, source: Path | None) -> NWBFile:
    """An NWB file that says what is known of session and animal, without any data."""
    from pynwb import NWBFile
    from pynwb.file import Subject

    moment, known = start_time(cells, settings, source)
    notes = [f"Session start time: {known}."]
    if cells.session:
        notes.append(f"Session file: {cells.session} (sha256 {cells.session_sha256}).")
    file = NWBFile(
        session_description=settings.session_description or "One-photon calcium imaging",
        identifier=str(uuid4()),
        session_start_time=moment,
        session_id=readable(Path(cells.session).stem) or None,
        experimenter=settings.experimenter or cells.about.get("experimenter"),
        experiment_description=settings.experiment_description or cells.about.get("experiment"),
        lab=settings.lab,
        institution=settings.institution,
        keywords=["calcium imaging", "one-photon", "cell extraction"],
        notes=readable(" ".join(notes)),
        source_script=cells.config or None,
        source_script_file_name="extract.yaml" if cells.config else None,  # NWB wants both or neither
        was_generated_by=[["calcium-lightning", cells.package_version or __version__]],
    )
    facts = {name: getattr(settings, name) for name in SUBJECT}
    facts["subject_id"] = facts["subject_id"] or cells.about.get("subject_id")
    if any(facts.values()):
        known_facts = {name: value for name, value in facts.items() if value}
        file.subject = Subject(description=settings.subject_description, **known_facts)
    return file


def imaging_plane(file: NWBFile, cells: Cells, settings: NwbSettings) -> ImagingPlane:
    """The field of view, its microscope and its light."""
    from pynwb.ophys import OpticalChannel

    grid: dict[str, Any] = {}
    if cells.pixel_size_um is not None:
        size = cells.pixel_size_um * 1e-6
        grid = {"grid_spacing": [size, size], "grid_spacing_unit": "meters"}
    channel = OpticalChannel(
        name="OpticalChannel", description="emission", emission_lambda=_wavelength(settings.emission_nm)
    )
    return file.create_imaging_plane(
        name="ImagingPlane",
        optical_channel=channel,
        description=f"the field of view, {cells.frame_shape[1]} x {cells.frame_shape[0]} pixels (x, y)",
        device=file.create_device("Microscope", description=_device(cells, settings)),
        excitation_lambda=_wavelength(settings.excitation_nm),
        indicator=settings.indicator,
        location=settings.location,
        imaging_rate=float(cells.fps),
        **grid,
    )


def _device(cells: Cells, settings: NwbSettings) -> str:
    return settings.device or cells.about.get("device") or "one-photon microscope"


def _wavelength(value: float | None) -> float:
    return float("nan") if value is None else float(value)
