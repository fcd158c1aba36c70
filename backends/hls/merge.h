// Two arrays element by element, broadcast to one shape; exact, cast once. More than two are merged two by two, with
// exact types in between. A mean is the exact sum and then `average` or, for a power of two, `scale_by`.
#ifndef KBUILD_MERGE_H
#define KBUILD_MERGE_H

#include "broadcast.h"
#include "integer.h"

namespace kbuild {

template <class C, class A, class B, class Y>
void add(const A a[C::a_elements], const B b[C::b_elements], Y y[C::elements]) {
#pragma HLS PIPELINE
    KBUILD_EACH(C) y[KBUILD_HERE(C)] = a[KBUILD_A(C)] + b[KBUILD_B(C)];
}

template <class C, class A, class B, class Y>
void subtract(const A a[C::a_elements], const B b[C::b_elements], Y y[C::elements]) {
#pragma HLS PIPELINE
    KBUILD_EACH(C) y[KBUILD_HERE(C)] = a[KBUILD_A(C)] - b[KBUILD_B(C)];
}

template <class C, class A, class B, class Y>
void multiply(const A a[C::a_elements], const B b[C::b_elements], Y y[C::elements]) {
#pragma HLS PIPELINE
    KBUILD_EACH(C) y[KBUILD_HERE(C)] = a[KBUILD_A(C)] * b[KBUILD_B(C)];
}

template <class C, class A, class B, class Y>
void maximum(const A a[C::a_elements], const B b[C::b_elements], Y y[C::elements]) {
#pragma HLS PIPELINE
    KBUILD_EACH(C) {
        Y result = a[KBUILD_A(C)];
        if (b[KBUILD_B(C)] > a[KBUILD_A(C)]) result = b[KBUILD_B(C)];
        y[KBUILD_HERE(C)] = result;
    }
}

template <class C, class A, class B, class Y>
void minimum(const A a[C::a_elements], const B b[C::b_elements], Y y[C::elements]) {
#pragma HLS PIPELINE
    KBUILD_EACH(C) {
        Y result = a[KBUILD_A(C)];
        if (b[KBUILD_B(C)] < a[KBUILD_A(C)]) result = b[KBUILD_B(C)];
        y[KBUILD_HERE(C)] = result;
    }
}

// y = x times a power of two.
template <class C, class X, class Y>
void scale_by(const X x[C::elements], Y y[C::elements]) {
#pragma HLS PIPELINE
    for (int i = 0; i < C::elements; ++i) y[i] = x[i] * unit<typename C::unit_t>();
}

// y = x / count, one rounding. numerator_t is an integer that holds x * 2^f, f at least the fraction bits of x and y;
// quotient_t has two bits more, which say how the remainder compares with half of the divisor:
// 0: no remainder, 1: less, 2: equal, 3: more. So the cast to the result rounds as if all bits were there.
template <class C, class X, class Y>
void average(const X x[C::elements], Y y[C::elements]) {
#pragma HLS PIPELINE
    for (int i = 0; i < C::elements; ++i) {
        const typename C::numerator_t numerator = x[i] * unit<typename C::numerator_unit_t>();
        const bool negative = numerator < 0;  // floor(q / d) is ~floor(~q / d)
        typename C::quotient_t quotient = 0;
        int remainder = 0;
        for (int bit = C::numerator_bits - 1; bit >= 0; --bit) {
            remainder = 2 * remainder + (bool(numerator[bit]) != negative);
            const bool fits = remainder >= C::count;
            if (fits) remainder -= C::count;
            quotient[bit + 2] = fits != negative;
        }
        if (negative) remainder = C::count - 1 - remainder;
        quotient[1] = 2 * remainder >= C::count;
        quotient[0] = remainder != 0 && 2 * remainder != C::count;
        y[i] = quotient * unit<typename C::quotient_unit_t>();
    }
}

}  // namespace kbuild

#endif
