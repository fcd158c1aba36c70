// Two arrays joined along an axis: `outer` times a block of a, then one of b, each cast to the result.
#ifndef KBUILD_CONCATENATE_H
#define KBUILD_CONCATENATE_H

#include "cast.h"

namespace kbuild {

template <class C, class A, class B, class Y>
void concatenate(const A a[C::outer * C::block_a], const B b[C::outer * C::block_b],
                 Y y[C::outer * (C::block_a + C::block_b)]) {
#pragma HLS PIPELINE
    for (int o = 0; o < C::outer; ++o) {
        const int start = o * (C::block_a + C::block_b);
        for (int i = 0; i < C::block_a; ++i) y[start + i] = cast<Y>(a[o * C::block_a + i]);
        for (int i = 0; i < C::block_b; ++i) y[start + C::block_a + i] = cast<Y>(b[o * C::block_b + i]);
    }
}

}  // namespace kbuild

#endif
