// Windows of a stream that are too large for registers. The walk over the input is that of line_buffer.h, but nothing
// moves: the last `held` pixels lie in a ring in memory, as many as there are from the oldest to the newest that a
// window may need, and a position reads what is under its window, a word in each cycle.
//
// A pixel is `words` words of `word` neighbours in the order [group_channels][groups]: the inputs of a step of
// `resource`, whose ports, a read and a write, are all that the memory has. Storing a pixel takes `words` cycles.
#ifndef KBUILD_STREAM_STORED_H
#define KBUILD_STREAM_STORED_H

#include "../divide.h"
#include "../pool.h"
#include "../products.h"
#include "line_buffer.h"

// Whether the corner is on a pixel of the input.
#define KBUILD_ON_PIXEL(C)                                                                          \
    (f0 == 0 && f1 == 0 && f2 == 0 && i0 >= 0 && i0 < C::size0 && i1 >= 0 && i1 < C::size1 &&       \
     i2 >= 0 && i2 < C::size2)

// The places of the kernel, and the first word of the pixel under one; -1 where there is none.
#define KBUILD_EACH_PLACE(C)                                             \
    for (int k0 = 0; k0 < C::kernel0; ++k0)                              \
        for (int k1 = 0; k1 < C::kernel1; ++k1)                          \
            for (int k2 = 0; k2 < C::kernel2; ++k2)
#define KBUILD_STORED(C)                                                                            \
    kbuild::stored<C>(kbuild::met_by(i0, f0, k0, C::kernel0, C::dilation0, C::spread0),             \
                      kbuild::met_by(i1, f1, k1, C::kernel1, C::dilation1, C::spread1),             \
                      kbuild::met_by(i2, f2, k2, C::kernel2, C::dilation2, C::spread2), count)

