"""The LightningModule of the published system: two losses, three optimisers.

Knows batches of frames and the network, and nothing of files or of how coordinates become cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from calcium_lightning.core.errors import InputError
from calcium_lightning.nn.checkpoint import FORMAT, VERSION
from calcium_lightning.nn.windows import WindowBatch, WindowSettings
from calcium_lightning.replications.teng2021.decoder import SplatLatentDecoder
from calcium_lightning.replications.teng2021.losses import PublishedLoss, PublishedTerms
from calcium_lightning.replications.teng2021.network import PublishedNetwork, PublishedPrediction

#: the optimisers, in the order of :meth:`PublishedModel.configure_optimizers`
OPTIMIZERS = ("everything", "coordinates", "sparsity")


class PublishedModel(L.LightningModule):
    """Learn coordinates by painting frames from their similarity scores.

    Each step computes both losses once. The optimiser of everything and that of the coordinates step along
    the gradient of the global loss, the third moves encoder and coordinates along that of the sparsity loss.
    (One pass for three steps: their rates are so small that the passes in between would tell nothing new.)

    Parameters
    ----------
    encoder, painter : nn.Module
        See :mod:`calcium_lightning.replications.teng2021`.
    loss : PublishedLoss
        Both losses.
    optimizer : mapping of str to callable
        ``everything``, ``coordinates``, ``sparsity``: each gives an optimiser for parameters.
    coordinates, size, margin
        Of the network.
    l1 : float
        L1 weight decay of the encoder: each step takes ``rate * l1`` from each weight's size.
    l1_in_loss : bool
        Add ``l1 * sum(|weight|)`` to the global loss instead. It outweighs the reconstruction by far.
    decoder_weight_decay : float
        Each step takes ``rate * decay`` of each decoder weight; named as missing by the authors.
    window : WindowSettings, optional
        One frame.
    architecture : mapping, optional
        Plain settings of the parts, for the checkpoint.

    Notes
    -----
    ``val/unexplained`` is the mean squared error of held-out frames over their variance about the mean
    frame: 1 is what a still picture explains.
    """

    def __init__(
        self,
        encoder: nn.Module,
        painter: nn.Module,
        loss: PublishedLoss,
        optimizer: Mapping[str, Callable[..., torch.optim.Optimizer]],
        coordinates: int = 100,
        size: int = 100,
        margin: float = 5.0,
        l1: float = 0.1,
        l1_in_loss: bool = False,
        decoder_weight_decay: float = 0.0,
        window: WindowSettings | None = None,
        architecture: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        missing = set(OPTIMIZERS) - set(optimizer if isinstance(optimizer, Mapping) else ())
        if missing:
            raise InputError(
                f"optimizer: the published model has three, {', '.join(sorted(missing))} is missing; "
                "optimizer=published"
            )
        if not isinstance(loss, PublishedLoss):
            raise InputError("loss: of another model; loss=published or published_black_white")
        if getattr(encoder, "out_channels", 1) != 1:
            raise InputError("encoder: the published model needs one map, not features; encoder=published")
        decoder = dict((architecture or {}).get("decoder", {}))
        self.network = PublishedNetwork(encoder, painter, decoder, coordinates, size, margin, architecture)
        self.loss = loss
        self.make_optimizer = dict(optimizer)
        self.l1 = l1
        self.l1_in_loss = l1_in_loss
        self.decoder_weight_decay = decoder_weight_decay
        self.window = window or WindowSettings(taps=1)
        self.register_buffer("_held_out", torch.zeros(2), persistent=False)
        self._held_out: Tensor
        self.automatic_optimization = False

    def configure_callbacks(self) -> list[Any]:
        """Refuse what manual optimisation doesn't do (the first hook that Lightning calls)."""
        if self.trainer.gradient_clip_val or self.trainer.accumulate_grad_batches != 1:
            raise InputError(
                "model=published has three optimisers of its own: trainer.gradient_clip_val=null "
                "trainer.accumulate_grad_batches=1"
            )
        return []

    def on_train_start(self) -> None:
        """Start a splat decoder from the frames' mean, unless this run goes on with an earlier one."""
        network = self.network
        if isinstance(network.decoder, SplatLatentDecoder) and self.trainer.global_step == 0:
            mean = self.trainer.datamodule.mean_frames.mean(0)  # type: ignore[attr-defined]
            undecided = mean.new_zeros(1, self.network.size, self.network.size)
            network.decoder.start_from(mean, network.read(undecided).latent)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Everything, the coordinates, and encoder with coordinates."""
        groups = self._groups()
        return [self.make_optimizer[name](groups[name]) for name in OPTIMIZERS]

    def _groups(self) -> dict[str, list[nn.Parameter]]:
        network = self.network
        everything = [parameter for parameter in self.parameters() if parameter.requires_grad]
        encoder = list(network.encoder.parameters())
        return {
            "everything": everything,
            "coordinates": [network.positions],
            "sparsity": [*encoder, network.positions],
        }

    def forward(self, batch: WindowBatch) -> PublishedPrediction:
        """Look at a batch of frames."""
        return self.network(batch.windows)

    def evaluate(self, batch: WindowBatch) -> tuple[PublishedPrediction, PublishedTerms]:
        """Prediction and losses of a batch."""
        prediction = self(batch)
        return prediction, self.loss(prediction, batch.target)

    def training_step(self, batch: WindowBatch, index: int) -> None:
        """Three steps of descent."""
        _, terms = self.evaluate(batch)
        self._descend(terms)
        self._log("train", batch, terms)

    def _descend(self, terms: PublishedTerms) -> None:
        groups = self._groups()
        loss = terms.reconstruction
        if self.l1_in_loss:
            loss = loss + self.l1 * torch.stack([weight.abs().sum() for weight in self._weights()]).sum()
        sparse = terms.sparsity.requires_grad
        gradients = {"everything": self._gradients(loss, groups["everything"], keep=sparse)}
        place = next(i for i, item in enumerate(groups["everything"]) if item is self.network.positions)
        gradients["coordinates"] = [gradients["everything"][place]]
        if sparse:
            gradients["sparsity"] = self._gradients(terms.sparsity, groups["sparsity"], keep=False)
        optimizers: Any = self.optimizers()
        for name, optimizer in zip(OPTIMIZERS, optimizers, strict=True):
            if name not in gradients:
                continue
            for parameter, gradient in zip(groups[name], gradients[name], strict=True):
                parameter.grad = gradient
            # Lightning counts the steps of its wrappers: one of the three is the batch's.
            (optimizer if name == "everything" else optimizer.optimizer).step()
        self._decay(optimizers[0].param_groups[0]["lr"])
        self.network.clip()
        for parameter in groups["everything"]:
            parameter.grad = None

    def _gradients(self, loss: Tensor, parameters: list[nn.Parameter], keep: bool) -> list[Tensor | None]:
        found: list[Tensor | None] = list(
            torch.autograd.grad(loss, parameters, retain_graph=keep, allow_unused=True)
        )
        if self.trainer.world_size > 1:  # autograd.grad goes round the strategy, which would do it
            for gradient in found:
                if gradient is not None:
                    torch.distributed.all_reduce(gradient)
                    gradient /= self.trainer.world_size
        return found

    @torch.no_grad()
    def _decay(self, rate: float) -> None:
        if self.l1 and not self.l1_in_loss:
            for weight in self._weights():
                weight.sub_(weight.sign() * weight.abs().clamp(max=rate * self.l1))
        if self.decoder_weight_decay:
            for weight in self.network.decoder.parameters():
                if weight.ndim > 1:
                    weight.mul_(1 - rate * self.decoder_weight_decay)

    def _weights(self) -> list[nn.Parameter]:
        """The encoder's kernels, without biases."""
        return [weight for weight in self.network.encoder.parameters() if weight.ndim > 1]

    def validation_step(self, batch: WindowBatch, index: int) -> None:
        """Losses of held-out frames."""
        prediction, terms = self.evaluate(batch)
        self._log("val", batch, terms)
        still = self.trainer.datamodule.mean_frames[batch.session]  # type: ignore[attr-defined]
        error = (prediction.reconstruction.float() - batch.target).square().sum()
        self._held_out += torch.stack([error, (batch.target - still).square().sum()])

    def on_validation_epoch_end(self) -> None:
        """Held-out error over the variance; the same on every rank, as each sees all held-out frames."""
        error, variance = self._held_out
        self.log("val/unexplained", error / variance.clamp_min(1e-12), prog_bar=True, sync_dist=True)
        self._held_out.zero_()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the weights are for, in plain containers."""
        checkpoint["format"] = FORMAT
        checkpoint["format_version"] = VERSION
        checkpoint["architecture"] = self.network.architecture
        checkpoint["window"] = asdict(self.window)

    def _log(self, stage: str, batch: WindowBatch, terms: PublishedTerms) -> None:
        values = {"global": terms.reconstruction.detach(), "sparsity": terms.sparsity.detach()}
        values["loss"] = values["global"] + values["sparsity"]
        self.log_dict(
            {f"{stage}/{name}": value for name, value in values.items()},
            batch_size=len(batch),
            on_step=False,
            on_epoch=True,
            sync_dist=True,
        )
