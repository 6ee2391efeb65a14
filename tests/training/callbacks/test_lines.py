"""The line per epoch tells what falls."""

from calcium_lightning.training.callbacks.lines import epoch_line


def test_figures_with_stable_units_stand_in_for_the_loss():
    values = {
        "train/loss": 0.1,
        "val/loss": 0.2,
        "train/reconstruction": 1.31,
        "val/reconstruction": 1.29,
        "val/f1": 0.5,
    }
    assert epoch_line(values) == "train/reconstruction 1.31  val/reconstruction 1.29  val/f1 0.5"


def test_models_without_them_tell_their_loss():
    assert (
        epoch_line({"train/loss": 0.25, "val/loss": 0.5, "val/error": 3.0})
        == "train/loss 0.25  val/loss 0.5  val/error 3"
    )
    assert epoch_line({}) == ""
