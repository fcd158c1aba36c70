"""The stages' names in their published order, for those who must not import the stages."""

STAGE_NAMES = ("validate", "parse", "optimize", "emit", "simulate", "synthesize", "report")
