// Two arrays element by element, broadcast to one shape; exact, cast once. More than two are merged two by two, with
// exact types in between. A mean is the exact sum, divided (divide.h).
#ifndef KBUILD_MERGE_H
#define KBUILD_MERGE_H

#include "broadcast.h"
#include "cast.h"
#include "divide.h"
#include "less.h"

namespace kbuild {

template <class C, class A, class B, class Y>
void add(const A a[C::a_elements], const B b[C::b_elements], Y y[C::elements]) {
#pragma HLS PIPELINE
    KBUILD_EACH(C) y[KBUILD_HERE(C)] = cast<Y>(a[KBUILD_A(C)] + b[KBUILD_B(C)]);
}

template <class C, class A, class B, class Y>
void subtract(const A a[C::a_elements], const B b[C::b_elements], Y y[C::elements]) {
#pragma HLS PIPELINE
    KBUILD_EACH(C) y[KBUILD_HERE(C)] = cast<Y>(a[KBUILD_A(C)] - b[KBUILD_B(C)]);
}

template <class C, class A, class B, class Y>
void multiply(const A a[C::a_elements], const B b[C::b_elements], Y y[C::elements]) {
#pragma HLS PIPELINE
    KBUILD_EACH(C) y[KBUILD_HERE(C)] = cast<Y>(a[KBUILD_A(C)] * b[KBUILD_B(C)]);
}

template <class C, class A, class B, class Y>
void maximum(const A a[C::a_elements], const B b[C::b_elements], Y y[C::elements]) {
#pragma HLS PIPELINE
    KBUILD_EACH(C) {
        Y result = cast<Y>(a[KBUILD_A(C)]);
        if (less(a[KBUILD_A(C)], b[KBUILD_B(C)])) result = cast<Y>(b[KBUILD_B(C)]);
        y[KBUILD_HERE(C)] = result;
    }
}

template <class C, class A, class B, class Y>
void minimum(const A a[C::a_elements], const B b[C::b_elements], Y y[C::elements]) {
#pragma HLS PIPELINE
    KBUILD_EACH(C) {
        Y result = cast<Y>(a[KBUILD_A(C)]);
        if (less(b[KBUILD_B(C)], a[KBUILD_A(C)])) result = cast<Y>(b[KBUILD_B(C)]);
        y[KBUILD_HERE(C)] = result;
    }
}

}  // namespace kbuild

#endif