namespace kbuild {

// The element along an axis that place k of the kernel meets, with the corner at i * spread + f; it may lie outside.
inline int met_by(int i, int f, int k, int kernel, int dilation, int spread) {
#pragma HLS INLINE
    const int o = (kernel - 1 - k) * dilation;
    return o % spread == f ? i - o / spread : -1;
}

// Pixels that have come, and the place in the ring of the next one.
struct Count {
    int came;
    int next;
};

// The first word of a pixel; -1 where there is none.
template <class C>
int stored(int i0, int i1, int i2, const Count& count) {
#pragma HLS INLINE
    if (i0 < 0 || i0 >= C::size0 || i1 < 0 || i1 >= C::size1 || i2 < 0 || i2 >= C::size2) return -1;
    const int place = count.next - (count.came - ((i0 * C::size1 + i1) * C::size2 + i2));
    return (place < 0 ? place + C::held : place) * C::words;
}

// The next pixel takes the place of the oldest.
template <class C, class X, class T>
void store(hls::stream<X>& x, T memory[C::held * C::words][C::word], Count& count) {
#pragma HLS INLINE
    const X pixel = x.read();
    for (int w = 0; w < C::words; ++w) {
#pragma HLS PIPELINE II=1
        for (int i = 0; i < C::word; ++i) {
#pragma HLS UNROLL
            const int e = w * C::word + i;
            memory[count.next * C::words + w][i] = pixel[e % C::groups * C::group_channels + e / C::groups];
        }
    }
    ++count.came;
    count.next = count.next == C::held - 1 ? 0 : count.next + 1;
}

// ---- convolution: a position takes `reuse_factor` steps of `products` products, as in products.h

template <class C, class X, class Y>
void stream_conv_stored(hls::stream<X>& x, hls::stream<Y>& y, const typename C::weight_t weight[C::terms * C::outputs],
                        const typename C::bias_t bias[C::outputs]) {
#pragma HLS ARRAY_RESHAPE variable=weight cyclic factor=C::products
#pragma HLS ARRAY_PARTITION variable=bias complete
    typename X::value_type memory[C::held * C::words][C::word];
#pragma HLS ARRAY_RESHAPE variable=memory complete dim=2
    const int each = C::outputs / C::groups;
    Count count = {0, 0};
    KBUILD_EACH_CORNER(C) {
        if (KBUILD_ON_PIXEL(C)) store<C>(x, memory, count);
        if (!KBUILD_COMPLETE(C)) continue;
        typename C::accum_t accum[C::outputs];
#pragma HLS ARRAY_PARTITION variable=accum complete
        for (int n = 0; n < C::outputs; ++n) {
#pragma HLS UNROLL
            accum[n] = cast<typename C::accum_t>(bias[n]);
        }
        KBUILD_EACH_PLACE(C) {
            for (int c = 0; c < C::group_channels; c += C::depth) {
                for (int n = 0; n < C::outputs; n += C::lanes) {
#pragma HLS PIPELINE II=1
                    const int first = KBUILD_STORED(C);
                    if (first < 0) continue;
                    const int row = ((k0 * C::kernel1 + k1) * C::kernel2 + k2) * C::group_channels + c;
                    const int place = first + (c * C::groups + n / each) / C::word;
                    for (int d = 0; d < C::depth; ++d) {
#pragma HLS UNROLL
                        for (int lane = 0; lane < C::lanes; ++lane) {
#pragma HLS UNROLL
                            const typename X::value_type value = memory[place][d * C::groups + lane / each];
                            const typename C::weight_t w = weight[(row + d) * C::outputs + n + lane];
                            accum[n + lane] += Term<typename C::term_t, C::signs>::of(value, w);
                        }
                    }
                }
            }
        }
        Y result;
        for (int n = 0; n < C::outputs; ++n) {
#pragma HLS UNROLL
            result[n] = cast<typename Y::value_type>(accum[n]);
        }
        y.write(result);
    }
}

// ---- pooling: a position takes as many cycles as the window has places

template <class C, class X, class Y>
void stream_pool_stored_max(hls::stream<X>& x, hls::stream<Y>& y) {
    typename X::value_type memory[C::held * C::words][C::word];
#pragma HLS ARRAY_RESHAPE variable=memory complete dim=2
    Count count = {0, 0};
    KBUILD_EACH_CORNER(C) {
        if (KBUILD_ON_PIXEL(C)) store<C>(x, memory, count);
        if (!KBUILD_COMPLETE(C)) continue;
        typename X::value_type largest[C::channels];
#pragma HLS ARRAY_PARTITION variable=largest complete
        bool found = false;
        KBUILD_EACH_PLACE(C) {
#pragma HLS PIPELINE II=1
            const int place = KBUILD_STORED(C);
            if (place < 0) continue;
            keep_larger<C>(memory[place], 0, largest, !found);
            found = true;
        }
        Y result;
        for (int c = 0; c < C::channels; ++c) {
#pragma HLS UNROLL
            result[c] = cast<typename Y::value_type>(largest[c]);
        }
        y.write(result);
    }
}

// The sum of the window; how many elements are under it.
template <class C, class T>
int stored_sum(const T memory[C::held * C::words][C::word], typename C::sum_t sum[C::channels], int i0, int f0, int i1,
               int f1, int i2, int f2, const Count& count) {
#pragma HLS INLINE
    int found = 0;
    for (int c = 0; c < C::channels; ++c) {
#pragma HLS UNROLL
        sum[c] = 0;
    }
    KBUILD_EACH_PLACE(C) {
#pragma HLS PIPELINE II=1
        const int place = KBUILD_STORED(C);
        if (place < 0) continue;
        add_elements<C>(memory[place], 0, sum);
        ++found;
    }
    return found;
}

template <class C, class X, class Y>
void stream_pool_stored_average(hls::stream<X>& x, hls::stream<Y>& y) {
    typename X::value_type memory[C::held * C::words][C::word];
#pragma HLS ARRAY_RESHAPE variable=memory complete dim=2
    Count count = {0, 0};
    KBUILD_EACH_CORNER(C) {
        if (KBUILD_ON_PIXEL(C)) store<C>(x, memory, count);
        if (!KBUILD_COMPLETE(C)) continue;
        typename C::sum_t sum[C::channels];
#pragma HLS ARRAY_PARTITION variable=sum complete
        const int found = stored_sum<C>(memory, sum, i0, f0, i1, f1, i2, f2, count);
        Y result;
        for (int c = 0; c < C::channels; ++c) {
#pragma HLS UNROLL
            result[c] = divided<C, typename Y::value_type>(sum[c], C::count ? C::count : found);
        }
        y.write(result);
    }
}

// All windows hold the same number of elements, a power of two: unit_t is its reciprocal.
template <class C, class X, class Y>
void stream_pool_stored_scaled(hls::stream<X>& x, hls::stream<Y>& y) {
    typename X::value_type memory[C::held * C::words][C::word];
#pragma HLS ARRAY_RESHAPE variable=memory complete dim=2
    Count count = {0, 0};
    KBUILD_EACH_CORNER(C) {
        if (KBUILD_ON_PIXEL(C)) store<C>(x, memory, count);
        if (!KBUILD_COMPLETE(C)) continue;
        typename C::sum_t sum[C::channels];
#pragma HLS ARRAY_PARTITION variable=sum complete
        stored_sum<C>(memory, sum, i0, f0, i1, f1, i2, f2, count);
        Y result;
        for (int c = 0; c < C::channels; ++c) {
#pragma HLS UNROLL
            result[c] = cast<typename Y::value_type>(sum[c] * unit<typename C::unit_t>());
        }
        y.write(result);
    }
}

}  // namespace kbuild

#endif
