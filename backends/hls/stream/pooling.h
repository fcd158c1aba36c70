// Pooling of a stream of pixels, as in pool.h: a packet follows as soon as its window is complete.
#ifndef KBUILD_STREAM_POOLING_H
#define KBUILD_STREAM_POOLING_H

#include "../divide.h"
#include "../pool.h"
#include "line_buffer.h"

namespace kbuild {

// How many of `kernel` places that end at `newest` lie on an axis of `size` elements.
inline int covered(int newest, int kernel, int size) {
#pragma HLS INLINE
    const int first = newest < kernel ? 0 : newest - kernel + 1;
    const int last = newest < size ? newest : size - 1;
    return last - first + 1;
}

template <class C, class X, class Y>
void stream_pool_max(hls::stream<X>& x, hls::stream<Y>& y) {
    typedef typename X::value_type T;
    T plane[C::plane_count][C::plane_size][C::channels];
    T line[C::line_rows][C::line_width][C::planes * C::channels];
    T window[C::planes * C::rows * C::columns * C::channels];
#pragma HLS ARRAY_PARTITION variable=plane complete dim=1
#pragma HLS ARRAY_RESHAPE variable=plane complete dim=3
#pragma HLS ARRAY_PARTITION variable=line complete dim=1
#pragma HLS ARRAY_RESHAPE variable=line complete dim=3
#pragma HLS ARRAY_PARTITION variable=window complete
    KBUILD_EACH_CORNER(C) {
#pragma HLS PIPELINE II=1
#pragma HLS DEPENDENCE variable=plane inter RAW distance=C::plane_size true
#pragma HLS DEPENDENCE variable=line inter RAW distance=C::line_width true
        if (i2 == C::first2) empty<C>(window);
        slide<C>(x, plane, line, window, i0, f0, i1, f1, i2);
        if (KBUILD_COMPLETE(C)) {
            T largest[C::channels];
#pragma HLS ARRAY_PARTITION variable=largest complete
            bool found = false;
            for (int q = 0; q < C::planes; ++q) {
                const int p0 = i0 - (C::planes - 1 - q);
                if (p0 < 0 || p0 >= C::size0) continue;
                for (int r = 0; r < C::rows; ++r) {
                    const int p1 = i1 - (C::rows - 1 - r);
                    if (p1 < 0 || p1 >= C::size1) continue;
                    for (int s = 0; s < C::columns; ++s) {
                        const int p2 = i2 - (C::columns - 1 - s);
                        if (p2 < 0 || p2 >= C::size2) continue;
                        keep_larger<C>(window, ((q * C::rows + r) * C::columns + s) * C::channels, largest, !found);
                        found = true;
                    }
                }
            }
            Y result;
            for (int c = 0; c < C::channels; ++c) result[c] = cast<typename Y::value_type>(largest[c]);
            y.write(result);
        }
    }
}

// The sum of the window, whose places without an input are zeros.
template <class C, class T>
void stream_pool_sum(const T window[C::planes * C::rows * C::columns * C::channels],
                     typename C::sum_t sum[C::channels]) {
#pragma HLS INLINE
    for (int c = 0; c < C::channels; ++c) sum[c] = 0;
    for (int i = 0; i < C::planes * C::rows * C::columns; ++i) add_elements<C>(window, i * C::channels, sum);
}

// All windows hold `count` elements; or, where it is zero, as many as lie on the input.
template <class C, class X, class Y>
void stream_pool_average(hls::stream<X>& x, hls::stream<Y>& y) {
    typedef typename X::value_type T;
    T plane[C::plane_count][C::plane_size][C::channels];
    T line[C::line_rows][C::line_width][C::planes * C::channels];
    T window[C::planes * C::rows * C::columns * C::channels];
#pragma HLS ARRAY_PARTITION variable=plane complete dim=1
#pragma HLS ARRAY_RESHAPE variable=plane complete dim=3
#pragma HLS ARRAY_PARTITION variable=line complete dim=1
#pragma HLS ARRAY_RESHAPE variable=line complete dim=3
#pragma HLS ARRAY_PARTITION variable=window complete
    KBUILD_EACH_CORNER(C) {
#pragma HLS PIPELINE II=1
#pragma HLS DEPENDENCE variable=plane inter RAW distance=C::plane_size true
#pragma HLS DEPENDENCE variable=line inter RAW distance=C::line_width true
        if (i2 == C::first2) empty<C>(window);
        slide<C>(x, plane, line, window, i0, f0, i1, f1, i2);
        if (KBUILD_COMPLETE(C)) {
            typename C::sum_t sum[C::channels];
#pragma HLS ARRAY_PARTITION variable=sum complete
            stream_pool_sum<C>(window, sum);
            const int count = C::count ? C::count
                                       : covered(i0, C::kernel0, C::size0) * covered(i1, C::kernel1, C::size1) *
                                             covered(i2, C::kernel2, C::size2);
            Y result;
            for (int c = 0; c < C::channels; ++c) result[c] = divided<C, typename Y::value_type>(sum[c], count);
            y.write(result);
        }
    }
}

// All windows hold the same number of elements, a power of two: unit_t is its reciprocal.
template <class C, class X, class Y>
void stream_pool_scaled(hls::stream<X>& x, hls::stream<Y>& y) {
    typedef typename X::value_type T;
    T plane[C::plane_count][C::plane_size][C::channels];
    T line[C::line_rows][C::line_width][C::planes * C::channels];
    T window[C::planes * C::rows * C::columns * C::channels];
#pragma HLS ARRAY_PARTITION variable=plane complete dim=1
#pragma HLS ARRAY_RESHAPE variable=plane complete dim=3
#pragma HLS ARRAY_PARTITION variable=line complete dim=1
#pragma HLS ARRAY_RESHAPE variable=line complete dim=3
#pragma HLS ARRAY_PARTITION variable=window complete
    KBUILD_EACH_CORNER(C) {
#pragma HLS PIPELINE II=1
#pragma HLS DEPENDENCE variable=plane inter RAW distance=C::plane_size true
#pragma HLS DEPENDENCE variable=line inter RAW distance=C::line_width true
        if (i2 == C::first2) empty<C>(window);
        slide<C>(x, plane, line, window, i0, f0, i1, f1, i2);
        if (KBUILD_COMPLETE(C)) {
            typename C::sum_t sum[C::channels];
#pragma HLS ARRAY_PARTITION variable=sum complete
            stream_pool_sum<C>(window, sum);
            Y result;
            for (int c = 0; c < C::channels; ++c)
                result[c] = cast<typename Y::value_type>(sum[c] * unit<typename C::unit_t>());
            y.write(result);
        }
    }
}

}  // namespace kbuild

#endif
