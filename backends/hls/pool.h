// The largest element and the sum of sliding windows, each channel by itself. Padding is no part of them; a mean is
// the exact sum, divided by the number of elements that are there (divide.h).
#ifndef KBUILD_POOL_H
#define KBUILD_POOL_H

#include "divide.h"
#include "window.h"

namespace kbuild {

// largest = the element at x[from] of each channel where that is larger, or where it is the first.
template <class C, class X>
void keep_larger(const X* x, int from, X* largest, bool first) {
#pragma HLS INLINE
    for (int c = 0; c < C::channels; ++c) {
        X value = x[from + c];
        if (!first && largest[c] > value) value = largest[c];
        largest[c] = value;
    }
}

template <class C, class X, class S>
void add_elements(const X* x, int from, S* sum) {
#pragma HLS INLINE
    for (int c = 0; c < C::channels; ++c) sum[c] += x[from + c];
}

template <class C, class X, class Y>
void pool_max(const X x[C::inputs * C::channels], Y y[C::positions * C::channels]) {
    KBUILD_EACH_POSITION(C) {
#pragma HLS PIPELINE II=1
        X largest[C::channels];
#pragma HLS ARRAY_PARTITION variable=largest complete
        for (int k0 = 0; k0 < C::kernel0; ++k0) {
            for (int k1 = 0; k1 < C::kernel1; ++k1) {
                for (int k2 = 0; k2 < C::kernel2; ++k2) {
                    const int i0 = nearest(p0, k0, C::stride0, C::low0, C::size0);
                    const int i1 = nearest(p1, k1, C::stride1, C::low1, C::size1);
                    const int i2 = nearest(p2, k2, C::stride2, C::low2, C::size2);
                    const int from = ((i0 * C::size1 + i1) * C::size2 + i2) * C::channels;
                    keep_larger<C>(x, from, largest, k0 == 0 && k1 == 0 && k2 == 0);
                }
            }
        }
        for (int c = 0; c < C::channels; ++c) y[KBUILD_POSITION(C) * C::channels + c] = cast<Y>(largest[c]);
    }
}

// Y holds every sum.
template <class C, class X, class Y>
void pool_sum(const X x[C::inputs * C::channels], Y y[C::positions * C::channels]) {
    KBUILD_EACH_POSITION(C) {
#pragma HLS PIPELINE II=1
        Y sum[C::channels];
#pragma HLS ARRAY_PARTITION variable=sum complete
        for (int c = 0; c < C::channels; ++c) sum[c] = 0;
        for (int k0 = 0; k0 < C::kernel0; ++k0) {
            const int i0 = under(p0, k0, C::stride0, 1, C::low0, 1, C::size0);
            if (i0 < 0) continue;
            for (int k1 = 0; k1 < C::kernel1; ++k1) {
                const int i1 = under(p1, k1, C::stride1, 1, C::low1, 1, C::size1);
                if (i1 < 0) continue;
                for (int k2 = 0; k2 < C::kernel2; ++k2) {
                    const int i2 = under(p2, k2, C::stride2, 1, C::low2, 1, C::size2);
                    if (i2 < 0) continue;
                    const int from = ((i0 * C::size1 + i1) * C::size2 + i2) * C::channels;
                    add_elements<C>(x, from, sum);
                }
            }
        }
        for (int c = 0; c < C::channels; ++c) y[KBUILD_POSITION(C) * C::channels + c] = sum[c];
    }
}

}  // namespace kbuild

#endif
