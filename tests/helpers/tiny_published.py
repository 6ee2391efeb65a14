"""Overrides that make a training of the published model tiny."""

TINY = (
    "+experiment=published",
    "encoder.filters=6",
    "encoder.reducing=3",
    "encoder.back=[4,4]",
    "encoder.dropout=0",
    "decoder.seed_channels=2",
    "decoder.filters=[4,4]",
    "painter=splat",
    "model.coordinates=9",
    "data.size=32",
    "trainer.max_epochs=2",
    "optimizer.everything.lr=1e-3",
)
