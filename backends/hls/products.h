// Sums of products with constant weights: what dense layers and convolutions have in common, in arrays and in streams.
//
// A product is exact, is cast to term_t (the accumulator's fraction and rounding) and added; the order is that of the
// rows of the weight, [terms][outputs]. So a saturating accumulator saturates after every addition, and a wrapping one
// may be any width modulo its own.
#ifndef KBUILD_PRODUCTS_H
#define KBUILD_PRODUCTS_H

#include "cast.h"
#include "integer.h"

namespace kbuild {

// The product of a value and a weight as a term of type T. Weights that are signs (-1, 0, 1) only choose.
template <class T, bool SIGNS>
struct Term {
    template <class X, class W>
    static T of(const X& value, const W& weight) {
#pragma HLS INLINE
        return cast<T>(value * weight);
    }
};
template <class T>
struct Term<T, true> {
    template <class X, class W>
    static T of(const X& value, const W& weight) {
#pragma HLS INLINE
        if (weight == 0) return T(0);
        if (weight < 0) return cast<T>(-value);
        return cast<T>(value);
    }
};

// One place of a window, all products at once: `CHANNELS` inputs for each of `GROUPS` equal groups of outputs, which
// begin at x[from]; their weights begin with row k.
template <class C, int GROUPS, int CHANNELS, class X>
void add_products(const X* x, int from, typename C::accum_t* accum, const typename C::weight_t* weight, int k) {
#pragma HLS INLINE
    const int outputs = C::outputs / GROUPS;
    for (int c = 0; c < CHANNELS; ++c) {
        for (int g = 0; g < GROUPS; ++g) {
            const X value = x[from + g * CHANNELS + c];
            for (int n = g * outputs; n < (g + 1) * outputs; ++n)
                accum[n] += Term<typename C::term_t, C::signs>::of(value, weight[(k + c) * C::outputs + n]);
        }
    }
}

// `STEPS` steps of `products` products each, from number `first` on; their weights lie side by side in memory. A step
// takes `depth` terms for all outputs, or one for `lanes` of the outputs. x[from] is the first term, [terms][groups].
// All this for PLACES inputs at once, `apart` from each other, and as many times `outputs` sums.
template <class C, int GROUPS, int STEPS, int PLACES, class X>
void add_steps_to(const X* x, int from, int apart, typename C::accum_t* accum, const typename C::weight_t* weight,
                  int first) {
#pragma HLS INLINE
    int k = from, n = 0;
    for (int step = 0; step < STEPS; ++step) {
#pragma HLS PIPELINE II=1
        for (int d = 0; d < C::depth; ++d) {
#pragma HLS UNROLL
            for (int lane = 0; lane < C::lanes; ++lane) {
#pragma HLS UNROLL
                const int group = GROUPS == 1 ? 0 : (n + lane) / (C::outputs / GROUPS);
                const typename C::weight_t w = weight[((first + step) * C::depth + d) * C::lanes + lane];
                for (int place = 0; place < PLACES; ++place) {
#pragma HLS UNROLL
                    const X value = x[place * apart + k + d * GROUPS + group];
                    accum[place * C::outputs + n + lane] += Term<typename C::term_t, C::signs>::of(value, w);
                }
            }
        }
        n += C::lanes;
        if (n == C::outputs) {
            n = 0;
            k += C::depth * GROUPS;
        }
    }
}

// The same for one input.
template <class C, int GROUPS, int STEPS, class X>
void add_steps(const X* x, int from, typename C::accum_t* accum, const typename C::weight_t* weight, int first) {
#pragma HLS INLINE
    add_steps_to<C, GROUPS, STEPS, 1>(x, from, 0, accum, weight, first);
}

// An adder of distributed arithmetic: (a << A) + (b << B), or minus, in W bits, which hold it. One function for each
// shape of adder is much quicker to compile than as many operators as there are adders.
template <int W, int A, int B, class X, class Y>
ap_int<W> added(const X& a, const Y& b) {
#pragma HLS INLINE
    return (ap_int<W>(a) << A) + (ap_int<W>(b) << B);
}
template <int W, int A, int B, class X, class Y>
ap_int<W> subtracted(const X& a, const Y& b) {
#pragma HLS INLINE
    return (ap_int<W>(a) << A) - (ap_int<W>(b) << B);
}

// Distributed arithmetic: `C::adders` multiplies the integers behind `places` values by the matrix, with shifts and
// additions only. Its results are whole sums (`parts` is 1), or one product for each term where each is cast by itself.
template <class C, class X>
void distributed_sums(const X x[C::places], typename C::accum_t accum[C::outputs],
                      const typename C::bias_t bias[C::outputs]) {
#pragma HLS INLINE
    typename C::integer_t q[C::places];
    typename C::product_t product[C::parts * C::outputs];
#pragma HLS ARRAY_PARTITION variable=q complete
#pragma HLS ARRAY_PARTITION variable=product complete
    for (int k = 0; k < C::places; ++k) q[k] = x[k] * unit<typename C::unit_t>();
    C::adders(q, product);
    for (int n = 0; n < C::outputs; ++n) accum[n] = cast<typename C::accum_t>(bias[n]);
    for (int part = 0; part < C::parts; ++part)
        for (int n = 0; n < C::outputs; ++n)
            accum[n] += cast<typename C::part_t>(product[part * C::outputs + n] * unit<typename C::product_unit_t>());
}

}  // namespace kbuild

#endif
