// A straight-line program of integer steps, which its configuration has as `steps`.
#ifndef KBUILD_LOGIC_H
#define KBUILD_LOGIC_H

#include "cast.h"
#include "table.h"

namespace kbuild {

template <class C, class Y>
void results(const typename C::value_t values[C::elements], Y y[C::elements]) {
#pragma HLS INLINE
    for (int i = 0; i < C::elements; ++i) {
#pragma HLS UNROLL
        y[i] = cast<Y>(values[i] * unit<typename C::value_unit_t>());
    }
}

template <class C, class X, class Y>
void logic(const X x[], Y y[C::elements], const typename C::table_t table[C::entries]) {
#pragma HLS PIPELINE
    typename C::value_t values[C::elements];
#pragma HLS ARRAY_PARTITION variable=values complete
    C::steps(x, values, table);
    results<C>(values, y);
}

template <class C, class X, class X1, class Y>
void logic_2(const X x[], const X1 x1[], Y y[C::elements], const typename C::table_t table[C::entries]) {
#pragma HLS PIPELINE
    typename C::value_t values[C::elements];
#pragma HLS ARRAY_PARTITION variable=values complete
    C::steps(x, x1, values, table);
    results<C>(values, y);
}

template <class C, class X, class X1, class X2, class Y>
void logic_3(const X x[], const X1 x1[], const X2 x2[], Y y[C::elements], const typename C::table_t table[C::entries]) {
#pragma HLS PIPELINE
    typename C::value_t values[C::elements];
#pragma HLS ARRAY_PARTITION variable=values complete
    C::steps(x, x1, x2, values, table);
    results<C>(values, y);
}

}  // namespace kbuild

#endif
