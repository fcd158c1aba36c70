// Softmax over the last axis, by tables of integers for the exponential and the reciprocal.
//
// The reciprocal of a sum s, whose highest possible bit is `top`: s is normalised to m, 2^top <= m < 2^(top + 1), by a
// shift to the left, `lift`; then 1/s is inv_table[(m - 2^top) >> inv_shift] shifted left by `lift` as well.
#ifndef KBUILD_SOFTMAX_H
#define KBUILD_SOFTMAX_H

#include "table.h"

namespace kbuild {

template <class C>
struct reciprocal {
    typename C::inv_t mantissa;
    int lift;
};

template <class C>
reciprocal<C> invert(const typename C::sum_t& sum, const typename C::inv_t inv_table[C::inv_entries]) {
#pragma HLS INLINE
    int position = 0;
    for (int bit = 1; bit <= C::top; ++bit) {
#pragma HLS UNROLL
        if (sum[bit]) position = bit;
    }
    typename C::mantissa_t m = sum;
    if (sum == 0) m = 1;
    reciprocal<C> r;
    r.lift = C::top - position;
    m = m << r.lift;
    m[C::top] = 0;
    r.mantissa = inv_table[entry(m, C::inv_shift, C::inv_entries)];
    return r;
}

// e * r in the result.
template <class C, class Y, class E>
Y scaled(const E& e, const reciprocal<C>& r) {
#pragma HLS INLINE
    typename C::value_t value = e * r.mantissa;
    value = value << r.lift;
    return value * unit<typename C::result_unit_t>();
}

template <class C, class X>
void integers(const X x[C::rows * C::length], typename C::integer_t q[C::length], int row) {
#pragma HLS INLINE
    for (int i = 0; i < C::length; ++i) q[i] = x[row * C::length + i] * unit<typename C::unit_t>();
}

template <class C, class Y>
void normalise(const typename C::exp_t e[C::length], Y y[C::rows * C::length],
               const typename C::inv_t inv_table[C::inv_entries], int row) {
#pragma HLS INLINE
    typename C::sum_t sum = 0;
    for (int i = 0; i < C::length; ++i) sum += e[i];
    const reciprocal<C> r = invert<C>(sum, inv_table);
    for (int i = 0; i < C::length; ++i) y[row * C::length + i] = scaled<C, Y>(e[i], r);
}

// The largest input is subtracted, exactly, before the table.
template <class C, class X, class Y>
void softmax_stable(const X x[C::rows * C::length], Y y[C::rows * C::length],
                    const typename C::exp_t exp_table[C::exp_entries],
                    const typename C::inv_t inv_table[C::inv_entries]) {
#pragma HLS PIPELINE
    for (int row = 0; row < C::rows; ++row) {
        typename C::integer_t q[C::length];
        typename C::exp_t e[C::length];
#pragma HLS ARRAY_PARTITION variable=q complete
#pragma HLS ARRAY_PARTITION variable=e complete
        integers<C>(x, q, row);
        typename C::integer_t largest = q[0];
        for (int i = 1; i < C::length; ++i)
            if (q[i] > largest) largest = q[i];
        for (int i = 0; i < C::length; ++i) {
            const typename C::difference_t difference = largest - q[i];
            e[i] = exp_table[entry(difference, C::exp_shift, C::exp_entries)];
        }
        normalise<C>(e, y, inv_table, row);
    }
}

// The table sees the inputs themselves.
template <class C, class X, class Y>
void softmax_latency(const X x[C::rows * C::length], Y y[C::rows * C::length],
                     const typename C::exp_t exp_table[C::exp_entries],
                     const typename C::inv_t inv_table[C::inv_entries], const typename C::offset_t offset[1]) {
#pragma HLS PIPELINE
    for (int row = 0; row < C::rows; ++row) {
        typename C::integer_t q[C::length];
        typename C::exp_t e[C::length];
#pragma HLS ARRAY_PARTITION variable=q complete
#pragma HLS ARRAY_PARTITION variable=e complete
        integers<C>(x, q, row);
        for (int i = 0; i < C::length; ++i) {
            const typename C::difference_t difference = q[i] - offset[0];
            e[i] = exp_table[entry(difference, C::exp_shift, C::exp_entries)];
        }
        normalise<C>(e, y, inv_table, row);
    }
}

// 1 / sum over j of exp(x_j - x_i), for every i by itself.
template <class C, class X, class Y>
void softmax_legacy(const X x[C::rows * C::length], Y y[C::rows * C::length],
                    const typename C::exp_t exp_table[C::exp_entries],
                    const typename C::inv_t inv_table[C::inv_entries], const typename C::offset_t offset[1]) {
#pragma HLS PIPELINE
    for (int row = 0; row < C::rows; ++row) {
        typename C::integer_t q[C::length];
#pragma HLS ARRAY_PARTITION variable=q complete
        integers<C>(x, q, row);
        for (int i = 0; i < C::length; ++i) {
            typename C::sum_t sum = 0;
            for (int j = 0; j < C::length; ++j) {
                const typename C::difference_t difference = q[j] - q[i] - offset[0];
                sum += exp_table[entry(difference, C::exp_shift, C::exp_entries)];
            }
            const typename C::one_t one = 1;
            y[row * C::length + i] = scaled<C, Y>(one, invert<C>(sum, inv_table));
        }
    }
}

// One at the first largest input, zero elsewhere.
template <class C, class X, class Y>
void softmax_argmax(const X x[C::rows * C::length], Y y[C::rows * C::length]) {
#pragma HLS PIPELINE
    for (int row = 0; row < C::rows; ++row) {
        int first = 0;
        X largest = x[row * C::length];
        for (int i = 1; i < C::length; ++i) {
            if (x[row * C::length + i] > largest) {
                largest = x[row * C::length + i];
                first = i;
            }
        }
        for (int i = 0; i < C::length; ++i) y[row * C::length + i] = i == first ? 1 : 0;
    }
}

}  // namespace kbuild

#endif
