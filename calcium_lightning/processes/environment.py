"""How many processes a run has, and who starts them: we ourselves, torchrun, or SLURM's srun.

Knows environment variables and the trainer's config; starts nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf

from calcium_lightning.core import system
from calcium_lightning.core.errors import InputError

#: strategies of Lightning's that start processes by Python's multiprocessing, each of ours again
STARTING = ("ddp_spawn", "ddp_fork", "ddp_notebook")


@dataclass(frozen=True)
class RankEnvironment:
    """The place of one process among those of a run.

    Attributes
    ----------
    size, local_size : int
        Processes in all, and on this machine.
    rank, local_rank, node : int
        This one, among all, among those of its machine, and which machine it is on.
    address, port : str, int
        Where they meet: of process 0's machine.
    external_store : bool
        Somebody else (torchrun) keeps the store open in which they meet; otherwise process 0 does.
    """

    size: int
    local_size: int
    rank: int
    local_rank: int
    node: int
    address: str
    port: int
    external_store: bool = False

    @property
    def one_machine(self) -> bool:
        """All processes are on this machine."""
        return self.size == self.local_size

    def variables(self) -> dict[str, str]:
        """The same as torchrun's environment variables."""
        return {
            "WORLD_SIZE": str(self.size),
            "LOCAL_WORLD_SIZE": str(self.local_size),
            "RANK": str(self.rank),
            "LOCAL_RANK": str(self.local_rank),
            "GROUP_RANK": str(self.node),
            "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self.port),
        }


def started_by_others() -> RankEnvironment | None:
    """The place that torchrun or SLURM gave this process; ``None`` where it is alone.

    Raises
    ------
    InputError
        If their variables contradict each other.
    """
    environment = os.environ
    if "RANK" in environment and int(environment.get("WORLD_SIZE", 1)) > 1:
        size = _possible(int(environment["WORLD_SIZE"]))
        return RankEnvironment(
            size=size,
            local_size=int(environment.get("LOCAL_WORLD_SIZE", size)),
            rank=int(environment["RANK"]),
            local_rank=int(environment.get("LOCAL_RANK", environment["RANK"])),
            node=int(environment.get("GROUP_RANK", 0)),
            address=environment.get("MASTER_ADDR", "127.0.0.1"),
            port=int(environment.get("MASTER_PORT", 29500)),
            external_store=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        )
    # Of the step, which srun makes; a batch script's own commands are one process whatever it has reserved.
    size = int(environment.get("SLURM_STEP_NUM_TASKS", environment.get("SLURM_NTASKS", 1)))
    if "SLURM_PROCID" not in environment or size == 1:
        return None
    from lightning.fabric.plugins.environments import SLURMEnvironment

    names = environment.get("SLURM_STEP_NODELIST", environment.get("SLURM_NODELIST", "127.0.0.1"))
    job, step = (int(environment.get(name, 0)) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    nodes = int(environment.get("SLURM_STEP_NUM_NODES", environment.get("SLURM_NNODES", 1)))
    if size % nodes:
        raise InputError(
            f"{size} processes on {nodes} nodes: srun --ntasks-per-node= makes them equally many"
        )
    rank = int(environment["SLURM_PROCID"])
    local_size, node = size // nodes, int(environment.get("SLURM_NODEID", 0))
    local_rank = int(environment.get("SLURM_LOCALID", rank))
    seen = environment.get("CUDA_VISIBLE_DEVICES", "")
    if seen and "," not in seen:
        # srun --gpus-per-task=1: each sees its own GPU only, as if it were on a machine of its own.
        local_size, local_rank, node = 1, 0, rank
    return RankEnvironment(
        size=size,
        local_size=local_size,
        rank=rank,
        local_rank=local_rank,
        node=node,
        address=environment.get("MASTER_ADDR") or SLURMEnvironment.resolve_root_node_address(names),
        port=int(environment.get("MASTER_PORT") or 15000 + (job + 97 * step) % 10000),
    )


def rank_count(trainer: DictConfig) -> int:
    """How many processes a trainer's config asks for on this machine, whatever its strategy.

    Raises
    ------
    InputError
        If it asks for what isn't there.
    """
    if _number(trainer, "num_nodes", 1) > 1:
        raise InputError("trainer.num_nodes: several machines need torchrun or srun to start the processes")
    devices, accelerator = trainer.get("devices", 1), trainer.get("accelerator", "auto")
    strategy = str(trainer.get("strategy", "auto"))
    if strategy.startswith(STARTING):
        raise InputError(f"trainer.strategy={strategy}: starts processes of its own; ddp is wanted")
    if OmegaConf.is_list(devices):
        return _possible(len(devices))
    if str(devices) not in ("auto", "-1"):
        return _possible(_number(trainer, "devices", 1))
    count = 0
    if accelerator in ("gpu", "cuda", "auto"):
        import torch

        count = torch.cuda.device_count()
    if not count and strategy.startswith("ddp"):
        raise InputError(
            f"trainer.devices={devices}: no GPU here; trainer=ddp_cpu runs on the CPU, "
            "trainer.devices=2 says how many processes"
        )
    return _possible(count or 1)


def _possible(count: int) -> int:
    if count > 1 and system.WINDOWS:  # nothing hands a socket on, or ends a process with those it started
        raise InputError(
            f"{count} processes: one run has one process on Windows; trainer.devices=1, or WSL 2 for several"
        )
    return count


def _number(trainer: DictConfig, key: str, default: int) -> int:
    value = trainer.get(key, default)
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        wanted = "a number, a list or auto" if key == "devices" else "a whole number"
        raise InputError(f"trainer.{key}={value}: {wanted}") from error
