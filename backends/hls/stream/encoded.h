// Convolution of a stream of pixels with encoded windows: every place of the kernel has a FIFO of pixels.
//
// The walk over the input and its padding is that of line_buffer.h, and the steps are those of convolution.h. What to
// do at each corner is known beforehand: a word for its plane, one for its row and one for its column, of 2 kernel + 2
// bits along each axis. A pixel belongs to the windows' place (k0, k1, k2) where bit k0 of the first, bit k1 of the
// second and bit k2 of the third are set, and goes into the FIFO of that place. At a position of the output the window
// is taken from the FIFOs, but for places where there is no input: bits `kernel` and on of the words. Bit 2 kernel:
// here is a pixel; bit 2 kernel + 1: here is a position.
//
// Pixels of a place come in the order of the positions, so that each is at the head of its FIFO when it is wanted.
#ifndef KBUILD_STREAM_ENCODED_H
#define KBUILD_STREAM_ENCODED_H

#include "convolution.h"

#define KBUILD_EACH_ENCODED_STEP(C)                              \
    for (int v0 = 0; v0 < C::corners0; ++v0)                     \
        for (int v1 = 0; v1 < C::corners1; ++v1)                 \
            for (int step = 0; step < C::steps; ++step)

namespace kbuild {

// Follow the words of a corner; whether it is a position, whose window is in `terms`, [terms][groups].
template <class C, class X, class T>
bool encoded_corner(hls::stream<X>& x, hls::stream<X> place[C::fifos], T* terms, const typename C::plane_t plane,
                    const typename C::row_t row, const typename C::column_t column) {
#pragma HLS INLINE
    if (plane[2 * C::kernel0] && row[2 * C::kernel1] && column[2 * C::kernel2]) {
        const X pixel = x.read();
        for (int k0 = 0; k0 < C::kernel0; ++k0) {
#pragma HLS UNROLL
            for (int k1 = 0; k1 < C::kernel1; ++k1) {
#pragma HLS UNROLL
                for (int k2 = 0; k2 < C::kernel2; ++k2) {
#pragma HLS UNROLL
                    if (plane[k0] && row[k1] && column[k2])
                        place[(k0 * C::kernel1 + k1) * C::kernel2 + k2].write(pixel);
                }
            }
        }
    }
    if (!(plane[2 * C::kernel0 + 1] && row[2 * C::kernel1 + 1] && column[2 * C::kernel2 + 1])) return false;
    for (int k0 = 0; k0 < C::kernel0; ++k0) {
#pragma HLS UNROLL
        for (int k1 = 0; k1 < C::kernel1; ++k1) {
#pragma HLS UNROLL
            for (int k2 = 0; k2 < C::kernel2; ++k2) {
#pragma HLS UNROLL
                const int k = (k0 * C::kernel1 + k1) * C::kernel2 + k2;
                X pixel;
                for (int c = 0; c < X::size; ++c) {
#pragma HLS UNROLL
                    pixel[c] = 0;
                }
                if (plane[C::kernel0 + k0] && row[C::kernel1 + k1] && column[C::kernel2 + k2]) pixel = place[k].read();
                for (int c = 0; c < C::group_channels; ++c) {
#pragma HLS UNROLL
                    for (int g = 0; g < C::groups; ++g) {
#pragma HLS UNROLL
                        terms[(k * C::group_channels + c) * C::groups + g] = pixel[g * C::group_channels + c];
                    }
                }
            }
        }
    }
    return true;
}

// One position, all products at once.
template <class C, class T, class Y>
void encoded_position(const T terms[C::terms * C::groups], Y& y,
                      const typename C::weight_t weight[C::terms * C::outputs],
                      const typename C::bias_t bias[C::outputs]) {
#pragma HLS INLINE
    typename C::accum_t accum[C::outputs];
#pragma HLS ARRAY_PARTITION variable=accum complete
    for (int n = 0; n < C::outputs; ++n) accum[n] = cast<typename C::accum_t>(bias[n]);
    for (int k = 0; k < C::terms; ++k) add_products<C, C::groups, 1>(terms, k * C::groups, accum, weight, k);
    for (int n = 0; n < C::outputs; ++n) y[n] = cast<typename Y::value_type>(accum[n]);
}

// All positions of a step side by side, every product at once: what `latency` and `unrolled` do.
template <class C, class X, class Y>
void encoded_at_once(hls::stream<X>& x, hls::stream<Y>& y, const typename C::weight_t weight[C::terms * C::outputs],
                     const typename C::bias_t bias[C::outputs],
                     const typename C::plane_t planes[C::corners0], const typename C::row_t rows[C::corners1],
                     const typename C::column_t columns[C::corners2]) {
#pragma HLS INLINE
    hls::stream<X> place[C::fifos];
#pragma HLS STREAM variable=place depth=C::fifo_depth
    KBUILD_EACH_ENCODED_STEP(C) {
#pragma HLS PIPELINE II=C::interval
        Y result[C::at_once];
#pragma HLS ARRAY_PARTITION variable=result complete
        int found = 0;
        for (int corner = 0; corner < C::corners; ++corner) {
            const int v2 = step * C::corners + corner;
            if (v2 >= C::corners2) continue;
            typename X::value_type terms[C::terms * C::groups];
#pragma HLS ARRAY_PARTITION variable=terms complete
            if (encoded_corner<C>(x, place, terms, planes[v0], rows[v1], columns[v2]))
                encoded_position<C>(terms, result[found++], weight, bias);
        }
        stream_conv_results<C>(result, found, y);
    }
}

// Latency: a step every `interval` cycles, with at most `multipliers` multipliers.
template <class C, class X, class Y>
void stream_encoded_latency(hls::stream<X>& x, hls::stream<Y>& y,
                            const typename C::weight_t weight[C::terms * C::outputs],
                            const typename C::bias_t bias[C::outputs],
                            const typename C::plane_t planes[C::corners0], const typename C::row_t rows[C::corners1],
                            const typename C::column_t columns[C::corners2]) {
#pragma HLS FUNCTION_INSTANTIATE variable=weight,bias
#pragma HLS ARRAY_PARTITION variable=weight complete
#pragma HLS ARRAY_PARTITION variable=bias complete
#pragma HLS ALLOCATION operation instances=mul limit=C::multipliers
    encoded_at_once<C>(x, y, weight, bias, planes, rows, columns);
}

// Unrolled: every weight is a constant beside its own place of the window, so that the tool may make shifts and adders.
template <class C, class X, class Y>
void stream_encoded_unrolled(hls::stream<X>& x, hls::stream<Y>& y,
                             const typename C::weight_t weight[C::terms * C::outputs],
                             const typename C::bias_t bias[C::outputs],
                             const typename C::plane_t planes[C::corners0], const typename C::row_t rows[C::corners1],
                             const typename C::column_t columns[C::corners2]) {
#pragma HLS FUNCTION_INSTANTIATE variable=weight,bias
#pragma HLS ARRAY_PARTITION variable=weight complete
#pragma HLS ARRAY_PARTITION variable=bias complete
    encoded_at_once<C>(x, y, weight, bias, planes, rows, columns);
}

// Resource: the positions of a step take `reuse_factor` steps of `products` products each.
template <class C, class X, class Y>
void stream_encoded_resource(hls::stream<X>& x, hls::stream<Y>& y,
                             const typename C::weight_t weight[C::terms * C::outputs],
                             const typename C::bias_t bias[C::outputs],
                             const typename C::plane_t planes[C::corners0], const typename C::row_t rows[C::corners1],
                             const typename C::column_t columns[C::corners2]) {
#pragma HLS ARRAY_RESHAPE variable=weight cyclic factor=C::products
#pragma HLS ARRAY_PARTITION variable=bias complete
    hls::stream<X> place[C::fifos];
#pragma HLS STREAM variable=place depth=C::fifo_depth
    KBUILD_EACH_ENCODED_STEP(C) {
        typename X::value_type terms[C::at_once * C::terms * C::groups];
#pragma HLS ARRAY_PARTITION variable=terms complete
        stream_conv_clear<C>(terms);
        int found = 0;
        for (int corner = 0; corner < C::corners; ++corner) {
            const int v2 = step * C::corners + corner;
            if (v2 >= C::corners2) continue;
            if (encoded_corner<C>(x, place, terms + found * C::terms * C::groups, planes[v0], rows[v1], columns[v2]))
                ++found;
        }
        if (found > 0) stream_conv_steps<C>(terms, found, y, weight, bias);
    }
}

// Distributed arithmetic: a step every `interval` cycles, the sums by shifts and additions.
template <class C, class X, class Y>
void stream_encoded_distributed_arithmetic(hls::stream<X>& x, hls::stream<Y>& y,
                                           const typename C::weight_t[C::terms * C::outputs],
                                           const typename C::bias_t bias[C::outputs],
                                           const typename C::plane_t planes[C::corners0],
                                           const typename C::row_t rows[C::corners1],
                                           const typename C::column_t columns[C::corners2]) {
#pragma HLS FUNCTION_INSTANTIATE variable=bias
#pragma HLS ARRAY_PARTITION variable=bias complete
    hls::stream<X> place[C::fifos];
#pragma HLS STREAM variable=place depth=C::fifo_depth
    KBUILD_EACH_ENCODED_STEP(C) {
#pragma HLS PIPELINE II=C::interval
        Y result[C::at_once];
#pragma HLS ARRAY_PARTITION variable=result complete
        int found = 0;
        for (int corner = 0; corner < C::corners; ++corner) {
            const int v2 = step * C::corners + corner;
            if (v2 >= C::corners2) continue;
            typename X::value_type terms[C::terms * C::groups];
#pragma HLS ARRAY_PARTITION variable=terms complete
            if (encoded_corner<C>(x, place, terms, planes[v0], rows[v1], columns[v2]))
                stream_conv_distributed<C>(terms, result[found++], bias);
        }
        stream_conv_results<C>(result, found, y);
    }
}

}  // namespace kbuild

#endif
