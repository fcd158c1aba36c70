// Quantizers of trained models: casts of single elements to types of their own, and functions that are constant
// between thresholds.
#ifndef KBUILD_QUANTIZE_H
#define KBUILD_QUANTIZE_H

#include "broadcast.h"
#include "cast.h"
#include "less.h"

namespace kbuild {

// y = x, cast to `element_t` and then to the result, at the places that have this type.
template <class C, class X, class Y>
void cast_places(const X x[C::elements], Y y[C::elements], const typename C::place_t places[C::count]) {
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable=places complete
    for (int i = 0; i < C::count; ++i) {
        const int place = places[i].to_int();
        const typename C::element_t value = cast<typename C::element_t>(x[place]);
        y[place] = cast<Y>(value);
    }
}

// y = 0 at the places that have no bits.
template <class C, class X, class Y>
void zero_places(const X[C::elements], Y y[C::elements], const typename C::place_t places[C::count]) {
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable=places complete
    for (int i = 0; i < C::count; ++i) y[places[i].to_int()] = 0;
}

// y = values[number of thresholds t with x >= t]; the thresholds (operand a) rise along their last axis. The values
// are the same for all, or there are as many rows of them.
template <class C, class X, class Y>
void step(const X x[C::elements], Y y[C::elements],
          const typename C::threshold_t thresholds[C::rows * C::thresholds],
          const typename C::value_t values[C::value_rows * (C::thresholds + 1)]) {
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable=thresholds complete
#pragma HLS ARRAY_PARTITION variable=values complete
    KBUILD_EACH(C) {
        int index = 0;
        for (int k = 0; k < C::thresholds; ++k)
            if (!less(x[KBUILD_HERE(C)], thresholds[KBUILD_A(C) * C::thresholds + k])) ++index;
        const int row = C::value_rows == 1 ? 0 : KBUILD_A(C);
        y[KBUILD_HERE(C)] = cast<Y>(values[row * (C::thresholds + 1) + index]);
    }
}

}  // namespace kbuild

#endif
