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
reciprocal<C> invert(const typename C::sum_t& sum, const typename C::inv_t* inv_table) {
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
template <class C, class E, class Y>
void scale(const E& e, const reciprocal<C>& r, Y& y) {
#pragma HLS INLINE
    typename C::value_t value = e * r.mantissa;
    value = value << r.lift;
    y = value * unit<typename C::result_unit_t>();
}

template <class C, class X>
void integers(const X* x, typename C::integer_t* q) {
#pragma HLS INLINE
    for (int i = 0; i < C::length; ++i) q[i] = x[i] * unit<typename C::unit_t>();
}

template <class C, class Y>
void normalise(const typename C::exp_t* e, Y* y, const typename C::inv_t* inv_table) {
#pragma HLS INLINE
    typename C::sum_t sum = 0;
    for (int i = 0; i < C::length; ++i) sum += e[i];
    const reciprocal<C> r = invert<C>(sum, inv_table);
    for (int i = 0; i < C::length; ++i) scale<C>(e[i], r, y[i]);
}

// The largest input is subtracted, exactly, before the table.
template <class C, class X, class Y>
void softmax_stable(const X x[C::rows * C::length], Y y[C::rows * C::length],
                    const typename C::exp_t exp_table[C::exp_entries],
                    const typename C::inv_t inv_table[C::inv_entries]) {
#pragma HLS PIPELINE
    for (int r = 0; r < C::rows; ++r) {
        typename C::integer_t q[C::length];
        typename C::exp_t e[C::length];
#pragma HLS ARRAY_PARTITION variable=q complete
#pragma HLS ARRAY_PARTITION variable=e complete
        integers<C>(x + r * C::length, q);
        typename C::integer_t largest = q[0];
        for (int i = 1; i < C::length; ++i)
            if (q[i] > largest) largest = q[i];
        for (int i = 0; i < C::length; ++i) {
            const typename C::difference_t difference = largest - q[i];
            e[i] = exp_table[entry(difference, C::exp_shift, C::exp_entries)];
        }
        normalise<C>(e, y + r * C::length, inv_table);
    }
}

// The table sees the inputs themselves.
template <class C, class X, class Y>
void softmax_latency(const X x[C::rows * C::length], Y y[C::rows * C::length],
                     const typename C::exp_t exp_table[C::exp_entries],
                     const typename C::inv_t inv_table[C::inv_entries], const typename C::offset_t offset[1]) {
#pragma HLS PIPELINE
    for (int r = 0; r < C::rows; ++r) {
        typename C::integer_t q[C::length];
        typename C::exp_t e[C::length];
#pragma HLS ARRAY_PARTITION variable=q complete
#pragma HLS ARRAY_PARTITION variable=e complete
        integers<C>(x + r * C::length, q);
        for (int i = 0; i < C::length; ++i) {
            const typename C::difference_t difference = q[i] - offset[0];
            e[i] = exp_table[entry(difference, C::exp_shift, C::exp_entries)];
        }
        normalise<C>(e, y + r * C::length, inv_table);
    }
}

// 1 / sum over j of exp(x_j - x_i), for every i by itself.
template <class C, class X, class Y>
void softmax_legacy(const X x[C::rows * C::length], Y y[C::rows * C::length],
                    const typename C::exp_t exp_table[C::exp_entries],
                    const typename C::inv_t inv_table[C::inv_entries], const typename C::offset_t offset[1]) {
#pragma HLS PIPELINE
    for (int r = 0; r < C::rows; ++r) {
        typename C::integer_t q[C::length];
#pragma HLS ARRAY_PARTITION variable=q complete
        integers<C>(x + r * C::length, q);
        for (int i = 0; i < C::length; ++i) {
            typename C::sum_t sum = 0;
            for (int j = 0; j < C::length; ++j) {
                const typename C::difference_t difference = q[j] - q[i] - offset[0];
                sum += exp_table[entry(difference, C::exp_shift, C::exp_entries)];
            }
            const typename C::one_t one = 1;
            scale<C>(one, invert<C>(sum, inv_table), y[r * C::length + i]);
        }
    }
}

// One at the first largest input, zero elsewhere.
template <class C, class X, class Y>
void softmax_argmax(const X x[C::rows * C::length], Y y[C::rows * C::length]) {
#pragma HLS PIPELINE
    for (int r = 0; r < C::rows; ++r) {
        int first = 0;
        X largest = x[r * C::length];
        for (int i = 1; i < C::length; ++i) {
            if (x[r * C::length + i] > largest) {
                largest = x[r * C::length + i];
                first = i;
            }
        }
        for (int i = 0; i < C::length; ++i) y[r * C::length + i] = i == first ? 1 : 0;
    }
}

}  // namespace kbuild

#endif
