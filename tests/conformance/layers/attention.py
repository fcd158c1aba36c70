"""Attention: one head and many, of a sequence on itself and on another."""

from __future__ import annotations

from conformance.script import Code, Script, Value, arguments


def attention(class_name: str) -> object:
    def build(s: Script) -> Value:
        steps, depth = s.size(1, 4), s.size(1, 4)
        query, value = s.source((s.size(1, 4), depth)), s.source((steps, depth))
        given = [query, value] if s.chance(0.6) else [query, value, s.source((steps, depth))]
        settings: dict[str, object] = {"use_scale": s.maybe(s.chance(0.5))}
        if class_name == "Attention":
            settings["score_mode"] = s.maybe(s.one("dot", "dot", "concat"), 0.4)
        return s.layer(class_name, given, **settings)

    return build


def multi_head_attention(s: Script) -> list[Value]:
    rank = 2 if s.chance(0.8) else 3
    axes = s.shape(rank - 1, rank - 1)
    query = s.source((*axes, s.size(1, 4)))
    alone = s.chance(0.5)
    value = query if alone else s.source((*axes[:-1], s.size(1, 4), s.size(1, 4)))
    settings = {
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
        "use_causal_mask": s.maybe(True, 0.1),
    }
    if not alone and s.chance(0.3):
        call["key"] = Code(str(s.source((*value.shape[:-1], s.size(1, 4)))))
    return s.values(f"{s.make('MultiHeadAttention', **settings)}({arguments(call, str(query), str(value))})")


def group_query_attention(s: Script) -> list[Value]:
    groups = s.size(1, 2)
    query = s.source((s.size(1, 4), s.size(1, 4)))
    value = query if s.chance(0.5) else s.source((s.size(1, 4), query.shape[-1]))
    settings = {
        "head_dim": s.size(1, 3),
        "num_query_heads": groups * s.size(1, 2),
        "num_key_value_heads": groups,
        "use_bias": s.maybe(False, 0.3),
    }
    return s.values(f"{s.make('GroupQueryAttention', **settings)}({query}, {value})")


KERAS3_CASES = {"GroupQueryAttention": group_query_attention}
CASES = {
    "Attention": attention("Attention"),
    "AdditiveAttention": attention("AdditiveAttention"),
    "MultiHeadAttention": multi_head_attention,
}
