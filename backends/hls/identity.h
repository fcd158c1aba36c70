// y = x, cast to the result: linear activations, reshapes (the order of the elements stays).
#ifndef KBUILD_IDENTITY_H
#define KBUILD_IDENTITY_H

#include "cast.h"

namespace kbuild {

template <class C, class X, class Y>
void identity(const X x[C::elements], Y y[C::elements]) {
#pragma HLS PIPELINE
    for (int i = 0; i < C::elements; ++i) y[i] = cast<Y>(x[i]);
}

// The same for an array that is constant.
template <class C, class T, class Y>
void constant(Y y[C::elements], const T value[C::elements]) {
#pragma HLS PIPELINE
    for (int i = 0; i < C::elements; ++i) y[i] = cast<Y>(value[i]);
}

}  // namespace kbuild

#endif
