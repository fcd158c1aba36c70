// Softmax over the last axis, by tables of integers for the exponential and the reciprocal.
//
// The reciprocal of a sum s, whose highest possible bit is `top`: s is normalised to m, 2^top <= m < 2^(top + 1), by a
// shift to the left, `lift`; then 1/s is inv_table[(m - 2^top) >> inv_shift] shifted left by `lift` as well. No sum of
// the kernels stable and refined has its highest bit below `least`.
#ifndef KBUILD_SOFTMAX_H
#define KBUILD_SOFTMAX_H

#include "cast.h"
#include "table.h"

namespace kbuild {

// Which inputs of a row there are: all of them, or those with a one in a mask, [mask_rows][length], whose rows come
// again and again. What is not there counts for no maximum and no sum, and its result is zero.
template <class C, bool MASKED>
struct There {
    static bool is(const ap_uint<1>* mask, int row, int i) {
#pragma HLS INLINE
        return mask[row % C::mask_rows * C::length + i] != 0;
    }
};
template <class C>
struct There<C, false> {
    static bool is(const ap_uint<1>*, int, int) { return true; }
};

template <class M>
struct reciprocal {
    M mantissa;
    int lift;
};

// The sum m shifted so that its highest bit, which is C::least or above, is bit C::top, without that bit; the places.
template <class C>
int normalised(const typename C::sum_t& sum, typename C::mantissa_t& m) {
#pragma HLS INLINE
    int position = C::least;
    for (int bit = C::least + 1; bit <= C::top; ++bit) {
#pragma HLS UNROLL
        if (sum[bit]) position = bit;
    }
    const int lift = C::top - position;
    m = sum;
    if (sum == 0) m = 1;
    m = m << lift;
    m[C::top] = 0;
    return lift;
}

template <class C>
reciprocal<typename C::inv_t> invert(const typename C::sum_t& sum,
                                     const typename C::inv_t inv_table[C::inv_entries]) {
#pragma HLS INLINE
    typename C::mantissa_t m;
    reciprocal<typename C::inv_t> r;
    r.lift = normalised<C>(sum, m);
    r.mantissa = inv_table[entry(m, C::inv_shift, C::inv_entries)];
    return r;
}

// By a line in each cell of m.
template <class C>
reciprocal<typename C::inverse_t> invert(const typename C::sum_t& sum,
                                         const typename C::inv_t inv_table[C::inv_entries],
                                         const typename C::slope_t inv_slope[C::inv_entries]) {
#pragma HLS INLINE
    typename C::mantissa_t m;
    reciprocal<typename C::inverse_t> r;
    r.lift = normalised<C>(sum, m);
    const int cell = entry(m, C::inv_shift, C::inv_entries);
    typename C::mantissa_t below = 1;
    below = below << C::inv_shift;
    below -= 1;
    const typename C::rest_t rest = (m & below) >> C::inv_drop;
    typename C::line_t line = inv_slope[cell] * rest;
    line = line >> C::slope_shift;
    line = inv_table[cell] - line;
    r.mantissa = cast<typename C::inverse_t>(line * unit<typename C::inverse_unit_t>());
    return r;
}

// e * r in the result.
template <class C, class Y, class E, class M>
Y scaled(const E& e, const reciprocal<M>& r) {
#pragma HLS INLINE
    typename C::value_t value = e * r.mantissa;
    value = value << r.lift;
    return cast<Y>(value * unit<typename C::result_unit_t>());
}

template <class C, class X>
void integers(const X x[C::rows * C::length], typename C::integer_t q[C::length], int row) {
#pragma HLS INLINE
    for (int i = 0; i < C::length; ++i) q[i] = x[row * C::length + i] * unit<typename C::unit_t>();
}

// How far each input of a row is below the largest, exactly; zero where there is none.
template <class C, bool MASKED, class X>
void below_largest(const X x[C::rows * C::length], typename C::difference_t difference[C::length], int row,
                   const ap_uint<1>* mask) {
#pragma HLS INLINE
    typename C::integer_t q[C::length];
#pragma HLS ARRAY_PARTITION variable=q complete
    integers<C>(x, q, row);
    typename C::integer_t largest = q[0];
    bool found = There<C, MASKED>::is(mask, row, 0);
    for (int i = 1; i < C::length; ++i) {
        if (!There<C, MASKED>::is(mask, row, i)) continue;
        if (!found || q[i] > largest) largest = q[i];
        found = true;
    }
    for (int i = 0; i < C::length; ++i) {
        difference[i] = 0;
        if (There<C, MASKED>::is(mask, row, i)) difference[i] = largest - q[i];
    }
}

// Where the result of an input below the largest is not below the result of that one, one LSB less than it.
template <class C, class Y>
void separate(const typename C::difference_t difference[C::length], const Y& highest, Y y[C::rows * C::length],
              int row) {
#pragma HLS INLINE
    Y most = highest;
    if (highest > 0) most = highest - unit<typename C::lsb_t>();
    for (int i = 0; i < C::length; ++i) {
        Y& own = y[row * C::length + i];
        if (difference[i] > 0 && own > most) own = most;
    }
}

// The largest input is subtracted, exactly, before the table.
template <class C, bool MASKED, class X, class Y>
void stable_rows(const X x[C::rows * C::length], Y y[C::rows * C::length],
                 const typename C::exp_t exp_table[C::exp_entries], const typename C::inv_t inv_table[C::inv_entries],
                 const ap_uint<1>* mask) {
#pragma HLS INLINE
    for (int row = 0; row < C::rows; ++row) {
        typename C::difference_t difference[C::length];
        typename C::exp_t e[C::length];
#pragma HLS ARRAY_PARTITION variable=difference complete
#pragma HLS ARRAY_PARTITION variable=e complete
        below_largest<C, MASKED>(x, difference, row, mask);
        typename C::sum_t sum = 0;
        for (int i = 0; i < C::length; ++i) {
            e[i] = exp_table[entry(difference[i], C::exp_shift, C::exp_entries)];
            if (!There<C, MASKED>::is(mask, row, i)) e[i] = 0;
            sum += e[i];
        }
        const reciprocal<typename C::inv_t> r = invert<C>(sum, inv_table);
        for (int i = 0; i < C::length; ++i) y[row * C::length + i] = scaled<C, Y>(e[i], r);
        if (C::distinct) separate<C, Y>(difference, scaled<C, Y>(exp_table[0], r), y, row);
    }
}

// An exponential from the table of the high bits of the index, less a share of it by those of the low bits.
template <class C>
typename C::exp_t exponential(const typename C::difference_t& difference,
                              const typename C::exp_t exp_table[C::exp_entries],
                              const typename C::low_t exp_low[C::low_entries]) {
#pragma HLS INLINE
    const int index = entry(difference, C::exp_shift, C::exp_entries << C::low_bits);
    const typename C::exp_t high = exp_table[index >> C::low_bits];
    if (C::low_bits == 0) return high;
    return high - ((high * exp_low[index & (C::low_entries - 1)]) >> C::low_fraction);
}

// As stable_rows, with the precision of far larger tables.
template <class C, bool MASKED, class X, class Y>
void refined_rows(const X x[C::rows * C::length], Y y[C::rows * C::length],
                  const typename C::exp_t exp_table[C::exp_entries], const typename C::low_t exp_low[C::low_entries],
                  const typename C::inv_t inv_table[C::inv_entries],
                  const typename C::slope_t inv_slope[C::inv_entries], const ap_uint<1>* mask) {
#pragma HLS INLINE
    for (int row = 0; row < C::rows; ++row) {
        typename C::difference_t difference[C::length];
        typename C::numerator_t e[C::length];
#pragma HLS ARRAY_PARTITION variable=difference complete
#pragma HLS ARRAY_PARTITION variable=e complete
        below_largest<C, MASKED>(x, difference, row, mask);
        typename C::sum_t sum = 0;
        for (int i = 0; i < C::length; ++i) {
            typename C::exp_t whole = exponential<C>(difference[i], exp_table, exp_low);
            if (!There<C, MASKED>::is(mask, row, i)) whole = 0;
            sum += whole;
            e[i] = cast<typename C::numerator_t>(whole * unit<typename C::numerator_unit_t>());
        }
        const reciprocal<typename C::inverse_t> r = invert<C>(sum, inv_table, inv_slope);
        for (int i = 0; i < C::length; ++i) y[row * C::length + i] = scaled<C, Y>(e[i], r);
        const typename C::numerator_t largest =
            cast<typename C::numerator_t>(exp_table[0] * unit<typename C::numerator_unit_t>());
        if (C::distinct) separate<C, Y>(difference, scaled<C, Y>(largest, r), y, row);
    }
}

// The table sees the inputs themselves.
template <class C, bool MASKED, class X, class Y>
void latency_rows(const X x[C::rows * C::length], Y y[C::rows * C::length],
                  const typename C::exp_t exp_table[C::exp_entries], const typename C::inv_t inv_table[C::inv_entries],
                  const typename C::offset_t offset[1], const ap_uint<1>* mask) {
#pragma HLS INLINE
    for (int row = 0; row < C::rows; ++row) {
        typename C::integer_t q[C::length];
        typename C::exp_t e[C::length];
#pragma HLS ARRAY_PARTITION variable=q complete
#pragma HLS ARRAY_PARTITION variable=e complete
        integers<C>(x, q, row);
        typename C::sum_t sum = 0;
        for (int i = 0; i < C::length; ++i) {
            const typename C::difference_t difference = q[i] - offset[0];
            e[i] = exp_table[entry(difference, C::exp_shift, C::exp_entries)];
            if (!There<C, MASKED>::is(mask, row, i)) e[i] = 0;
            sum += e[i];
        }
        const reciprocal<typename C::inv_t> r = invert<C>(sum, inv_table);
        for (int i = 0; i < C::length; ++i) y[row * C::length + i] = scaled<C, Y>(e[i], r);
    }
}

// 1 / sum over j of exp(x_j - x_i), for every i by itself.
template <class C, bool MASKED, class X, class Y>
void legacy_rows(const X x[C::rows * C::length], Y y[C::rows * C::length],
                 const typename C::exp_t exp_table[C::exp_entries], const typename C::inv_t inv_table[C::inv_entries],
                 const typename C::offset_t offset[1], const ap_uint<1>* mask) {
#pragma HLS INLINE
    for (int row = 0; row < C::rows; ++row) {
        typename C::integer_t q[C::length];
#pragma HLS ARRAY_PARTITION variable=q complete
        integers<C>(x, q, row);
        for (int i = 0; i < C::length; ++i) {
            typename C::sum_t sum = 0;
            for (int j = 0; j < C::length; ++j) {
                if (!There<C, MASKED>::is(mask, row, j)) continue;
                const typename C::difference_t difference = q[j] - q[i] - offset[0];
                sum += exp_table[entry(difference, C::exp_shift, C::exp_entries)];
            }
            const typename C::one_t one = There<C, MASKED>::is(mask, row, i) ? 1 : 0;
            y[row * C::length + i] = scaled<C, Y>(one, invert<C>(sum, inv_table));
        }
    }
}

// One at the first largest input, zero elsewhere.
template <class C, bool MASKED, class X, class Y>
void argmax_rows(const X x[C::rows * C::length], Y y[C::rows * C::length], const ap_uint<1>* mask) {
#pragma HLS INLINE
    for (int row = 0; row < C::rows; ++row) {
        int first = -1;
        X largest = x[row * C::length];
        for (int i = 0; i < C::length; ++i) {
            if (!There<C, MASKED>::is(mask, row, i)) continue;
            if (first < 0 || x[row * C::length + i] > largest) {
                largest = x[row * C::length + i];
                first = i;
            }
        }
        for (int i = 0; i < C::length; ++i) y[row * C::length + i] = i == first ? 1 : 0;
    }
}

// ---- the kernels: every input counts, or those of a mask

template <class C, class X, class Y>
void softmax_stable(const X x[C::rows * C::length], Y y[C::rows * C::length],
                    const typename C::exp_t exp_table[C::exp_entries],
                    const typename C::inv_t inv_table[C::inv_entries]) {
#pragma HLS PIPELINE
    const ap_uint<1> all[1] = {1};
    stable_rows<C, false>(x, y, exp_table, inv_table, all);
}

template <class C, class X, class Y>
void masked_stable(const X x[C::rows * C::length], Y y[C::rows * C::length],
                   const typename C::exp_t exp_table[C::exp_entries], const typename C::inv_t inv_table[C::inv_entries],
                   const ap_uint<1> mask[C::mask_rows * C::length]) {
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable=mask complete
    stable_rows<C, true>(x, y, exp_table, inv_table, mask);
}

template <class C, class X, class Y>
void softmax_refined(const X x[C::rows * C::length], Y y[C::rows * C::length],
                     const typename C::exp_t exp_table[C::exp_entries], const typename C::low_t exp_low[C::low_entries],
                     const typename C::inv_t inv_table[C::inv_entries],
                     const typename C::slope_t inv_slope[C::inv_entries]) {
#pragma HLS PIPELINE
    const ap_uint<1> all[1] = {1};
    refined_rows<C, false>(x, y, exp_table, exp_low, inv_table, inv_slope, all);
}

template <class C, class X, class Y>
void masked_refined(const X x[C::rows * C::length], Y y[C::rows * C::length],
                    const typename C::exp_t exp_table[C::exp_entries], const typename C::low_t exp_low[C::low_entries],
                    const typename C::inv_t inv_table[C::inv_entries],
                    const typename C::slope_t inv_slope[C::inv_entries],
                    const ap_uint<1> mask[C::mask_rows * C::length]) {
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable=mask complete
    refined_rows<C, true>(x, y, exp_table, exp_low, inv_table, inv_slope, mask);
}

template <class C, class X, class Y>
void softmax_latency(const X x[C::rows * C::length], Y y[C::rows * C::length],
                     const typename C::exp_t exp_table[C::exp_entries],
                     const typename C::inv_t inv_table[C::inv_entries], const typename C::offset_t offset[1]) {
#pragma HLS PIPELINE
    const ap_uint<1> all[1] = {1};
    latency_rows<C, false>(x, y, exp_table, inv_table, offset, all);
}

template <class C, class X, class Y>
void masked_latency(const X x[C::rows * C::length], Y y[C::rows * C::length],
                    const typename C::exp_t exp_table[C::exp_entries],
                    const typename C::inv_t inv_table[C::inv_entries], const typename C::offset_t offset[1],
                    const ap_uint<1> mask[C::mask_rows * C::length]) {
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable=mask complete
    latency_rows<C, true>(x, y, exp_table, inv_table, offset, mask);
}

template <class C, class X, class Y>
void softmax_legacy(const X x[C::rows * C::length], Y y[C::rows * C::length],
                    const typename C::exp_t exp_table[C::exp_entries],
                    const typename C::inv_t inv_table[C::inv_entries], const typename C::offset_t offset[1]) {
#pragma HLS PIPELINE
    const ap_uint<1> all[1] = {1};
    legacy_rows<C, false>(x, y, exp_table, inv_table, offset, all);
}

template <class C, class X, class Y>
void masked_legacy(const X x[C::rows * C::length], Y y[C::rows * C::length],
                   const typename C::exp_t exp_table[C::exp_entries], const typename C::inv_t inv_table[C::inv_entries],
                   const typename C::offset_t offset[1], const ap_uint<1> mask[C::mask_rows * C::length]) {
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable=mask complete
    legacy_rows<C, true>(x, y, exp_table, inv_table, offset, mask);
}

template <class C, class X, class Y>
void softmax_argmax(const X x[C::rows * C::length], Y y[C::rows * C::length]) {
#pragma HLS PIPELINE
    const ap_uint<1> all[1] = {1};
    argmax_rows<C, false>(x, y, all);
}

template <class C, class X, class Y>
void masked_argmax(const X x[C::rows * C::length], Y y[C::rows * C::length],
                   const ap_uint<1> mask[C::mask_rows * C::length]) {
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable=mask complete
    argmax_rows<C, true>(x, y, mask);
}

}  // namespace kbuild

#endif
