// Convolution of a stream of pixels, as in conv.h: a packet of outputs follows as soon as its window is complete.
#ifndef KBUILD_STREAM_CONVOLUTION_H
#define KBUILD_STREAM_CONVOLUTION_H

#include "../products.h"
#include "line_buffer.h"

namespace kbuild {

// One position, all products at once.
template <class C, class T, class Y>
void stream_conv_position(const T window[C::rows * C::columns * C::channels], hls::stream<Y>& y,
                          const typename C::weight_t weight[C::terms * C::outputs],
                          const typename C::bias_t bias[C::outputs], int f0, int f1) {
#pragma HLS INLINE
    typename C::accum_t accum[C::outputs];
#pragma HLS ARRAY_PARTITION variable=accum complete
    for (int n = 0; n < C::outputs; ++n) accum[n] = bias[n];
    for (int r = 0; r < C::rows; ++r) {
        const int k0 = meets(C::rows - 1 - r, f0, C::kernel0, C::dilation0, C::spread0);
        if (k0 < 0) continue;
        for (int s = 0; s < C::columns; ++s) {
            const int k1 = meets(C::columns - 1 - s, f1, C::kernel1, C::dilation1, C::spread1);
            if (k1 < 0) continue;
            add_products<C, C::groups, C::group_channels>(window, (r * C::columns + s) * C::channels, accum, weight,
                                                          (k0 * C::kernel1 + k1) * C::group_channels);
        }
    }
    Y result;
    for (int n = 0; n < C::outputs; ++n) result[n] = accum[n];
    y.write(result);
}

// Latency: a pixel every `reuse_factor` cycles, with at most `multipliers` multipliers.
template <class C, class X, class Y>
void stream_conv_latency(hls::stream<X>& x, hls::stream<Y>& y, const typename C::weight_t weight[C::terms * C::outputs],
                         const typename C::bias_t bias[C::outputs]) {
#pragma HLS FUNCTION_INSTANTIATE variable=weight,bias
#pragma HLS ARRAY_PARTITION variable=weight complete
#pragma HLS ARRAY_PARTITION variable=bias complete
#pragma HLS ALLOCATION operation instances=mul limit=C::multipliers
    typedef typename X::value_type T;
    T line[C::line_rows][C::line_width][C::channels];
    T window[C::rows * C::columns * C::channels];
#pragma HLS ARRAY_PARTITION variable=line complete dim=1
#pragma HLS ARRAY_RESHAPE variable=line complete dim=3
#pragma HLS ARRAY_PARTITION variable=window complete
    KBUILD_EACH_CORNER(C) {
#pragma HLS PIPELINE II=C::reuse_factor
#pragma HLS DEPENDENCE variable=line inter RAW distance=C::line_width true
        if (f1 == 0 && i1 == C::first1) empty<C>(window);
        if (f1 == 0) slide<C>(x, line, window, i0, f0, i1);
        if (KBUILD_COMPLETE(C)) stream_conv_position<C>(window, y, weight, bias, f0, f1);
    }
}

// Unrolled: every weight is a constant beside its own place of the window, so that the tool may make shifts and adders.
template <class C, class X, class Y>
void stream_conv_unrolled(hls::stream<X>& x, hls::stream<Y>& y,
                          const typename C::weight_t weight[C::terms * C::outputs],
                          const typename C::bias_t bias[C::outputs]) {
#pragma HLS FUNCTION_INSTANTIATE variable=weight,bias
#pragma HLS ARRAY_PARTITION variable=weight complete
#pragma HLS ARRAY_PARTITION variable=bias complete
    typedef typename X::value_type T;
    T line[C::line_rows][C::line_width][C::channels];
    T window[C::rows * C::columns * C::channels];
#pragma HLS ARRAY_PARTITION variable=line complete dim=1
#pragma HLS ARRAY_RESHAPE variable=line complete dim=3
#pragma HLS ARRAY_PARTITION variable=window complete
    KBUILD_EACH_CORNER(C) {
#pragma HLS PIPELINE II=C::reuse_factor
#pragma HLS DEPENDENCE variable=line inter RAW distance=C::line_width true
        if (f1 == 0 && i1 == C::first1) empty<C>(window);
        if (f1 == 0) slide<C>(x, line, window, i0, f0, i1);
        if (KBUILD_COMPLETE(C)) stream_conv_position<C>(window, y, weight, bias, f0, f1);
    }
}

// The inputs under the kernel, [terms][groups].
template <class C, class T>
void stream_conv_terms(const T window[C::rows * C::columns * C::channels], T terms[C::terms * C::groups], int f0,
                       int f1) {
#pragma HLS INLINE
    for (int k0 = 0; k0 < C::kernel0; ++k0) {
#pragma HLS UNROLL
        for (int k1 = 0; k1 < C::kernel1; ++k1) {
#pragma HLS UNROLL
            const int o0 = (C::kernel0 - 1 - k0) * C::dilation0, o1 = (C::kernel1 - 1 - k1) * C::dilation1;
            const int r = C::rows - 1 - o0 / C::spread0, s = C::columns - 1 - o1 / C::spread1;
            const bool there = o0 % C::spread0 == f0 && o1 % C::spread1 == f1;
            const int from = (r * C::columns + s) * C::channels;
            const int k = (k0 * C::kernel1 + k1) * C::group_channels;
            for (int c = 0; c < C::group_channels; ++c) {
#pragma HLS UNROLL
                for (int g = 0; g < C::groups; ++g) {
#pragma HLS UNROLL
                    T value = window[from + g * C::group_channels + c];
                    if (!there) value = 0;
                    terms[(k + c) * C::groups + g] = value;
                }
            }
        }
    }
}

// Resource: each position takes `reuse_factor` steps of `products` products.
template <class C, class X, class Y>
void stream_conv_resource(hls::stream<X>& x, hls::stream<Y>& y,
                          const typename C::weight_t weight[C::terms * C::outputs],
                          const typename C::bias_t bias[C::outputs]) {
#pragma HLS ARRAY_RESHAPE variable=weight cyclic factor=C::products
#pragma HLS ARRAY_PARTITION variable=bias complete
    typedef typename X::value_type T;
    T line[C::line_rows][C::line_width][C::channels];
    T window[C::rows * C::columns * C::channels];
#pragma HLS ARRAY_PARTITION variable=line complete dim=1
#pragma HLS ARRAY_RESHAPE variable=line complete dim=3
#pragma HLS ARRAY_PARTITION variable=window complete
    KBUILD_EACH_CORNER(C) {
        if (f1 == 0 && i1 == C::first1) empty<C>(window);
        if (f1 == 0) slide<C>(x, line, window, i0, f0, i1);
        if (KBUILD_COMPLETE(C)) {
            T terms[C::terms * C::groups];
            typename C::accum_t accum[C::outputs];
#pragma HLS ARRAY_PARTITION variable=terms complete
#pragma HLS ARRAY_PARTITION variable=accum complete
            stream_conv_terms<C>(window, terms, f0, f1);
            for (int n = 0; n < C::outputs; ++n) {
#pragma HLS UNROLL
                accum[n] = bias[n];
            }
            add_steps<C, C::groups, C::reuse_factor>(terms, 0, accum, weight, 0);
            Y result;
            for (int n = 0; n < C::outputs; ++n) {
#pragma HLS UNROLL
                result[n] = accum[n];
            }
            y.write(result);
        }
    }
}

// Distributed arithmetic: a pixel in every cycle, the sums by shifts and additions.
template <class C, class X, class Y>
void stream_conv_distributed_arithmetic(hls::stream<X>& x, hls::stream<Y>& y,
                                        const typename C::weight_t[C::terms * C::outputs],
                                        const typename C::bias_t bias[C::outputs]) {
#pragma HLS FUNCTION_INSTANTIATE variable=bias
#pragma HLS ARRAY_PARTITION variable=bias complete
    typedef typename X::value_type T;
    T line[C::line_rows][C::line_width][C::channels];
    T window[C::rows * C::columns * C::channels];
#pragma HLS ARRAY_PARTITION variable=line complete dim=1
#pragma HLS ARRAY_RESHAPE variable=line complete dim=3
#pragma HLS ARRAY_PARTITION variable=window complete
    KBUILD_EACH_CORNER(C) {
#pragma HLS PIPELINE II=1
#pragma HLS DEPENDENCE variable=line inter RAW distance=C::line_width true
        if (f1 == 0 && i1 == C::first1) empty<C>(window);
        if (f1 == 0) slide<C>(x, line, window, i0, f0, i1);
        if (KBUILD_COMPLETE(C)) {
            T terms[C::terms * C::groups];
            typename C::accum_t accum[C::outputs];
#pragma HLS ARRAY_PARTITION variable=terms complete
#pragma HLS ARRAY_PARTITION variable=accum complete
            stream_conv_terms<C>(window, terms, f0, f1);
            distributed_sums<C>(terms, accum, bias);
            Y result;
            for (int n = 0; n < C::outputs; ++n) result[n] = accum[n];
            y.write(result);
        }
    }
}

}  // namespace kbuild

#endif
