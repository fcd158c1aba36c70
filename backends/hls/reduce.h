// One value for all elements along some axes. x has `size0 .. size3`; `a0 .. a3` are the distances between neighbours
// in y, 0 along the axes that are reduced. A mean is the exact sum, divided (divide.h).
#ifndef KBUILD_REDUCE_H
#define KBUILD_REDUCE_H

#include "broadcast.h"
#include "divide.h"

namespace kbuild {

template <class C, class X, class Y>
void reduce_sum(const X x[C::inputs], Y y[C::elements]) {
    typename C::sum_t sum[C::elements];
#pragma HLS ARRAY_PARTITION variable=sum complete
    for (int i = 0; i < C::elements; ++i) {
#pragma HLS UNROLL
        sum[i] = 0;
    }
    KBUILD_EACH_ROW(C) {
#pragma HLS PIPELINE II=1
        for (int i3 = 0; i3 < C::size3; ++i3) sum[KBUILD_A(C)] += x[KBUILD_HERE(C)];
    }
    for (int i = 0; i < C::elements; ++i) {
#pragma HLS UNROLL
        y[i] = cast<Y>(sum[i]);
    }
}

// The largest element, or the smallest (`largest` is 0).
template <class C, class X, class Y>
void reduce_extreme(const X x[C::inputs], Y y[C::elements]) {
    X extreme[C::elements];
#pragma HLS ARRAY_PARTITION variable=extreme complete
    KBUILD_EACH_ROW(C) {
#pragma HLS PIPELINE II=1
        const bool starts = (C::a0 || i0 == 0) && (C::a1 || i1 == 0) && (C::a2 || i2 == 0);
        for (int i3 = 0; i3 < C::size3; ++i3) {
            const X value = x[KBUILD_HERE(C)];
            X& found = extreme[KBUILD_A(C)];
            const bool first = starts && (C::a3 || i3 == 0);
            if (first || (C::largest ? value > found : value < found)) found = value;
        }
    }
    for (int i = 0; i < C::elements; ++i) {
#pragma HLS UNROLL
        y[i] = cast<Y>(extreme[i]);
    }
}

}  // namespace kbuild

#endif
