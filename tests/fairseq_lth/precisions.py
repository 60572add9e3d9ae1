"""The precisions of a training, as flags."""

HALF = ("--fp16", "--fp16-init-scale", "4")
PRECISIONS = {
    "fp32, update-freq 3": ("--update-freq", "3"),
    "fp16": (*HALF, "--fp16-no-flatten-grads"),
    "fp16 with flat gradients": HALF,
    "memory-efficient fp16": (*HALF, "--memory-efficient-fp16"),
    "amp": ("--amp",),
    "bf16": ("--bf16",),
    "memory-efficient bf16": ("--memory-efficient-bf16",),
}
