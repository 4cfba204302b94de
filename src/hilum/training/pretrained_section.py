"""The key `pretrained` of a configuration: which weights a network starts from."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from hilum.settings import Settings

IMAGENET = "imagenet"
"""What stands for torchvision's weights of the same network."""


class PretrainedConfig(Settings):
    """Weights that a network starts from, in place of random ones."""

    weights: Annotated[str, Field(min_length=1)]
    """A run folder, a file (.safetensors, or a torch file of tensors: .pt, .pth), or imagenet: torchvision's weights of
    the same network, from the folder of torch.hub. What fits by name and shape is taken, all else is listed."""
    head: Literal["auto", "new"] = "auto"
    """The layer that gives the answer. auto: taken where its classes are those of this experiment, or where nothing is
    known of them and its shape fits; new: always a new one."""
    download: bool = False
    """Fetch ImageNet's weights where they are not on this machine yet; without it nothing is ever fetched."""

    @model_validator(mode="after")
    def _nothing_else_is_fetched(self) -> Self:
        if self.download and self.weights != IMAGENET:
            raise ValueError(f"weights: {IMAGENET}, the only ones that can be fetched, or no download")
        return self


def _long(received: Any) -> Any:
    """The long form of `pretrained: runs/a`; an override below it (pretrained.head=new) opens that up as a kind."""
    if isinstance(received, str):
        return {"weights": received}
    if isinstance(received, dict) and "kind" in received and "weights" not in received:
        return {"weights" if key == "kind" else key: value for key, value in received.items()}
    return received


Pretrained = Annotated[
    PretrainedConfig | None,
    BeforeValidator(_long, json_schema_input_type=PretrainedConfig | str | None),
]
