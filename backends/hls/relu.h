// The piecewise-linear family: x above the threshold, at most max_value; slope * (x - threshold) up to it.
#ifndef KBUILD_RELU_H
#define KBUILD_RELU_H

#include "broadcast.h"
#include "cast.h"
#include "less.h"

namespace kbuild {

template <class C, class X, class Y>
void relu(const X x[C::elements], Y y[C::elements]) {
#pragma HLS PIPELINE
    const X zero = 0;
    for (int i = 0; i < C::elements; ++i) {
        X value = x[i];
        if (value < zero) value = zero;
        y[i] = cast<Y>(value);
    }
}

// The slope (operand a) is broadcast to x. Both branches are exact, so each is cast to the result by itself.
template <class C, class X, class Y>
void relu_general(const X x[C::elements], Y y[C::elements], const typename C::slope_t slope[C::slope_elements],
                  const typename C::threshold_t threshold[1], const typename C::max_value_t max_value[1]) {
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable=slope complete
    KBUILD_EACH(C) {
        const X value = x[KBUILD_HERE(C)];
        Y below = cast<Y>(slope[KBUILD_A(C)] * (value - threshold[0]));
        Y above = cast<Y>(value);
        if (C::limited && less(max_value[0], value)) above = cast<Y>(max_value[0]);
        if (less(threshold[0], value)) below = above;
        y[KBUILD_HERE(C)] = below;
    }
}

}  // namespace kbuild

#endif
