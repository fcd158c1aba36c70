// Sums of products with constant weights: what dense layers and convolutions have in common, in arrays and in streams.
//
// A product is exact, is cast to term_t (the accumulator's fraction and rounding) and added; the order is that of the
// rows of the weight, [terms][outputs]. So a saturating accumulator saturates after every addition, and a wrapping one
// may be any width modulo its own.
#ifndef KBUILD_PRODUCTS_H
#define KBUILD_PRODUCTS_H

namespace kbuild {

// The product of a value and a weight as a term of type T. Weights that are signs (-1, 0, 1) only choose.
template <class T, bool SIGNS>
struct Term {
    template <class X, class W>
    static T of(const X& value, const W& weight) {
#pragma HLS INLINE
        return T(value * weight);
    }
};
template <class T>
struct Term<T, true> {
    template <class X, class W>
    static T of(const X& value, const W& weight) {
#pragma HLS INLINE
        if (weight == 0) return T(0);
        if (weight < 0) return T(-value);
        return T(value);
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
template <class C, int GROUPS, int STEPS, class X>
void add_steps(const X* x, int from, typename C::accum_t* accum, const typename C::weight_t* weight, int first) {
#pragma HLS INLINE
    int k = from, n = 0;
    for (int step = 0; step < STEPS; ++step) {
#pragma HLS PIPELINE II=1
        for (int d = 0; d < C::depth; ++d) {
#pragma HLS UNROLL
            for (int lane = 0; lane < C::lanes; ++lane) {
#pragma HLS UNROLL
                const int group = GROUPS == 1 ? 0 : (n + lane) / (C::outputs / GROUPS);
                const X value = x[k + d * GROUPS + group];
                accum[n + lane] += Term<typename C::term_t, C::signs>::of(
                    value, weight[((first + step) * C::depth + d) * C::lanes + lane]);
            }
        }
        n += C::lanes;
        if (n == C::outputs) {
            n = 0;
            k += C::depth * GROUPS;
        }
    }
}

}  // namespace kbuild

#endif
