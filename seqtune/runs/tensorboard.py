"""What a run shows in TensorBoard."""

from typing import TYPE_CHECKING, Any

from seqtune.tasks.picture import paint
from seqtune.training.measurement import Measurement

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter


def charts(*, feeds_back: bool) -> dict[str, dict[str, list[Any]]]:
    """TensorBoard's custom scalars: losses in one chart, and the share of own tokens as an area behind them."""
    together = ["train/loss", "valid/loss", "free/loss", "forcing"]
    charts: dict[str, list[Any]] = {"losses and forcing": ["Multiline", together]}
    if feeds_back:
        band = ["train/loss", "phase/low", "phase/high"]
        charts["train/loss over the share of own tokens read"] = ["Margin", band]
    return {"training": charts}


def show(
    measurement: Measurement, *, board: "SummaryWriter", epochs: int, feeds_back: bool
) -> None:
    """A measurement for TensorBoard: its numbers as curves, its samples as text or pictures.

    Samples are shown after the first epoch, the second, the fourth, the eighth ... and the last: they
    change less and less, and of every epoch they would be most of what a run takes on disk.
    """
    for name, value in measurement.metrics.items():
        board.add_scalar(name, value, measurement.epoch)
    if feeds_back:
        board.add_scalar("phase/low", 0.0, measurement.epoch)
        board.add_scalar("phase/high", 1 - measurement.metrics["forcing"], measurement.epoch)
    shown = measurement.epoch.bit_count() == 1 or measurement.epoch == epochs
    for sample in measurement.generated.samples if measurement.generated and shown else ():
        name = f"samples/{sample.title}"
        if sample.panels is not None:
            picture = paint(sample.panels)
            board.add_image(name, picture, measurement.epoch, dataformats="HWC")
        else:
            # Indented, Markdown shows it as it stands.
            text = "\n".join("    " + line for line in "".join(sample.marked).splitlines())
            board.add_text(name, text, measurement.epoch)
    board.flush()
