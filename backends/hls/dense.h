// y[r][n] = bias[n] + sum over k of x[r][k][group(n)] * weight[k][n], summed as in products.h, bias first, cast to the
// result. A dense layer has one group; with more of them each has as many of the sums, of inputs of its own.
#ifndef KBUILD_DENSE_H
#define KBUILD_DENSE_H

#include "products.h"

namespace kbuild {

// One row, all products at once.
template <class C, class X, class Y>
void dense_row(const X x[C::rows * C::inputs * C::groups], Y y[C::rows * C::outputs],
               const typename C::weight_t weight[C::inputs * C::outputs],
               const typename C::bias_t bias[C::outputs], int row) {
#pragma HLS INLINE
    typename C::accum_t accum[C::outputs];
#pragma HLS ARRAY_PARTITION variable=accum complete
    for (int n = 0; n < C::outputs; ++n) accum[n] = bias[n];
    for (int k = 0; k < C::inputs; ++k)
        add_products<C, C::groups, 1>(x, (row * C::inputs + k) * C::groups, accum, weight, k);
    for (int n = 0; n < C::outputs; ++n) y[row * C::outputs + n] = accum[n];
}

// Latency: one new input every `reuse_factor` cycles, with at most `multipliers` multipliers.
template <class C, class X, class Y>
void dense_latency(const X x[C::rows * C::inputs * C::groups], Y y[C::rows * C::outputs],
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
void dense_unrolled(const X x[C::rows * C::inputs * C::groups], Y y[C::rows * C::outputs],
                    const typename C::weight_t weight[C::inputs * C::outputs],
                    const typename C::bias_t bias[C::outputs]) {
#pragma HLS FUNCTION_INSTANTIATE variable=weight,bias
#pragma HLS PIPELINE II=C::reuse_factor
#pragma HLS ARRAY_PARTITION variable=weight complete
#pragma HLS ARRAY_PARTITION variable=bias complete
    for (int row = 0; row < C::rows; ++row) dense_row<C>(x, y, weight, bias, row);
}

// Resource: each row takes `reuse_factor` steps of `products` products.
template <class C, class X, class Y>
void dense_resource(const X x[C::rows * C::inputs * C::groups], Y y[C::rows * C::outputs],
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
        add_steps<C, C::groups, C::reuse_factor>(x, row * C::inputs * C::groups, accum, weight, 0);
        for (int n = 0; n < C::outputs; ++n) {
#pragma HLS UNROLL
            y[row * C::outputs + n] = accum[n];
        }
    }
}

// Distributed arithmetic: each row by shifts and additions.
template <class C, class X, class Y>
void dense_distributed_arithmetic(const X x[C::rows * C::inputs * C::groups], Y y[C::rows * C::outputs],
                                  const typename C::weight_t[C::inputs * C::outputs],
                                  const typename C::bias_t bias[C::outputs]) {
#pragma HLS FUNCTION_INSTANTIATE variable=bias
#pragma HLS PIPELINE II=1
#pragma HLS ARRAY_PARTITION variable=bias complete
    for (int row = 0; row < C::rows; ++row) {
        X values[C::places];
        typename C::accum_t accum[C::outputs];
#pragma HLS ARRAY_PARTITION variable=values complete
#pragma HLS ARRAY_PARTITION variable=accum complete
        for (int k = 0; k < C::places; ++k) values[k] = x[row * C::places + k];
        distributed_sums<C>(values, accum, bias);
        for (int n = 0; n < C::outputs; ++n) y[row * C::outputs + n] = accum[n];
    }
}

// ---- the products of other kernels, by `strategy` of their configuration

const int STRATEGY_LATENCY = 0, STRATEGY_RESOURCE = 1, STRATEGY_UNROLLED = 2, STRATEGY_DISTRIBUTED_ARITHMETIC = 3;

template <int STRATEGY>
struct dense_by {
    template <class C, class X, class Y>
    static void products(const X x[C::rows * C::inputs * C::groups], Y y[C::rows * C::outputs],
                         const typename C::weight_t weight[C::inputs * C::outputs],
                         const typename C::bias_t bias[C::outputs]) {
#pragma HLS INLINE
        dense_latency<C>(x, y, weight, bias);
    }
};

template <>
struct dense_by<STRATEGY_RESOURCE> {
    template <class C, class X, class Y>
    static void products(const X x[C::rows * C::inputs * C::groups], Y y[C::rows * C::outputs],
                         const typename C::weight_t weight[C::inputs * C::outputs],
                         const typename C::bias_t bias[C::outputs]) {
#pragma HLS INLINE
        dense_resource<C>(x, y, weight, bias);
    }
};

template <>
struct dense_by<STRATEGY_UNROLLED> {
    template <class C, class X, class Y>
    static void products(const X x[C::rows * C::inputs * C::groups], Y y[C::rows * C::outputs],
                         const typename C::weight_t weight[C::inputs * C::outputs],
                         const typename C::bias_t bias[C::outputs]) {
#pragma HLS INLINE
        dense_unrolled<C>(x, y, weight, bias);
    }
};

template <>
struct dense_by<STRATEGY_DISTRIBUTED_ARITHMETIC> {
    template <class C, class X, class Y>
    static void products(const X x[C::rows * C::inputs * C::groups], Y y[C::rows * C::outputs],
                         const typename C::weight_t weight[C::inputs * C::outputs],
                         const typename C::bias_t bias[C::outputs]) {
#pragma HLS INLINE
        dense_distributed_arithmetic<C>(x, y, weight, bias);
    }
};

template <class C, class X, class Y>
void products(const X x[C::rows * C::inputs * C::groups], Y y[C::rows * C::outputs],
              const typename C::weight_t weight[C::inputs * C::outputs],
              const typename C::bias_t bias[C::outputs]) {
#pragma HLS INLINE
    dense_by<C::strategy>::template products<C>(x, y, weight, bias);
}

}  // namespace kbuild

#endif
