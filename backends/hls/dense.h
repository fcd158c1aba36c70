// y[r][n] = bias[n] + sum over k of x[r][k] * weight[k][n], summed in accum_t and cast to the result.
//
// A product is exact, is cast to term_t (the accumulator's fraction and rounding) and added, k ascending, bias first.
// So a saturating accumulator saturates after every addition, and a wrapping one may be any width modulo its own.
#ifndef KBUILD_DENSE_H
#define KBUILD_DENSE_H

namespace kbuild {

// One row, all products at once.
template <class C, class X, class Y>
void dense_row(const X x[C::rows * C::inputs], Y y[C::rows * C::outputs],
               const typename C::weight_t weight[C::inputs * C::outputs],
               const typename C::bias_t bias[C::outputs], int row) {
#pragma HLS INLINE
    typename C::accum_t accum[C::outputs];
#pragma HLS ARRAY_PARTITION variable=accum complete
    for (int n = 0; n < C::outputs; ++n) accum[n] = bias[n];
    for (int k = 0; k < C::inputs; ++k) {
        const X value = x[row * C::inputs + k];
        for (int n = 0; n < C::outputs; ++n) accum[n] += typename C::term_t(value * weight[k * C::outputs + n]);
    }
    for (int n = 0; n < C::outputs; ++n) y[row * C::outputs + n] = accum[n];
}

// Latency: one new input every `reuse_factor` cycles, with at most `multipliers` multipliers.
template <class C, class X, class Y>
void dense_latency(const X x[C::rows * C::inputs], Y y[C::rows * C::outputs],
                   const typename C::weight_t weight[C::inputs * C::outputs],
                   const typename C::bias_t bias[C::outputs]) {
#pragma HLS FUNCTION_INSTANTIATE variable=weight,bias
#pragma HLS PIPELINE II=C::reuse_factor
#pragma HLS ARRAY_PARTITION variable=weight complete
#pragma HLS ARRAY_PARTITION variable=bias complete
#pragma HLS ALLOCATION operation instances=mul limit=C::multipliers
    for (int row = 0; row < C::rows; ++row) dense_row<C>(x, y, weight, bias, row);
}

// Unrolled: every weight is a constant beside its own input, so that the tool may make shifts and adders of it.
template <class C, class X, class Y>
void dense_unrolled(const X x[C::rows * C::inputs], Y y[C::rows * C::outputs],
                    const typename C::weight_t weight[C::inputs * C::outputs],
                    const typename C::bias_t bias[C::outputs]) {
#pragma HLS FUNCTION_INSTANTIATE variable=weight,bias
#pragma HLS PIPELINE II=C::reuse_factor
#pragma HLS ARRAY_PARTITION variable=weight complete
#pragma HLS ARRAY_PARTITION variable=bias complete
    for (int row = 0; row < C::rows; ++row) dense_row<C>(x, y, weight, bias, row);
}

// Resource: `reuse_factor` steps of `products` products each, whose weights lie side by side in memory.
// A step takes `depth` inputs for all outputs, or one input for `lanes` of the outputs.
template <class C, class X, class Y>
void dense_resource(const X x[C::rows * C::inputs], Y y[C::rows * C::outputs],
                    const typename C::weight_t weight[C::inputs * C::outputs],
                    const typename C::bias_t bias[C::outputs]) {
#pragma HLS ARRAY_RESHAPE variable=weight cyclic factor=C::products
#pragma HLS ARRAY_PARTITION variable=bias complete
    for (int row = 0; row < C::rows; ++row) {
        typename C::accum_t accum[C::outputs];
#pragma HLS ARRAY_PARTITION variable=accum complete
        for (int n = 0; n < C::outputs; ++n) {
#pragma HLS UNROLL
            accum[n] = bias[n];
        }
        int first = 0, n = 0;
        for (int step = 0; step < C::reuse_factor; ++step) {
#pragma HLS PIPELINE II=1
            for (int k = 0; k < C::depth; ++k) {
#pragma HLS UNROLL
                const X value = x[row * C::inputs + first + k];
                for (int lane = 0; lane < C::lanes; ++lane) {
#pragma HLS UNROLL
                    accum[n + lane] += typename C::term_t(value * weight[(step * C::depth + k) * C::lanes + lane]);
                }
            }
            n += C::lanes;
            if (n == C::outputs) {
                n = 0;
                first += C::depth;
            }
        }
        for (int n = 0; n < C::outputs; ++n) {
#pragma HLS UNROLL
            y[row * C::outputs + n] = accum[n];
        }
    }
}

// ---- the products of other kernels, by `strategy` of their configuration

const int STRATEGY_LATENCY = 0, STRATEGY_RESOURCE = 1, STRATEGY_UNROLLED = 2;

template <int STRATEGY>
struct dense_by {
    template <class C, class X, class Y>
    static void products(const X x[C::rows * C::inputs], Y y[C::rows * C::outputs],
                         const typename C::weight_t weight[C::inputs * C::outputs],
                         const typename C::bias_t bias[C::outputs]) {
#pragma HLS INLINE
        dense_latency<C>(x, y, weight, bias);
    }
};

template <>
struct dense_by<STRATEGY_RESOURCE> {
    template <class C, class X, class Y>
    static void products(const X x[C::rows * C::inputs], Y y[C::rows * C::outputs],
                         const typename C::weight_t weight[C::inputs * C::outputs],
                         const typename C::bias_t bias[C::outputs]) {
#pragma HLS INLINE
        dense_resource<C>(x, y, weight, bias);
    }
};

template <>
struct dense_by<STRATEGY_UNROLLED> {
    template <class C, class X, class Y>
    static void products(const X x[C::rows * C::inputs], Y y[C::rows * C::outputs],
                         const typename C::weight_t weight[C::inputs * C::outputs],
                         const typename C::bias_t bias[C::outputs]) {
#pragma HLS INLINE
        dense_unrolled<C>(x, y, weight, bias);
    }
};

template <class C, class X, class Y>
void products(const X x[C::rows * C::inputs], Y y[C::rows * C::outputs],
              const typename C::weight_t weight[C::inputs * C::outputs],
              const typename C::bias_t bias[C::outputs]) {
#pragma HLS INLINE
    dense_by<C::strategy>::template products<C>(x, y, weight, bias);
}

}  // namespace kbuild

#endif
