"""nnU-Net's own trainer, its length set from outside, that tells when each epoch ended.

nnU-Net finds it through the environment variable nnUNet_extTrainer; it needs nnU-Net's environment, not hilum's.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

CPU = torch.device("cpu")


class nnUNetTrainerTimed(nnUNetTrainer):  # type: ignore[misc] # noqa: N801 (nnU-Net's own pattern of names)
    """NN_EPOCHS epochs of NN_ITERS iterations, else as nnU-Net trains; leaves times.jsonl."""

    def __init__(
        self, plans: Any, configuration: str, fold: int, dataset_json: Any, device: torch.device = CPU
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = int(os.environ["NN_EPOCHS"])
        self.num_iterations_per_epoch = int(os.environ["NN_ITERS"])
        self.num_val_iterations_per_epoch = 1
        self.iterations_s = 0.0

    def on_train_epoch_start(self) -> None:
        """Begin the epoch as nnU-Net does, then the clock of its iterations."""
        super().on_train_epoch_start()
        self.iterations_s = -time.perf_counter()

    def on_train_epoch_end(self, train_outputs: list[dict[str, Any]]) -> None:
        """Stop the clock of the iterations."""
        self.iterations_s += time.perf_counter()
        super().on_train_epoch_end(train_outputs)

    def on_epoch_end(self) -> None:
        """Close the epoch as nnU-Net does, then note the seconds since NN_STARTED."""
        epoch = self.current_epoch
        super().on_epoch_end()
        line = {"epoch": epoch, "seconds": time.time() - float(os.environ["NN_STARTED"])}
        line["iteration_s"] = self.iterations_s / self.num_iterations_per_epoch
        with (Path(self.output_folder) / "times.jsonl").open("a") as lines:
            lines.write(json.dumps(line) + "\n")


class nnUNetTrainerSameNetwork(nnUNetTrainerTimed):  # noqa: N801
    """The same with the network of `same_network.py`, and one resolution of logits."""

    def __init__(
        self, plans: Any, configuration: str, fold: int, dataset_json: Any, device: torch.device = CPU
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.enable_deep_supervision = False
        self.disable_checkpointing = True

    @staticmethod
    def build_network_architecture(
        plans_manager: Any,
        configuration_manager: Any,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = False,
    ) -> torch.nn.Module:
        """The network that all contenders share, in the widths that the plan names."""
        from same_network import same_network

        del plans_manager, num_input_channels, enable_deep_supervision
        widths = configuration_manager.network_arch_init_kwargs["features_per_stage"]
        return same_network(widths, num_output_channels)

    def set_deep_supervision_enabled(self, enabled: bool) -> None:
        """Nothing: the network gives one resolution."""

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Nothing: only the time of iterations is wanted."""
