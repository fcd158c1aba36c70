// Elements at other places, each cast to the result: transpose, repeat, pad and crop.
#ifndef KBUILD_MOVE_H
#define KBUILD_MOVE_H

#include "broadcast.h"

namespace kbuild {

// `a0 .. a3` are the distances in x between neighbours along the axes of y.
template <class C, class X, class Y>
void transpose(const X x[C::elements], Y y[C::elements]) {
#pragma HLS PIPELINE
    KBUILD_EACH(C) y[KBUILD_HERE(C)] = x[KBUILD_A(C)];
}

// The same, of so many elements that they are no registers: one after the other.
template <class C, class X, class Y>
void transpose_in_turn(const X x[C::elements], Y y[C::elements]) {
    KBUILD_EACH(C) {
#pragma HLS PIPELINE II=1
        y[KBUILD_HERE(C)] = x[KBUILD_A(C)];
    }
}

// Each element `factor0 .. factor3` times in a row.
template <class C, class X, class Y>
void repeat(const X x[C::inputs], Y y[C::elements]) {
#pragma HLS PIPELINE
    KBUILD_EACH(C)
        y[KBUILD_HERE(C)] = x[i0 / C::factor0 * C::a0 + i1 / C::factor1 * C::a1 + i2 / C::factor2 * C::a2 +
                              i3 / C::factor3 * C::a3];
}

// `low0 .. low3` zeros before the `from0 .. from3` elements along each axis of x, or as many elements fewer.
template <class C, class X, class Y>
void pad(const X x[C::inputs], Y y[C::elements]) {
#pragma HLS PIPELINE
    KBUILD_EACH(C) {
        const bool there = i0 >= C::low0 && i0 - C::low0 < C::from0 && i1 >= C::low1 && i1 - C::low1 < C::from1 &&
                           i2 >= C::low2 && i2 - C::low2 < C::from2 && i3 >= C::low3 && i3 - C::low3 < C::from3;
        Y value = 0;
        if (there)
            value = x[(((i0 - C::low0) * C::from1 + i1 - C::low1) * C::from2 + i2 - C::low2) * C::from3 + i3 - C::low3];
        y[KBUILD_HERE(C)] = value;
    }
}

}  // namespace kbuild

#endif
