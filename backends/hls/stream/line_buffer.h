// A window that slides over the packets of a stream, one pixel each, plane by plane and row by row; channels last.
//
// Axis 0 counts planes, axis 1 the rows of a plane, axis 2 the columns of a row; axes that are not there have length 1
// and come first. A configuration has for each axis i the `size` of the input, the `kernel`, its `stride` and
// `dilation`, and `spread`, the distance between the elements of the input (zeros lie between them). The newest corner
// of the window walks over the spread out input and its padding: it is at v = i * spread + f, for i in first .. end - 1
// and f in 0 .. spread - 1. Positions of the output are those with the corner at `start`, `start + stride` .. `last`.
//
// The registers of the window hold `planes` x `rows` x `columns` pixels, the oldest first, with zeros where there is no
// input. Place o of the spread out window, counted back from its newest corner, is pixel o / spread (counted back)
// while o % spread equals f, else a zero. What of earlier planes is needed again lies in `kept` memories of a plane
// each. The pixels of all planes at one place of the newest row are one wide pixel; what of earlier rows is needed
// again lies in `lines` memories of a row of those. A place that is written is read again a row later, `line_width` or
// more corners (a plane later, `plane_size` or more), which a pipeline is told as the distance of the dependence.
#ifndef KBUILD_LINE_BUFFER_H
#define KBUILD_LINE_BUFFER_H

#include "../window.h"
#include "packet.h"

#define KBUILD_EACH_CORNER(C)                                            \
    for (int i0 = C::first0; i0 < C::end0; ++i0)                         \
        for (int f0 = 0; f0 < C::spread0; ++f0)                          \
            for (int i1 = C::first1; i1 < C::end1; ++i1)                 \
                for (int f1 = 0; f1 < C::spread1; ++f1)                  \
                    for (int i2 = C::first2; i2 < C::end2; ++i2)         \
                        for (int f2 = 0; f2 < C::spread2; ++f2)

// The same in steps of `corners` corners of a row, which are computed together, for (int corner ...).
#define KBUILD_EACH_STEP(C)                                              \
    for (int i0 = C::first0; i0 < C::end0; ++i0)                         \
        for (int f0 = 0; f0 < C::spread0; ++f0)                          \
            for (int i1 = C::first1; i1 < C::end1; ++i1)                 \
                for (int f1 = 0; f1 < C::spread1; ++f1)                  \
                    for (int step = 0; step < C::steps; ++step)
#define KBUILD_CORNER(C)                                                 \
    const int v2 = step * C::corners + corner;                           \
    const int i2 = C::first2 + v2 / C::spread2, f2 = v2 % C::spread2;

// Whether the window is at a position of the output.
#define KBUILD_COMPLETE(C)                                                                           \
    (kbuild::in_used_row<C>(i0, f0, i1, f1) &&                                                       \
     kbuild::complete(i2 * C::spread2 + f2, C::start2, C::stride2, C::last2))

