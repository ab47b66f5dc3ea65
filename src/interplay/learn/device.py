"""Where networks learn: the processor, or a GPU that is really there."""

from __future__ import annotations

from interplay.errors import BadSetting, Unsupported


def usable(device: str) -> str:
    """`device` as torch spells it (cpu, cuda, cuda:1); refused with what there is where it cannot be used."""
    if device == "cpu":
        return device
    import torch

    try:
        asked = torch.device(device)
    except RuntimeError as error:
        raise BadSetting(f"{device!r} is no device; expected cpu, cuda, or one of several such as cuda:1") from error
    if asked.type != "cuda":
        raise Unsupported(f"nothing here learns on {device!r}; expected cpu, cuda, or one of several such as cuda:1")
    there = len(gpus())
    if (asked.index or 0) >= there:
        seen = f"{there} CUDA device{'s' if there > 1 else ''}" if there else "no CUDA device"
        raise Unsupported(f"{device!r} was asked for; torch {torch.__version__} sees {seen} here. Use cpu")
    return device


def gpus() -> list[str]:
    """What their makers call the GPUs that torch sees, in the order of cuda:0, cuda:1, ..."""
    import torch

    n = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [torch.cuda.get_device_name(i) for i in range(n)]


def maker(device: str) -> str:
    """What its maker calls a device, for a record."""
    return device if device == "cpu" else gpus()[int(device.partition(":")[2] or 0)]
