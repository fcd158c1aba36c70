// Linear interpolation to `factor` times the elements along one axis, times `divisor`, exact: output i lies at
// (i + 1/2) / factor - 1/2 between two inputs, whose weights are integers over the divisor. Several axes follow each
// other; then the product of the divisors is divided out (divide.h).
#ifndef KBUILD_INTERPOLATE_H
#define KBUILD_INTERPOLATE_H

#include "divide.h"

namespace kbuild {

template <class C, class X, class Y>
void interpolate(const X x[C::outer * C::size * C::inner], Y y[C::outer * C::size * C::factor * C::inner]) {
    for (int o = 0; o < C::outer; ++o) {
        for (int i = 0; i < C::size * C::factor; ++i) {
#pragma HLS PIPELINE II=1
            const int place = 2 * i + 1 + C::factor;  // 2 * factor times the position plus one
            const int after = place / (2 * C::factor);
            const int share = place % (2 * C::factor) * C::divisor / (2 * C::factor);
            const typename C::weight_t weight_before = C::divisor - share, weight_after = share;
            const int first = (o * C::size + (after > 0 ? after - 1 : 0)) * C::inner;
            const int second = (o * C::size + (after < C::size ? after : C::size - 1)) * C::inner;
            const int to = (o * C::size * C::factor + i) * C::inner;
            for (int c = 0; c < C::inner; ++c)
                y[to + c] = x[first + c] * weight_before + x[second + c] * weight_after;
        }
    }
}

}  // namespace kbuild

#endif
