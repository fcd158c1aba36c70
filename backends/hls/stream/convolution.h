// Convolution of a stream of pixels, as in conv.h: a packet of outputs follows as soon as its window is complete.
//
// A step moves the window by `corners` places of a row, with at most `at_once` positions of the output among them; they
// are computed side by side. It takes `interval` cycles, since a FIFO carries one packet in each.
#ifndef KBUILD_STREAM_CONVOLUTION_H
#define KBUILD_STREAM_CONVOLUTION_H

#include "../products.h"
#include "line_buffer.h"

namespace kbuild {

// One position, all products at once.
template <class C, class T, class Y>
void stream_conv_position(const T window[C::planes * C::rows * C::columns * C::channels], Y& y,
                          const typename C::weight_t weight[C::terms * C::outputs],
                          const typename C::bias_t bias[C::outputs], int f0, int f1, int f2) {
#pragma HLS INLINE
    typename C::accum_t accum[C::outputs];
#pragma HLS ARRAY_PARTITION variable=accum complete
    for (int n = 0; n < C::outputs; ++n) accum[n] = cast<typename C::accum_t>(bias[n]);
    for (int q = 0; q < C::planes; ++q) {
        const int k0 = meets(C::planes - 1 - q, f0, C::kernel0, C::dilation0, C::spread0);
        if (k0 < 0) continue;
        for (int r = 0; r < C::rows; ++r) {
            const int k1 = meets(C::rows - 1 - r, f1, C::kernel1, C::dilation1, C::spread1);
            if (k1 < 0) continue;
            for (int s = 0; s < C::columns; ++s) {
                const int k2 = meets(C::columns - 1 - s, f2, C::kernel2, C::dilation2, C::spread2);
                if (k2 < 0) continue;
                const int from = ((q * C::rows + r) * C::columns + s) * C::channels;
                const int k = ((k0 * C::kernel1 + k1) * C::kernel2 + k2) * C::group_channels;
                add_products<C, C::groups, C::group_channels>(window, from, accum, weight, k);
            }
        }
    }
    for (int n = 0; n < C::outputs; ++n) y[n] = cast<typename Y::value_type>(accum[n]);
}

// The packets of the positions that a step has found.
template <class C, class Y>
void stream_conv_results(const Y result[C::at_once], int found, hls::stream<Y>& y) {
#pragma HLS INLINE
    for (int place = 0; place < C::at_once; ++place) {
        if (place < found) y.write(result[place]);
    }
}

// All positions of a step side by side, every product at once: what `latency` and `unrolled` do.
template <class C, class X, class Y>
void conv_at_once(hls::stream<X>& x, hls::stream<Y>& y, const typename C::weight_t weight[C::terms * C::outputs],
                  const typename C::bias_t bias[C::outputs]) {
#pragma HLS INLINE
    typedef typename X::value_type T;
    T plane[C::plane_count][C::plane_size][C::channels];
    T line[C::line_rows][C::line_width][C::planes * C::channels];
    T window[C::planes * C::rows * C::columns * C::channels];
#pragma HLS ARRAY_PARTITION variable=plane complete dim=1
#pragma HLS ARRAY_RESHAPE variable=plane complete dim=3
#pragma HLS ARRAY_PARTITION variable=line complete dim=1
#pragma HLS ARRAY_RESHAPE variable=line complete dim=3
#pragma HLS ARRAY_PARTITION variable=window complete
    KBUILD_EACH_STEP(C) {
#pragma HLS PIPELINE II=C::interval
#pragma HLS DEPENDENCE variable=plane inter RAW distance=C::plane_distance true
#pragma HLS DEPENDENCE variable=line inter RAW distance=C::line_distance true
        Y result[C::at_once];
#pragma HLS ARRAY_PARTITION variable=result complete
        int found = 0;
        for (int corner = 0; corner < C::corners; ++corner) {
            KBUILD_CORNER(C)
            if (i2 >= C::end2) continue;
            if (f2 == 0 && i2 == C::first2) empty<C>(window);
            if (f2 == 0) slide<C>(x, plane, line, window, i0, f0, i1, f1, i2);
            if (KBUILD_COMPLETE(C)) stream_conv_position<C>(window, result[found++], weight, bias, f0, f1, f2);
        }
        stream_conv_results<C>(result, found, y);
    }
}

// Latency: a step every `interval` cycles, with at most `multipliers` multipliers.
template <class C, class X, class Y>
void stream_conv_latency(hls::stream<X>& x, hls::stream<Y>& y, const typename C::weight_t weight[C::terms * C::outputs],
                         const typename C::bias_t bias[C::outputs]) {
#pragma HLS FUNCTION_INSTANTIATE variable=weight,bias
#pragma HLS ARRAY_PARTITION variable=weight complete
#pragma HLS ARRAY_PARTITION variable=bias complete
#pragma HLS ALLOCATION operation instances=mul limit=C::multipliers
    conv_at_once<C>(x, y, weight, bias);
}

// Unrolled: every weight is a constant beside its own place of the window, so that the tool may make shifts and adders.
template <class C, class X, class Y>
void stream_conv_unrolled(hls::stream<X>& x, hls::stream<Y>& y,
                          const typename C::weight_t weight[C::terms * C::outputs],
                          const typename C::bias_t bias[C::outputs]) {
#pragma HLS FUNCTION_INSTANTIATE variable=weight,bias
#pragma HLS ARRAY_PARTITION variable=weight complete
#pragma HLS ARRAY_PARTITION variable=bias complete
    conv_at_once<C>(x, y, weight, bias);
}

// The inputs under the kernel, [terms][groups].
template <class C, class T>
void stream_conv_terms(const T window[C::planes * C::rows * C::columns * C::channels], T* terms, int f0, int f1,
                       int f2) {
#pragma HLS INLINE
    for (int k0 = 0; k0 < C::kernel0; ++k0) {
#pragma HLS UNROLL
        const int o0 = (C::kernel0 - 1 - k0) * C::dilation0, q = C::planes - 1 - o0 / C::spread0;
        for (int k1 = 0; k1 < C::kernel1; ++k1) {
#pragma HLS UNROLL
            const int o1 = (C::kernel1 - 1 - k1) * C::dilation1, r = C::rows - 1 - o1 / C::spread1;
            for (int k2 = 0; k2 < C::kernel2; ++k2) {
#pragma HLS UNROLL
                const int o2 = (C::kernel2 - 1 - k2) * C::dilation2, s = C::columns - 1 - o2 / C::spread2;
                const bool there = o0 % C::spread0 == f0 && o1 % C::spread1 == f1 && o2 % C::spread2 == f2;
                const int from = ((q * C::rows + r) * C::columns + s) * C::channels;
                const int k = ((k0 * C::kernel1 + k1) * C::kernel2 + k2) * C::group_channels;
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
}

// The sums of `at_once` windows, [terms][groups] each, in `reuse_factor` steps of `products` products; the first
// `found` are written.
template <class C, class T, class Y>
void stream_conv_steps(const T terms[C::at_once * C::terms * C::groups], int found, hls::stream<Y>& y,
                       const typename C::weight_t weight[C::terms * C::outputs],
                       const typename C::bias_t bias[C::outputs]) {
#pragma HLS INLINE
    typename C::accum_t accum[C::at_once * C::outputs];
#pragma HLS ARRAY_PARTITION variable=accum complete
    for (int place = 0; place < C::at_once; ++place) {
#pragma HLS UNROLL
        for (int n = 0; n < C::outputs; ++n) {
#pragma HLS UNROLL
            accum[place * C::outputs + n] = cast<typename C::accum_t>(bias[n]);
        }
    }
    add_steps_to<C, C::groups, C::reuse_factor, C::at_once>(terms, 0, C::terms * C::groups, accum, weight, 0);
    for (int place = 0; place < C::at_once; ++place) {
        Y result;
        for (int n = 0; n < C::outputs; ++n) {
#pragma HLS UNROLL
            result[n] = cast<typename Y::value_type>(accum[place * C::outputs + n]);
        }
        if (place < found) y.write(result);
    }
}

// Windows that a step may not find: at the ends of rows.
template <class C, class T>
void stream_conv_clear(T terms[C::at_once * C::terms * C::groups]) {
#pragma HLS INLINE
    if (C::at_once == 1) return;
    for (int i = 0; i < C::at_once * C::terms * C::groups; ++i) {
#pragma HLS UNROLL
        terms[i] = 0;
    }
}

// Resource: the positions of a step take `reuse_factor` steps of `products` products each.
template <class C, class X, class Y>
void stream_conv_resource(hls::stream<X>& x, hls::stream<Y>& y,
                          const typename C::weight_t weight[C::terms * C::outputs],
                          const typename C::bias_t bias[C::outputs]) {
#pragma HLS ARRAY_RESHAPE variable=weight cyclic factor=C::products
#pragma HLS ARRAY_PARTITION variable=bias complete
    typedef typename X::value_type T;
    T plane[C::plane_count][C::plane_size][C::channels];
    T line[C::line_rows][C::line_width][C::planes * C::channels];
    T window[C::planes * C::rows * C::columns * C::channels];
#pragma HLS ARRAY_PARTITION variable=plane complete dim=1
#pragma HLS ARRAY_RESHAPE variable=plane complete dim=3
#pragma HLS ARRAY_PARTITION variable=line complete dim=1
#pragma HLS ARRAY_RESHAPE variable=line complete dim=3
#pragma HLS ARRAY_PARTITION variable=window complete
    KBUILD_EACH_STEP(C) {
        T terms[C::at_once * C::terms * C::groups];
#pragma HLS ARRAY_PARTITION variable=terms complete
        stream_conv_clear<C>(terms);
        int found = 0;
        for (int corner = 0; corner < C::corners; ++corner) {
            KBUILD_CORNER(C)
            if (i2 >= C::end2) continue;
            if (f2 == 0 && i2 == C::first2) empty<C>(window);
            if (f2 == 0) slide<C>(x, plane, line, window, i0, f0, i1, f1, i2);
            if (KBUILD_COMPLETE(C)) stream_conv_terms<C>(window, terms + found++ * C::terms * C::groups, f0, f1, f2);
        }
        if (found > 0) stream_conv_steps<C>(terms, found, y, weight, bias);
    }
}

// One position by shifts and additions.
template <class C, class T, class Y>
void stream_conv_distributed(const T terms[C::terms * C::groups], Y& y, const typename C::bias_t bias[C::outputs]) {
#pragma HLS INLINE
    typename C::accum_t accum[C::outputs];
#pragma HLS ARRAY_PARTITION variable=accum complete
    distributed_sums<C>(terms, accum, bias);
    for (int n = 0; n < C::outputs; ++n) y[n] = cast<typename Y::value_type>(accum[n]);
}

// Distributed arithmetic: a step every `interval` cycles, the sums by shifts and additions.
template <class C, class X, class Y>
void stream_conv_distributed_arithmetic(hls::stream<X>& x, hls::stream<Y>& y,
                                        const typename C::weight_t[C::terms * C::outputs],
                                        const typename C::bias_t bias[C::outputs]) {
#pragma HLS FUNCTION_INSTANTIATE variable=bias
#pragma HLS ARRAY_PARTITION variable=bias complete
    typedef typename X::value_type T;
    T plane[C::plane_count][C::plane_size][C::channels];
    T line[C::line_rows][C::line_width][C::planes * C::channels];
    T window[C::planes * C::rows * C::columns * C::channels];
#pragma HLS ARRAY_PARTITION variable=plane complete dim=1
#pragma HLS ARRAY_RESHAPE variable=plane complete dim=3
#pragma HLS ARRAY_PARTITION variable=line complete dim=1
#pragma HLS ARRAY_RESHAPE variable=line complete dim=3
#pragma HLS ARRAY_PARTITION variable=window complete
    KBUILD_EACH_STEP(C) {
#pragma HLS PIPELINE II=C::interval
#pragma HLS DEPENDENCE variable=plane inter RAW distance=C::plane_distance true
#pragma HLS DEPENDENCE variable=line inter RAW distance=C::line_distance true
        Y result[C::at_once];
#pragma HLS ARRAY_PARTITION variable=result complete
        int found = 0;
        for (int corner = 0; corner < C::corners; ++corner) {
            KBUILD_CORNER(C)
            if (i2 >= C::end2) continue;
            if (f2 == 0 && i2 == C::first2) empty<C>(window);
            if (f2 == 0) slide<C>(x, plane, line, window, i0, f0, i1, f1, i2);
            if (KBUILD_COMPLETE(C)) {
                T terms[C::terms * C::groups];
#pragma HLS ARRAY_PARTITION variable=terms complete
                stream_conv_terms<C>(window, terms, f0, f1, f2);
                stream_conv_distributed<C>(terms, result[found++], bias);
            }
        }
        stream_conv_results<C>(result, found, y);
    }
}

}  // namespace kbuild

#endif
