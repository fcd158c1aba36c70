"""Attention: one head and many, of a sequence on itself and on another."""

from __future__ import annotations

import numpy as np
from conformance.script import Code, Script, Value, arguments


def attention(class_name: str) -> object:
    def build(s: Script) -> Value:
        steps, depth = s.size(1, 4), s.size(1, 4)
        query, value = s.source((s.size(1, 4), depth)), s.source((steps, depth))
        given = [query, value] if s.chance(0.6) else [query, value, s.source((steps, depth))]
        settings: dict[str, object] = {"use_scale": s.maybe(s.chance(0.5))}
        if class_name == "Attention":
            settings["score_mode"] = s.maybe(s.one("dot", "dot", "concat"), 0.4)
        words = arguments({"use_causal_mask": s.maybe(True, 0.3)}, f"[{', '.join(map(str, given))}]")
        return s.value(f"{s.make(class_name, **settings)}({words})")

    return build


def masked(s: Script, query: Value, value: Value, heads: object) -> dict[str, object]:
    """Masks of a call: a causal one, a constant one for all heads or for each, both, or none."""
    found: dict[str, object] = {"use_causal_mask": s.maybe(True, 0.25)}
    if query.rank == 2 and s.chance(0.3):
        shape = s.one((1,), (1, 1), (1, heads), ())
        numbers = np.random.default_rng(s.size(0, 999)).integers(0, 2, (*shape, query.shape[0], value.shape[0]))
        numbers[..., 0] = 1  # so that each row has an input, with a causal mask too
        found["attention_mask"] = Code(f"np.array({numbers.tolist()})")
    return found


def multi_head_attention(s: Script) -> list[Value]:
    rank = 2 if s.chance(0.8) else 3
    axes = s.shape(rank - 1, rank - 1)
    query = s.source((*axes, s.size(1, 4)))
    alone = s.chance(0.5)
    value = query if alone else s.source((*axes[:-1], s.size(1, 4), s.size(1, 4)))
    settings: dict[str, object] = {
        "num_heads": s.size(1, 3),
        "key_dim": s.size(1, 3),
        "value_dim": s.maybe(s.size(1, 3), 0.3),
        "use_bias": s.maybe(False, 0.3),
        "output_shape": s.maybe(s.size(1, 4), 0.3),
        "attention_axes": s.maybe((1,), 0.5) if rank == 3 else s.maybe((1,), 0.1),
        "dropout": s.maybe(0.1, 0.2),
    }
    call: dict[str, object] = {
        "return_attention_scores": s.maybe(True, 0.15),
        **masked(s, query, value, settings["num_heads"]),
    }
    if not alone and s.chance(0.3):
        call["key"] = Code(str(s.source((*value.shape[:-1], s.size(1, 4)))))
    return s.values(f"{s.make('MultiHeadAttention', **settings)}({arguments(call, str(query), str(value))})")


def group_query_attention(s: Script) -> list[Value]:
    groups = s.size(1, 2)
    query = s.source((s.size(1, 4), s.size(1, 4)))
    value = query if s.chance(0.5) else s.source((s.size(1, 4), query.shape[-1]))
    settings: dict[str, object] = {
        "head_dim": s.size(1, 3),
        "num_query_heads": groups * s.size(1, 2),
        "num_key_value_heads": groups,
        "use_bias": s.maybe(False, 0.3),
    }
    call = masked(s, query, value, settings["num_query_heads"])
    return s.values(f"{s.make('GroupQueryAttention', **settings)}({arguments(call, str(query), str(value))})")


KERAS3_CASES = {"GroupQueryAttention": group_query_attention}
CASES = {
    "Attention": attention("Attention"),
    "AdditiveAttention": attention("AdditiveAttention"),
    "MultiHeadAttention": multi_head_attention,
}