namespace kbuild {

inline bool complete(int v, int start, int stride, int last) {
#pragma HLS INLINE
    return v >= start && v <= last && (v - start) % stride == 0;
}

// Whether the row of the corner has positions of the output.
template <class C>
bool in_used_row(int i0, int f0, int i1, int f1) {
#pragma HLS INLINE
    return complete(i0 * C::spread0 + f0, C::start0, C::stride0, C::last0) &&
           complete(i1 * C::spread1 + f1, C::start1, C::stride1, C::last1);
}

// The place of the kernel that meets the pixel `back` before the newest one; -1 where none does.
inline int meets(int back, int f, int kernel, int dilation, int spread) {
#pragma HLS INLINE
    const int o = back * spread + f;
    return o % dilation != 0 || o / dilation >= kernel ? -1 : kernel - 1 - o / dilation;
}

// The pixels of all planes at a place of the newest row, the oldest first. That of the newest plane is read where there
// is one; the memories of planes move on.
template <class C, class X, class T>
void over_planes(hls::stream<X>& x, T plane[C::plane_count][C::plane_size][C::channels],
                 T pixels[C::planes * C::channels], int i0, int f0, int place) {
#pragma HLS INLINE
    const bool fresh = C::spread0 == 1 || f0 == 0;
    X pixel;
    if (fresh && i0 >= 0 && i0 < C::size0) pixel = x.read();
    for (int q = 0; q < C::planes; ++q) {
#pragma HLS UNROLL
        const int back = C::planes - 1 - q;
        const int l = fresh && back > 0 ? back - 1 : back;
        for (int c = 0; c < C::channels; ++c) {
#pragma HLS UNROLL
            if (fresh && back == 0) pixels[q * C::channels + c] = pixel[c];
            else pixels[q * C::channels + c] = plane[l][place][c];
        }
    }
    if (!fresh) return;
    for (int l = C::kept - 1; l >= 0; --l) {
#pragma HLS UNROLL
        for (int c = 0; c < C::channels; ++c) {
#pragma HLS UNROLL
            if (l > 0) plane[l][place][c] = plane[l - 1][place][c];
            if (l == 0) plane[l][place][c] = pixel[c];
        }
    }
}

// Move the window by one column, whose newest pixel is read where there is one. In a row without positions of the
// output it rests, and only the memories move.
template <class C, class X, class T>
void slide(hls::stream<X>& x, T plane[C::plane_count][C::plane_size][C::channels],
           T line[C::line_rows][C::line_width][C::planes * C::channels],
           T window[C::planes * C::rows * C::columns * C::channels], int i0, int f0, int i1, int f1, int i2) {
#pragma HLS INLINE
    const bool inside = i2 >= 0 && i2 < C::size2;
    const bool fresh = C::spread1 == 1 || f1 == 0;
    const int column = inside ? i2 : 0;
    T pixels[C::planes * C::channels];
#pragma HLS ARRAY_PARTITION variable=pixels complete
    if (inside && fresh && i1 >= 0 && i1 < C::size1) {
        const int place = C::kept ? i1 * C::size2 + i2 : 0;
        over_planes<C>(x, plane, pixels, i0, f0, place);
    }
    if (in_used_row<C>(i0, f0, i1, f1)) {
        for (int q = 0; q < C::planes; ++q) {
#pragma HLS UNROLL
            const int above = C::planes - 1 - q;
            for (int r = 0; r < C::rows; ++r) {
#pragma HLS UNROLL
                const int row = (q * C::rows + r) * C::columns * C::channels;
                const int newest = row + (C::columns - 1) * C::channels;
                for (int i = row; i < newest; ++i) {
#pragma HLS UNROLL
                    window[i] = window[i + C::channels];
                }
                const int back = C::rows - 1 - r;
                if (!inside || i0 < above || i0 - above >= C::size0 || i1 < back || i1 - back >= C::size1) {
                    for (int c = 0; c < C::channels; ++c) {
#pragma HLS UNROLL
                        window[newest + c] = 0;
                    }
                } else if (fresh && back == 0) {
                    for (int c = 0; c < C::channels; ++c) {
#pragma HLS UNROLL
                        window[newest + c] = pixels[q * C::channels + c];
                    }
                } else {
                    const int l = fresh && back > 0 ? back - 1 : back;
                    for (int c = 0; c < C::channels; ++c) {
#pragma HLS UNROLL
                        window[newest + c] = line[l][column][q * C::channels + c];
                    }
                }
            }
        }
    }
    if (inside && fresh) {
        for (int l = C::lines - 1; l >= 0; --l) {
#pragma HLS UNROLL
            for (int c = 0; c < C::planes * C::channels; ++c) {
#pragma HLS UNROLL
                if (l > 0) line[l][column][c] = line[l - 1][column][c];
                if (l == 0) line[l][column][c] = pixels[c];
            }
        }
    }
}

// Zeros, before a row.
template <class C, class T>
void empty(T window[C::planes * C::rows * C::columns * C::channels]) {
#pragma HLS INLINE
    for (int i = 0; i < C::planes * C::rows * C::columns * C::channels; ++i) {
#pragma HLS UNROLL
        window[i] = 0;
    }
}

}  // namespace kbuild

#endif
