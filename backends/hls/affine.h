// y = x * scale + bias, exact, cast once; scale (operand a) and bias (operand b) are broadcast to x.
#ifndef KBUILD_AFFINE_H
#define KBUILD_AFFINE_H

#include "broadcast.h"
#include "cast.h"

namespace kbuild {

template <class C, class X, class Y>
void affine(const X x[C::elements], Y y[C::elements], const typename C::scale_t scale[C::scale_elements],
            const typename C::bias_t bias[C::bias_elements]) {
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable=scale complete
#pragma HLS ARRAY_PARTITION variable=bias complete
    KBUILD_EACH(C) y[KBUILD_HERE(C)] = cast<Y>(x[KBUILD_HERE(C)] * scale[KBUILD_A(C)] + bias[KBUILD_B(C)]);
}

// y = x + bias.
template <class C, class X, class Y>
void offset(const X x[C::elements], Y y[C::elements], const typename C::bias_t bias[C::bias_elements]) {
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable=bias complete
    KBUILD_EACH(C) y[KBUILD_HERE(C)] = cast<Y>(x[KBUILD_HERE(C)] + bias[KBUILD_B(C)]);
}

}  // namespace kbuild

#endif
