// Quotients of exact values, rounded once, for means. A power of two is a factor, `scale_by`.
#ifndef KBUILD_DIVIDE_H
#define KBUILD_DIVIDE_H

#include "cast.h"
#include "integer.h"

namespace kbuild {

// y = x times a power of two.
template <class C, class X, class Y>
void scale_by(const X x[C::elements], Y y[C::elements]) {
#pragma HLS PIPELINE
    for (int i = 0; i < C::elements; ++i) y[i] = cast<Y>(x[i] * unit<typename C::unit_t>());
}

// x / count. numerator_t is an integer that holds x * 2^f, f at least the fraction bits of x and of the result;
// quotient_t has two bits more, which say how the remainder compares with half of the divisor:
// 0: no remainder, 1: less, 2: equal, 3: more. So the cast to the result rounds as if all bits were there.
template <class C, class Y, class X>
Y divided(const X& x, int count) {
#pragma HLS INLINE
    const typename C::numerator_t numerator = x * unit<typename C::numerator_unit_t>();
    const bool negative = numerator < 0;  // floor(q / d) is ~floor(~q / d)
    typename C::quotient_t quotient = 0;
    int remainder = 0;
    for (int bit = C::numerator_bits - 1; bit >= 0; --bit) {
        remainder = 2 * remainder + (bool(numerator[bit]) != negative);
        const bool fits = remainder >= count;
        if (fits) remainder -= count;
        quotient[bit + 2] = fits != negative;
    }
    if (negative) remainder = count - 1 - remainder;
    quotient[1] = 2 * remainder >= count;
    quotient[0] = remainder != 0 && 2 * remainder != count;
    return cast<Y>(quotient * unit<typename C::quotient_unit_t>());
}

// y = x / count, one count for all.
template <class C, class X, class Y>
void average(const X x[C::elements], Y y[C::elements]) {
#pragma HLS PIPELINE
    for (int i = 0; i < C::elements; ++i) y[i] = divided<C, Y>(x[i], C::count);
}

// y = x / count, a count for each position.
template <class C, class X, class Y>
void average_each(const X x[C::positions * C::channels], Y y[C::positions * C::channels],
                  const typename C::count_t count[C::positions]) {
    for (int p = 0; p < C::positions; ++p) {
#pragma HLS PIPELINE II=1
        for (int c = 0; c < C::channels; ++c)
            y[p * C::channels + c] = divided<C, Y>(x[p * C::channels + c], count[p]);
    }
}

}  // namespace kbuild

#endif
