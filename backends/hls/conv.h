// y[p][n] = bias[n] + sum over k and c of x[under(p, k)][group(n)][c] * weight[k][c][n], summed as in
// products.h, bias first. Places of the window without an input add nothing.
//
// `at_once` positions are computed at once; the top function runs convolutions as processes beside each other.
#ifndef KBUILD_CONV_H
#define KBUILD_CONV_H

#include "products.h"
#include "window.h"

namespace kbuild {

// One position, all products at once.
template <class C, class X, class Y>
void conv_position(const X x[C::inputs * C::channels], Y y[C::positions * C::outputs],
                   const typename C::weight_t weight[C::terms * C::outputs],
                   const typename C::bias_t bias[C::outputs], int p0, int p1, int p2) {
#pragma HLS INLINE
    typename C::accum_t accum[C::outputs];
#pragma HLS ARRAY_PARTITION variable=accum complete
    for (int n = 0; n < C::outputs; ++n) accum[n] = cast<typename C::accum_t>(bias[n]);
    for (int k0 = 0; k0 < C::kernel0; ++k0) {
        const int i0 = under(p0, k0, C::stride0, C::dilation0, C::low0, C::spread0, C::size0);
        if (i0 < 0) continue;
        for (int k1 = 0; k1 < C::kernel1; ++k1) {
            const int i1 = under(p1, k1, C::stride1, C::dilation1, C::low1, C::spread1, C::size1);
            if (i1 < 0) continue;
            for (int k2 = 0; k2 < C::kernel2; ++k2) {
                const int i2 = under(p2, k2, C::stride2, C::dilation2, C::low2, C::spread2, C::size2);
                if (i2 < 0) continue;
                const int from = ((i0 * C::size1 + i1) * C::size2 + i2) * C::channels;
                const int k = ((k0 * C::kernel1 + k1) * C::kernel2 + k2) * C::group_channels;
                add_products<C, C::groups, C::group_channels>(x, from, accum, weight, k);
            }
        }
    }
    for (int n = 0; n < C::outputs; ++n) y[KBUILD_POSITION(C) * C::outputs + n] = cast<Y>(accum[n]);
}

// Latency: `at_once` positions every `reuse_factor` cycles, with at most `multipliers` multipliers.
template <class C, class X, class Y>
void conv_latency(const X x[C::inputs * C::channels], Y y[C::positions * C::outputs],
                  const typename C::weight_t weight[C::terms * C::outputs],
                  const typename C::bias_t bias[C::outputs]) {
#pragma HLS FUNCTION_INSTANTIATE variable=weight,bias
#pragma HLS ARRAY_PARTITION variable=weight complete
#pragma HLS ARRAY_PARTITION variable=bias complete
#pragma HLS ALLOCATION operation instances=mul limit=C::multipliers
    int p0 = 0, p1 = 0, p2 = 0;
    for (int first = 0; first < C::positions; first += C::at_once) {
#pragma HLS PIPELINE II=C::reuse_factor
        for (int place = 0; place < C::at_once; ++place) {
            conv_position<C>(x, y, weight, bias, p0, p1, p2);
            advance<C>(p0, p1, p2);
        }
    }
}

// Unrolled: every weight is a constant beside its own place of the window, so that the tool may make shifts and adders.
template <class C, class X, class Y>
void conv_unrolled(const X x[C::inputs * C::channels], Y y[C::positions * C::outputs],
                   const typename C::weight_t weight[C::terms * C::outputs],
                   const typename C::bias_t bias[C::outputs]) {
#pragma HLS FUNCTION_INSTANTIATE variable=weight,bias
#pragma HLS ARRAY_PARTITION variable=weight complete
#pragma HLS ARRAY_PARTITION variable=bias complete
    int p0 = 0, p1 = 0, p2 = 0;
    for (int first = 0; first < C::positions; first += C::at_once) {
#pragma HLS PIPELINE II=C::reuse_factor
        for (int place = 0; place < C::at_once; ++place) {
            conv_position<C>(x, y, weight, bias, p0, p1, p2);
            advance<C>(p0, p1, p2);
        }
    }
}

// The inputs under a window, one of PLACES of them: [terms][groups], zero where there is none.
template <class C, int PLACES, class X>
void conv_window(const X x[C::inputs * C::channels], X window[PLACES * C::terms * C::groups], int place, int p0, int p1,
                 int p2) {
#pragma HLS INLINE
    for (int k0 = 0; k0 < C::kernel0; ++k0) {
        const int i0 = under(p0, k0, C::stride0, C::dilation0, C::low0, C::spread0, C::size0);
        for (int k1 = 0; k1 < C::kernel1; ++k1) {
            const int i1 = under(p1, k1, C::stride1, C::dilation1, C::low1, C::spread1, C::size1);
            for (int k2 = 0; k2 < C::kernel2; ++k2) {
                const int i2 = under(p2, k2, C::stride2, C::dilation2, C::low2, C::spread2, C::size2);
                const bool there = i0 >= 0 && i1 >= 0 && i2 >= 0;
                const int from = there ? ((i0 * C::size1 + i1) * C::size2 + i2) * C::channels : 0;
                const int k = ((k0 * C::kernel1 + k1) * C::kernel2 + k2) * C::group_channels;
                for (int c = 0; c < C::group_channels; ++c) {
                    for (int g = 0; g < C::groups; ++g) {
                        X value = x[from + g * C::group_channels + c];
                        if (!there) value = 0;
                        window[(place * C::terms + k + c) * C::groups + g] = value;
                    }
                }
            }
        }
    }
}

// Resource: `at_once` positions take `reuse_factor` steps of `products` products each.
template <class C, class X, class Y>
void conv_resource(const X x[C::inputs * C::channels], Y y[C::positions * C::outputs],
                   const typename C::weight_t weight[C::terms * C::outputs],
                   const typename C::bias_t bias[C::outputs]) {
#pragma HLS ARRAY_RESHAPE variable=weight cyclic factor=C::products
#pragma HLS ARRAY_PARTITION variable=bias complete
    int p0 = 0, p1 = 0, p2 = 0;
    for (int first = 0; first < C::positions; first += C::at_once) {
        X window[C::at_once * C::terms * C::groups];
        typename C::accum_t accum[C::at_once * C::outputs];
#pragma HLS ARRAY_PARTITION variable=window complete
#pragma HLS ARRAY_PARTITION variable=accum complete
        for (int place = 0; place < C::at_once; ++place) {
#pragma HLS UNROLL
            conv_window<C, C::at_once>(x, window, place, p0, p1, p2);
            advance<C>(p0, p1, p2);
            for (int n = 0; n < C::outputs; ++n) {
#pragma HLS UNROLL
                accum[place * C::outputs + n] = cast<typename C::accum_t>(bias[n]);
            }
        }
        add_steps_to<C, C::groups, C::reuse_factor, C::at_once>(window, 0, C::terms * C::groups, accum, weight, 0);
        for (int i = 0; i < C::at_once * C::outputs; ++i) {
#pragma HLS UNROLL
            y[first * C::outputs + i] = cast<Y>(accum[i]);
        }
    }
}

// Distributed arithmetic: `at_once` positions in every cycle, their sums by shifts and additions.
template <class C, class X, class Y>
void conv_distributed_arithmetic(const X x[C::inputs * C::channels], Y y[C::positions * C::outputs],
                                 const typename C::weight_t[C::terms * C::outputs],
                                 const typename C::bias_t bias[C::outputs]) {
#pragma HLS FUNCTION_INSTANTIATE variable=bias
#pragma HLS ARRAY_PARTITION variable=bias complete
    int p0 = 0, p1 = 0, p2 = 0;
    for (int first = 0; first < C::positions; first += C::at_once) {
#pragma HLS PIPELINE II=1
        for (int place = 0; place < C::at_once; ++place) {
            X window[C::terms * C::groups];
            typename C::accum_t accum[C::outputs];
#pragma HLS ARRAY_PARTITION variable=window complete
#pragma HLS ARRAY_PARTITION variable=accum complete
            conv_window<C, 1>(x, window, 0, p0, p1, p2);
            advance<C>(p0, p1, p2);
            distributed_sums<C>(window, accum, bias);
            for (int n = 0; n < C::outputs; ++n) y[(first + place) * C::outputs + n] = cast<Y>(accum[n]);
        }
    }
}

}  // namespace kbuild

#endif
